import { once } from 'node:events'
import { decodeBson, encodeBson, type JsonObject, type RequestObject } from '@headwater/protocol'
import { expect, onTestFinished } from 'vitest'
import { WebSocket, type ClientOptions } from 'ws'
import type { StreamOpen } from './sync-streams.ts'

export const LINE = { token_expires_in: 60 }

export type ServerFrame =
  | { readonly kind: 'next'; readonly streamId: number; readonly line: RequestObject }
  | { readonly kind: 'complete'; readonly streamId: number }
  | { readonly kind: 'error'; readonly streamId: number; readonly code: number; readonly text: string }
  | { readonly kind: 'keepalive'; readonly flags: number; readonly data: string }
  | { readonly kind: 'other'; readonly hex: string }

type Encoding = 'json' | 'bson'

export type SetupOptions = {
  /** Of metadata and of data. */
  readonly encoding?: Encoding
  readonly metadata?: JsonObject | null
  readonly mimeType?: string
  readonly lifetimeMs?: number
  readonly flags?: number
  readonly majorVersion?: number
}

export type RequestOptions = {
  readonly streamId?: number
  readonly credit?: number
  readonly metadata?: JsonObject | null
  readonly data?: JsonObject | Buffer
}

const GOOD = { token: 'Token good', user_agent: 'rsocket-test/1.0' }

/** Written by hand from the frame layout, so that it shares no mistake with the service. */
export class RsocketClient {
  readonly webSocket: WebSocket
  /** Everything that has come, in order. */
  readonly frames: ServerFrame[] = []
  /** Bytes of each binary message, in order. */
  readonly sizes: number[] = []
  /** Resolves when the socket is closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  /** What was agreed on, as the service wrote it. */
  extensions = ''
  #encoding: Encoding = 'json'
  #read = 0
  #arrived: (() => void) | undefined

  constructor(url: string, options: ClientOptions = {}) {
    this.webSocket = new WebSocket(url.replace(/^http/, 'ws'), { perMessageDeflate: false, ...options })
    this.webSocket.on('message', (data: Buffer, isBinary) => {
      this.frames.push(isBinary ? decodeFrame(data) : { kind: 'other', hex: data.toString() })
      this.sizes.push(data.length)
      this.#arrived?.()
    })
    this.webSocket.on('error', () => {})
    this.webSocket.on('upgrade', ({ headers }) => {
      this.extensions = headers['sec-websocket-extensions'] ?? ''
    })
    this.closed = once(this.webSocket, 'close').then(([code, reason]) => {
      this.#arrived?.()
      return { code: Number(code), reason: String(reason) }
    })
    onTestFinished(() => this.webSocket.terminate())
  }

  /** The next frame that was not looked at yet. Undefined when the socket is closed and there is none. */
  async next(): Promise<ServerFrame | undefined> {
    while (this.#read >= this.frames.length && this.webSocket.readyState !== WebSocket.CLOSED) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
    return this.frames[this.#read++]
  }

  async take(count: number): Promise<readonly (ServerFrame | undefined)[]> {
    const taken: (ServerFrame | undefined)[] = []
    while (taken.length < count) taken.push(await this.next())
    return taken
  }

  /** Waits until everything sent before was handled: frames are answered in order. */
  async settle(): Promise<void> {
    const mark = `settled-${this.frames.length}`
    this.keepalive(mark)
    while (!this.frames.some((frame) => frame.kind === 'keepalive' && frame.data === mark)) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  setup({ encoding = 'json', metadata = GOOD, mimeType, ...rest }: SetupOptions = {}): void {
    const { lifetimeMs = 90_000, flags = 0, majorVersion = 1 } = rest
    this.#encoding = encoding
    const type = Buffer.from(mimeType ?? `application/${encoding}`)
    const mime = Buffer.concat([Buffer.of(type.length), type])
    this.send(
      frame(0, 1, flags | (metadata === null ? 0 : 0x100), [
        u16(majorVersion),
        u16(0),
        u32(20_000),
        u32(lifetimeMs),
        mime,
        mime,
        metadata === null ? Buffer.of() : withLength(this.#encode(metadata)),
      ]),
    )
  }

  request({ streamId = 1, credit = 10, metadata = { path: '/sync/stream' }, data = {} }: RequestOptions = {}): void {
    this.send(
      frame(streamId, 6, metadata === null ? 0 : 0x100, [
        u32(credit),
        metadata === null ? Buffer.of() : withLength(this.#encode(metadata)),
        Buffer.isBuffer(data) ? data : this.#encode(data),
      ]),
    )
  }

  requestN(credit: number, streamId = 1): void {
    this.send(frame(streamId, 8, 0, [u32(credit)]))
  }

  cancel(streamId = 1): void {
    this.send(frame(streamId, 9, 0, []))
  }

  keepalive(data = '', flags = 0x80): void {
    this.send(frame(0, 3, flags, [Buffer.alloc(8), Buffer.from(data)]))
  }

  send(bytes: Buffer): void {
    this.webSocket.send(bytes)
  }

  #encode(value: JsonObject): Buffer {
    return Buffer.from(this.#encoding === 'json' ? JSON.stringify(value) : encodeBson(value))
  }
}

export async function connectRsocket(url: string, options: ClientOptions = {}): Promise<RsocketClient> {
  const client = new RsocketClient(url, options)
  await once(client.webSocket, 'open')
  return client
}

/** Connected and set up. */
export async function openRsocket(url: string, options: SetupOptions = {}): Promise<RsocketClient> {
  const client = await connectRsocket(`${url}/sync/stream`)
  client.setup(options)
  return client
}

/** Documents of a stream, in one chunk each. */
export async function* linesOf(lines: readonly JsonObject[]): AsyncGenerator<Uint8Array> {
  for (const line of lines) yield encodeBson(line)
}

/** One line, and then nothing until it is told to stop. */
export async function* endlessLines(_open: StreamOpen, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield encodeBson(LINE)
  if (!signal.aborted) await once(signal, 'abort')
}

export function nextLine(streamId: number, line: object): ServerFrame {
  return { kind: 'next', streamId, line: { ...line } }
}

export function errorFrame(streamId: number, code: number, text: RegExp): object {
  return { kind: 'error', streamId, code, text: expect.stringMatching(text) }
}

export function frame(streamId: number, type: number, flags: number, body: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(streamId), u16((type << 10) | flags), ...body])
}

function decodeFrame(bytes: Buffer): ServerFrame {
  const streamId = bytes.readUInt32BE(0)
  const type = bytes.readUInt16BE(4) >> 10
  const flags = bytes.readUInt16BE(4) & 0x3ff
  if (type === 10 && flags === 0x20) return { kind: 'next', streamId, line: decodeBson(bytes.subarray(6)) }
  if (type === 10 && flags === 0x40 && bytes.length === 6) return { kind: 'complete', streamId }
  if (type === 11) return { kind: 'error', streamId, code: bytes.readUInt32BE(6), text: bytes.toString('utf8', 10) }
  if (type === 3 && streamId === 0) return { kind: 'keepalive', flags, data: bytes.toString('utf8', 14) }
  return { kind: 'other', hex: bytes.toString('hex') }
}

function withLength(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length >> 16, (bytes.length >> 8) & 0xff, bytes.length & 0xff), bytes])
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
