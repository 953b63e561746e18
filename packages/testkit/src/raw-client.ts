import { request as sendRequest, type IncomingMessage } from 'node:http'
import {
  decodeBsonLine,
  decodeLine,
  encodeSyncRequest,
  splitBson,
  splitNdjson,
  type Line,
  type LineFormat,
  type SyncRequest,
  type UnknownLine,
} from '@headwater/protocol'
import { applyRawLine, emptyRawStore, type RawStore } from './raw-store.ts'

export type RawConnection = {
  /** Of the service, without a trailing slash. */
  readonly url: string
  readonly token: string
  readonly format: LineFormat
  /** What differs from "everything that comes by default". */
  readonly request?: Partial<SyncRequest>
  readonly signal?: AbortSignal
}

const DEFAULT_REQUEST: SyncRequest = {
  buckets: [],
  clientId: undefined,
  parameters: {},
  appMetadata: {},
  rawData: true,
  includeDefaults: true,
  namesStreams: false,
  subscriptions: [],
}

const ACCEPT = { ndjson: 'application/x-ndjson', bson: 'application/vnd.powersync.bson-stream' } as const

/**
 * Opens a sync stream and applies every line to `store`, resuming from what the store holds. Yields each line after
 * it was applied. Ends when the service ends the stream; throws when the connection breaks, when the answer is not
 * 200, and on every breach of the protocol that the store sees.
 */
export async function* followStream(
  connection: RawConnection,
  store: RawStore = emptyRawStore(),
): AsyncGenerator<Line | UnknownLine, void, undefined> {
  const buckets = [...store.buckets].map(([name, { after }]) => ({ name, after }))
  const response = await openStream({ ...connection, request: { buckets, ...connection.request } })
  for await (const line of readLines(response, connection.format)) {
    applyRawLine(store, line)
    yield line
  }
}

/** Follows the stream until the first checkpoint is complete, then hangs up. */
export async function downloadOnce(
  connection: RawConnection,
  store: RawStore = emptyRawStore(),
): Promise<{ readonly store: RawStore; readonly lines: readonly (Line | UnknownLine)[] }> {
  const lines: (Line | UnknownLine)[] = []
  for await (const line of followStream(connection, store)) {
    lines.push(line)
    if (line.kind === 'checkpoint-complete') return { store, lines }
  }
  throw new Error(`The stream ended before a checkpoint was complete, after ${lines.length} lines`)
}

/** Longer than the last line of a checkpoint in either format. */
const COMPLETION_BYTES_MAX = 128

/** Downloads one checkpoint, looking at nothing but its last line: the cheapest client there can be. Gives the bytes. */
export async function discardOnce(connection: RawConnection): Promise<number> {
  const response = await openStream(connection)
  let bytes = 0
  let tail = Buffer.alloc(0)
  for await (const chunk of response) {
    const piece = chunk as Buffer
    bytes += piece.length
    tail = Buffer.concat([tail, piece.subarray(-COMPLETION_BYTES_MAX)]).subarray(-COMPLETION_BYTES_MAX)
    if (tail.includes('checkpoint_complete')) return bytes
  }
  throw new Error(`The stream ended before the checkpoint was complete, after ${bytes} bytes`)
}

/** Sends the request and waits for the headers. Throws with the body's text when the status is not 200. */
export async function openStream(connection: RawConnection): Promise<IncomingMessage> {
  const { url, token, format, request, signal } = connection
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sending = sendRequest(`${url}/sync/stream`, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Token ${token}`, accept: ACCEPT[format], 'content-type': 'application/json' },
    ...(signal === undefined ? {} : { signal }),
  })
  sending.once('response', resolve).on('error', reject)
  sending.end(JSON.stringify(encodeSyncRequest({ ...DEFAULT_REQUEST, ...request })))
  const response = await promise
  if (response.statusCode !== 200) {
    const body = Buffer.concat(await response.toArray()).toString()
    throw Object.assign(new Error(`The service answered ${response.statusCode}: ${body}`), {
      status: response.statusCode,
    })
  }
  const type = response.headers['content-type']
  if (type !== ACCEPT[format]) throw new Error(`The service answered in ${type}, asked for was ${ACCEPT[format]}`)
  return response
}

async function* readLines(
  response: AsyncIterable<Uint8Array>,
  format: LineFormat,
): AsyncGenerator<Line | UnknownLine, void, undefined> {
  if (format === 'ndjson') {
    for await (const text of splitNdjson(response)) yield decodeLine(text)
  } else {
    for await (const bytes of splitBson(response)) yield decodeBsonLine(bytes)
  }
}
