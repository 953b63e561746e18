import { once } from 'node:events'
import { encodeBson, type JsonObject } from '@headwater/protocol'
import { WebSocket } from 'ws'

type Encoding = 'json' | 'bson'
type RequestOptions = { readonly streamId?: number; readonly credit?: number; readonly encoding?: Encoding }

export type HostileWebSocket = {
  readonly send: (bytes: Buffer) => void
  /** Waits until something with this text has come, or the connection is closed. */
  readonly until: (text: string) => Promise<void>
  readonly closed: Promise<unknown>
  readonly close: () => void
  readonly webSocket: WebSocket
}

export async function openWebSocket(
  url: string,
  options: { perMessageDeflate?: boolean } = {},
): Promise<HostileWebSocket> {
  const webSocket = new WebSocket(url.replace(/^http/, 'ws'), { perMessageDeflate: false, ...options })
  const messages: Buffer[] = []
  let arrived = (): void => {}
  webSocket.on('message', (data: Buffer) => {
    messages.push(data)
    arrived()
  })
  webSocket.on('error', () => {})
  const closed = once(webSocket, 'close').then(() => arrived())
  await Promise.race([once(webSocket, 'open'), closed])
  return {
    webSocket,
    closed,
    send: (bytes) => {
      if (webSocket.readyState === WebSocket.OPEN) webSocket.send(bytes)
    },
    until: async (text) => {
      while (!messages.some((message) => message.includes(text)) && webSocket.readyState === WebSocket.OPEN) {
        await new Promise<void>((resolve) => {
          arrived = resolve
        })
      }
    },
    close: () => webSocket.terminate(),
  }
}

export function setupFrame(token: string, encoding: Encoding = 'json'): Buffer {
  const type = Buffer.from(`application/${encoding}`)
  const mime = Buffer.concat([Buffer.of(type.length), type])
  const metadata = encode({ token: `Token ${token}` }, encoding)
  const times = Buffer.from('0001000000004e2000015f90', 'hex')
  return frame(0, 1, 0x100, [times, mime, mime, withLength(metadata)])
}

export function requestFrame(
  data: JsonObject | Buffer,
  { streamId = 1, credit = 100, encoding = 'json' }: RequestOptions = {},
): Buffer {
  const initial = Buffer.alloc(4)
  initial.writeUInt32BE(credit)
  const metadata = encode({ path: '/sync/stream' }, encoding)
  const body = Buffer.isBuffer(data) ? data : encode(data, encoding)
  return frame(streamId, 6, 0x100, [initial, withLength(metadata), body])
}

export function frame(streamId: number, type: number, flags: number, body: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt32BE(streamId)
  head.writeUInt16BE((type << 10) | flags, 4)
  return Buffer.concat([head, ...body])
}

function encode(value: JsonObject, encoding: Encoding): Buffer {
  return Buffer.from(encoding === 'json' ? JSON.stringify(value) : encodeBson(value))
}

function withLength(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length >> 16, (bytes.length >> 8) & 0xff, bytes.length & 0xff), bytes])
}
