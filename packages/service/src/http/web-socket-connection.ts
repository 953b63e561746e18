import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { StreamsEnd } from '../sync/stream-end.ts'
import { type CloseReason, GOODBYES } from './goodbyes.ts'
import { type ConnectionParts, RsocketConnection } from './rsocket-connection.ts'

/** Bytes that may wait for one client, besides the frame being written: enough to keep a socket busy. */
const WAITING_BYTES_MAX = 128 * 1024

/** Nobody knows who sends the first message. A SETUP has room for a long token in it. */
const FIRST_MESSAGE_BYTES_MAX = 128 * 1024

/** Messages up to this size are not counted while they come. */
const SMALL_MESSAGE_BYTES = 8 * 1024

/** No more comes out of a compressed byte. */
const INFLATED_BYTES_MAX = 1_032

type Wire = { readonly webSocket: WebSocket; readonly socket: Duplex; readonly isCompressed: boolean }

/** One WebSocket, and the RSocket connection that it carries. */
export class WebSocketConnection {
  onIdentified: (() => void) | undefined
  onClosed: (() => void) | undefined
  readonly #parts: ConnectionParts
  readonly #webSocket: WebSocket
  readonly #socket: Duplex
  readonly #rsocket: RsocketConnection
  readonly #openedAtMs: number
  #reason: CloseReason | undefined
  #isCorked = false
  #waiting: (() => void)[] = []
  /** Ends the wait for the reader. */
  #hasRead: (() => void) | undefined
  /** Undefined until the client has proven who it is. */
  #userId: string | undefined
  /** Came since the last whole message. */
  #partialBytes = 0
  readonly #isCompressed: boolean

  constructor(parts: ConnectionParts, { webSocket, socket, isCompressed }: Wire) {
    this.#parts = parts
    this.#webSocket = webSocket
    this.#socket = socket
    this.#openedAtMs = parts.nowMs()
    this.#isCompressed = isCompressed
    parts.metrics.change('headwater_websocket_connections_count', 1)
    this.#rsocket = new RsocketConnection(parts, {
      send: (frame) => this.#send(frame),
      untilRoom: () => this.#untilRoom(),
      identified: (userId) => {
        this.#userId = userId
        this.onIdentified?.()
      },
      pause: () => webSocket.pause(),
      resume: () => webSocket.resume(),
      close: (reason) => this.#close(reason),
      cutOff: (reason) => this.cutOff(reason),
    })
    this.#listen()
  }

  /** Ends its streams in good order, and then itself. */
  stop(end: StreamsEnd): void {
    this.#rsocket.stop(end)
  }

  cutOff(reason: CloseReason): void {
    this.#reason ??= reason
    this.#rsocket.closed()
    this.#webSocket.terminate()
  }

  #listen(): void {
    const webSocket = this.#webSocket
    // Before the message that the bytes end is told.
    this.#socket.prependListener('data', (chunk: Buffer) => this.#countBytes(chunk.length))
    webSocket.on('message', (data, isBinary) => {
      this.#countMessage()
      if (isBinary && Buffer.isBuffer(data)) this.#rsocket.receive(data)
      else this.#close('protocol-error')
    })
    webSocket.on('ping', (data) => {
      if (webSocket.readyState !== webSocket.OPEN) return
      webSocket.pong(data, undefined, this.#sent)
      this.#rsocket.noteAnswer(data.length)
    })
    webSocket.on('error', (error) => {
      this.#reason ??= 'code' in error && isTooLarge(error.code) ? 'message-too-large' : 'protocol-error'
      this.#rsocket.closed()
    })
    webSocket.on('close', () => this.#finish())
  }

  #countBytes(bytes: number): void {
    this.#partialBytes += bytes
    if (this.#partialBytes <= SMALL_MESSAGE_BYTES) return
    const { limits, streams } = this.#parts
    if (this.#userId === undefined) {
      // A goodbye would mean to receive the rest meanwhile.
      if (this.#partialBytes > FIRST_MESSAGE_BYTES_MAX) this.cutOff('message-too-large')
      return
    }
    const size = this.#partialBytes * (this.#isCompressed ? INFLATED_BYTES_MAX : 1)
    streams.partialMessages.add(this, this.#userId, Math.min(size, limits.requestBytesMax))
  }

  #countMessage(): void {
    this.#partialBytes = 0
    this.#parts.streams.partialMessages.remove(this)
  }

  /** What is sent in one turn leaves in one system call. */
  #send(frame: Uint8Array): void {
    const webSocket = this.#webSocket
    if (webSocket.readyState !== webSocket.OPEN) return
    if (!this.#isCorked) {
      this.#isCorked = true
      this.#socket.cork()
      process.nextTick(() => {
        this.#isCorked = false
        this.#socket.uncork()
      })
    }
    webSocket.send(frame, this.#sent)
  }

  readonly #sent = (): void => {
    if (this.#webSocket.bufferedAmount >= WAITING_BYTES_MAX) return
    this.#rsocket.noteRoom()
    this.#proceed()
  }

  /** While the socket closes there is none: what goes nowhere must not be read on. */
  #untilRoom(): Promise<void> | undefined {
    const { readyState, OPEN, CLOSED, bufferedAmount } = this.#webSocket
    if (readyState === CLOSED || (readyState === OPEN && bufferedAmount < WAITING_BYTES_MAX)) return undefined
    this.#hasRead ??= this.#parts.streams.slowReaders.wait({
      userId: this.#userId ?? '',
      bytes: bufferedAmount,
      cutOff: () => this.cutOff('slow-client'),
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    return promise
  }

  #proceed(): void {
    this.#hasRead?.()
    this.#hasRead = undefined
    for (const proceed of this.#waiting.splice(0)) proceed()
  }

  #close(reason: CloseReason): void {
    this.#reason ??= reason
    this.#rsocket.closed()
    this.#webSocket.close(...GOODBYES[reason])
    // The answer is waited for.
    this.#webSocket.resume()
  }

  #finish(): void {
    const { log, metrics, nowMs } = this.#parts
    const reason = this.#reason ?? 'client-left'
    this.#rsocket.closed()
    this.#proceed()
    this.#countMessage()
    metrics.change('headwater_websocket_connections_count', -1)
    metrics.add('headwater_websocket_closed_total', 1, { reason })
    log.debug('websocket-closed', { reason, openMs: nowMs() - this.#openedAtMs })
    this.onClosed?.()
  }
}

/** The words of the `ws` package. */
function isTooLarge(code: unknown): boolean {
  return code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' || code === 'WS_ERR_TOO_MANY_BUFFERED_PARTS'
}
