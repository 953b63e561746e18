import { StreamsEnd } from '../sync/stream-end.ts'
import { DocumentCutter } from './cut-documents.ts'
import type { ToldError } from './error-response.ts'
import type { SharedFrames } from './shared-frames.ts'
import type { OpenedStream } from './sync-streams.ts'

/** Payloads that a client can ask for at once; RSocket has 31 bits for it. */
const CREDIT_MAX = 0x7fffffff

/** What a stream needs of its connection. */
export type StreamSocket = {
  readonly send: (frame: Uint8Array) => void
  /** Undefined when there is room already; else resolves when there is, or when the connection is closed. */
  readonly untilRoom: () => Promise<void> | undefined
}

export type StreamWire = { readonly socket: StreamSocket; readonly frames: SharedFrames }

/** What becomes of a request once it was read. */
export type Opening =
  | { readonly kind: 'opened'; readonly opened: OpenedStream }
  | { readonly kind: 'refused'; readonly refused: ToldError }

/** `error` is what the request or its lines failed with, if they did. */
export type StreamEnd = { readonly hasSent: boolean; readonly error?: unknown; readonly refused?: ToldError }

/**
 * The lines of one sync stream as payloads: each is one frame, sent only when the client has asked for it and the
 * socket has room. Lines are asked for only then, so at most one chunk of them waits here.
 */
export class RsocketStream {
  readonly #streamId: number
  readonly #socket: StreamSocket
  readonly #frames: SharedFrames
  readonly #signal: AbortSignal
  #credit: number
  #proceed: (() => void) | undefined

  /** `signal` ends the stream: with a `StreamsEnd` after what its lines still say, if there is credit for it; else at once. */
  constructor(streamId: number, credit: number, { socket, frames }: StreamWire, signal: AbortSignal) {
    this.#streamId = streamId
    this.#credit = Math.min(credit, CREDIT_MAX)
    this.#socket = socket
    this.#frames = frames
    this.#signal = signal
    signal.addEventListener('abort', () => this.#proceed?.(), { once: true })
  }

  addCredit(credit: number): void {
    this.#credit = Math.min(this.#credit + credit, CREDIT_MAX)
    if (this.#credit > 0) this.#proceed?.()
  }

  /** Sends until the lines end. Never rejects. */
  async send(opening: Promise<Opening>): Promise<StreamEnd> {
    try {
      const result = await opening
      return result.kind === 'opened'
        ? await this.#sendLines(result.opened)
        : { hasSent: false, refused: result.refused }
    } catch (error) {
      return { hasSent: false, error }
    }
  }

  async #sendLines({ chunks, ended }: OpenedStream): Promise<StreamEnd> {
    const iterator = chunks[Symbol.asyncIterator]()
    const documents = new DocumentCutter()
    let bytesSent = 0
    let error: unknown
    try {
      while (await this.#mayGoOn()) {
        const next = await iterator.next()
        if (next.done === true) break
        for (const frame of this.#frames.cut(documents, next.value, this.#streamId)) {
          if ((this.#credit === 0 || this.#signal.aborted) && !(await this.#mayGoOn())) break
          this.#credit -= 1
          this.#socket.send(frame)
          bytesSent += frame.length
          const room = this.#socket.untilRoom()
          if (room !== undefined) await room
        }
      }
    } catch (failure) {
      error = failure
    }
    await iterator.return?.()
    ended({ bytesSent })
    return { hasSent: bytesSent > 0, error }
  }

  /** Waits until the client wants a payload. False when it wants no more, and when the stream ends before it wants one. */
  async #mayGoOn(): Promise<boolean> {
    while (this.#credit === 0 && !this.#signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#proceed = resolve
      await promise
      this.#proceed = undefined
    }
    const { aborted, reason } = this.#signal
    return this.#credit > 0 && (!aborted || reason instanceof StreamsEnd)
  }
}
