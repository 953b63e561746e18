import type { IncomingHttpHeaders } from 'node:http'
import type { RequestObject } from '@headwater/protocol'
import type { Turn } from '@headwater/sync-config'
import type { ContentEncoding } from './negotiate.ts'
import type { ReceivedRequest } from './read-sync-request.ts'
import type { Claim } from './shared-room.ts'

/** A request as the routes see it. */
export type HttpRequest = {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /**
   * The fields of the query, and over them those of a JSON body. Throws `bad-request`, `request-too-large`,
   * `request-memory-full`, `unsupported-media-type`.
   */
  readonly readParameters: (room: BodyRoom) => Promise<RequestObject>
  /** The same for a sync stream, of which much may be asked; it takes turns with others. Throws as `readParameters`. */
  readonly readSyncRequest: (room: BodyRoom, turn: Turn) => Promise<ReceivedRequest>
  /** A YAML body, or the text in the field `field` of a JSON body. Throws as `readParameters`. */
  readonly readDocument: (room: BodyRoom, field: string) => Promise<string | undefined>
  /** Whoever sent it has proven who they are: until it is answered the connection is no newcomer. */
  readonly identified: () => void
  /** Aborts when the client is gone, and when the server stops. */
  readonly signal: AbortSignal
  /** Ends the connection without a word, whatever waits to be sent. */
  readonly cutOff: () => void
}

/** How long a body may be. */
export type BodyRoom = {
  readonly bytesMax: number
  /** Where its bytes are counted, when it is of a user and may be long. */
  readonly claim?: Claim | undefined
}

export type Answer = WholeAnswer | StreamAnswer

export type WholeAnswer = {
  readonly kind: 'whole'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

/** Its headers leave with the first chunk; a failure before that is still an ordinary error. */
export type StreamAnswer = {
  readonly kind: 'stream'
  readonly userId: string
  readonly headers: Readonly<Record<string, string>>
  readonly encoding: ContentEncoding
  /** Each chunk is flushed to the client at once. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** The line that tells the client why its stream breaks off. */
  readonly tellFailure: (error: unknown) => Uint8Array
  /** Called once, whatever happens, when the stream is over. `bytesSent` is before compression. */
  readonly ended: (outcome: { readonly bytesSent: number }) => void
}

const JSON_TYPE = 'application/json; charset=utf-8'

export function answerJson(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): WholeAnswer {
  return { kind: 'whole', status, headers: { 'Content-Type': JSON_TYPE, ...headers }, body: JSON.stringify(body) }
}

/** The envelope of results. */
export function answerData(data: unknown): WholeAnswer {
  return answerJson(200, { data })
}

export function answerText(status: number, body: string, contentType: string): WholeAnswer {
  return { kind: 'whole', status, headers: { 'Content-Type': contentType }, body }
}

export function answerEmpty(status: number, headers: Readonly<Record<string, string>> = {}): WholeAnswer {
  return { kind: 'whole', status, headers, body: '' }
}
