import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { type CloseReason, type ConnectionParts, RsocketConnection } from './rsocket-connection.ts'

/** Bytes that may wait for one client, besides the frame being written: enough to keep a socket busy. */
const WAITING_BYTES_MAX = 128 * 1024

/** What waits must have gone within this time: 1 MiB at 4 KiB/s. */
const STALLED_MS = 300_000

/** Nobody knows who sends the first message. A SETUP has room for a long token in it. */
const FIRST_MESSAGE_BYTES_MAX = 128 * 1024

/** Codes of RFC 6455, and a word for whoever looks at the connection from outside. */
const GOODBYES: { readonly [Reason in CloseReason]: readonly [code: number, text: string] } = {
  'client-left': [1000, ''],
  'message-too-large': [1009, 'a message is too large'],
  'protocol-error': [1002, 'a message cannot be understood'],
  'setup-refused': [1008, 'the setup is refused'],
  'setup-timeout': [1008, 'there was no setup in time'],
  'silent-client': [1001, 'nothing was heard for too long'],
  'slow-client': [1008, 'what was sent is not read'],
  stopping: [1001, 'the service is stopping'],
  'token-ended': [1008, 'the token has expired'],
  'too-many-connections': [1013, 'too many connections'],
}

type Wire = { readonly webSocket: WebSocket; readonly socket: Duplex }

/** One WebSocket, and the RSocket connection that it carries. */
export class WebSocketConnection {
  onFirstMessage: (() => void) | undefined
  onClosed: (() => void) | undefined
  readonly #parts: ConnectionParts
  readonly #webSocket: WebSocket
  readonly #socket: Duplex
  readonly #rsocket: RsocketConnection
  readonly #openedAtMs: number
  #reason: CloseReason | undefined
  #isCorked = false
  #waiting: (() => void)[] = []
  #stalled: NodeJS.Timeout | undefined

  constructor(parts: ConnectionParts, { webSocket, socket }: Wire) {
    this.#parts = parts
    this.#webSocket = webSocket
    this.#socket = socket
    this.#openedAtMs = parts.nowMs()
    parts.metrics.change('headwater_websocket_connections_count', 1)
    this.#rsocket = new RsocketConnection(parts, {
      send: (frame) => this.#send(frame),
      untilRoom: () => this.#untilRoom(),
      pause: () => webSocket.pause(),
      resume: () => webSocket.resume(),
      close: (reason) => this.#close(reason),
      cutOff: (reason) => this.cutOff(reason),
    })
    this.#listen()
  }

  /** Ends its streams in good order, and then itself. */
  stop(): void {
    this.#rsocket.stop()
  }

  cutOff(reason: CloseReason): void {
    this.#reason ??= reason
    this.#rsocket.closed()
    this.#webSocket.terminate()
  }

  #listen(): void {
    const webSocket = this.#webSocket
    let newBytes = 0
    const countBytes = (chunk: Buffer): void => {
      newBytes += chunk.length
      // A goodbye would mean to receive the rest meanwhile.
      if (newBytes > FIRST_MESSAGE_BYTES_MAX) this.cutOff('message-too-large')
    }
    this.#socket.on('data', countBytes)
    webSocket.once('message', () => {
      this.#socket.off('data', countBytes)
      this.onFirstMessage?.()
    })
    webSocket.on('message', (data, isBinary) => {
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
    this.#stalled ??= setTimeout(() => this.cutOff('slow-client'), STALLED_MS).unref()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    return promise
  }

  #proceed(): void {
    clearTimeout(this.#stalled)
    this.#stalled = undefined
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
