/** Sync streams as the cheapest client that there can be has them: a socket, and bytes that it does not understand. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export const TRANSPORTS = ['http', 'websocket'] as const
export type Transport = (typeof TRANSPORTS)[number]

export type RawStreamOpen = {
  /** Of the service, or of whatever answers in its place. */
  readonly url: string
  readonly transport: Transport
  readonly token: string
  /** Of this machine, to connect from; chosen by the system when absent. */
  readonly localAddress?: string | undefined
}

/** How a sync stream is asked for. */
const PATH = '/sync/stream'

/** A client that asks for everything that comes by default. */
const REQUEST = JSON.stringify({ buckets: [], raw_data: true, client_id: '0189c0de-0000-4000-8000-000000000001' })

/**
 * Connects and asks for a stream, without waiting for anything: what comes is whatever the other side writes, with the
 * framing of its transport.
 */
export function openRawStream({ url, transport, token, localAddress }: RawStreamOpen): Socket {
  const { hostname, port, host } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), localAddress, noDelay: true })
  if (transport === 'http') socket.write(formatHttpRequest(host, token))
  else openWebSocket(socket, host, token)
  return socket
}

/** Counts what comes until the end of it has `last`, and hangs up. Throws when the other side ends before. */
export async function discardRawStream(open: RawStreamOpen, last: string): Promise<number> {
  const socket = openRawStream(open)
  let bytes = 0
  let tail = Buffer.alloc(0)
  for await (const chunk of socket) {
    const piece = chunk as Buffer
    bytes += piece.length
    tail = Buffer.concat([tail, piece.subarray(-LINE_END_BYTES_MAX)]).subarray(-LINE_END_BYTES_MAX)
    if (tail.includes(last)) return bytes
  }
  throw new Error(`The stream ended after ${bytes} bytes, without ${last}`)
}

/** Longer than the last line of a checkpoint. */
const LINE_END_BYTES_MAX = 128

function formatHttpRequest(host: string, token: string): string {
  const lines = [
    `POST ${PATH} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: Token ${token}`,
    'Accept: application/x-ndjson',
    'Content-Type: application/json',
    `Content-Length: ${REQUEST.length}`,
  ]
  return `${lines.join('\r\n')}\r\n\r\n${REQUEST}`
}

function openWebSocket(socket: Socket, host: string, token: string): void {
  const lines = [
    `GET ${PATH} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  // Nothing may be sent before the answer to the request.
  socket.once('data', () => {
    socket.write(webSocketMessage(setupFrame(token)))
    socket.write(webSocketMessage(requestFrame()))
  })
}

const KEEPALIVE_MS = 20_000
/** So long as the service allows, so that a client need not send anything while something is measured. */
const LIFETIME_MS = 600_000
/** As many payloads as RSocket has numbers for. */
const CREDIT = 0x7fffffff

const RSOCKET = { setup: 1, requestStream: 6, metadata: 0x100 } as const

function setupFrame(token: string): Buffer {
  const mimeType = withLength(Buffer.from('application/json'), 1)
  return rsocketFrame(0, RSOCKET.setup, [
    uint(1, 2),
    uint(0, 2),
    uint(KEEPALIVE_MS, 4),
    uint(LIFETIME_MS, 4),
    mimeType,
    mimeType,
    withLength(Buffer.from(JSON.stringify({ token: `Token ${token}` })), 3),
  ])
}

function requestFrame(): Buffer {
  const metadata = withLength(Buffer.from(JSON.stringify({ path: PATH })), 3)
  return rsocketFrame(1, RSOCKET.requestStream, [uint(CREDIT, 4), metadata, Buffer.from(REQUEST)])
}

function rsocketFrame(streamId: number, type: number, body: readonly Buffer[]): Buffer {
  return Buffer.concat([uint(streamId, 4), uint((type << 10) | RSOCKET.metadata, 2), ...body])
}

/** A binary message in one frame of fewer than 64 KiB, under a mask of zeros, which leaves it as it is. */
function webSocketMessage(payload: Buffer): Buffer {
  const MASKED = 0x80
  const length =
    payload.length < 126
      ? uint(MASKED | payload.length, 1)
      : Buffer.concat([uint(MASKED | 126, 1), uint(payload.length, 2)])
  return Buffer.concat([uint(0x82, 1), length, uint(0, 4), payload])
}

function withLength(bytes: Buffer, lengthBytes: number): Buffer {
  return Buffer.concat([uint(bytes.length, lengthBytes), bytes])
}

/** Big-endian. */
function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}
