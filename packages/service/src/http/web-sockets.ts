import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { StreamsEnd } from '../sync/stream-end.ts'
import { answerCode, spreadRetryAfter } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import type { Newcomers } from './newcomers.ts'
import { Slots } from './slots.ts'
import type { SyncStreams } from './sync-streams.ts'
import { readUserAgent } from './user-agent.ts'
import { WebSocketConnection } from './web-socket-connection.ts'

/** A few compressed bytes can become a whole message in memory, so few may send such before it is known who they are. */
const COMPRESSED_NEWCOMERS_MAX = 32

/** For the answer to a goodbye. */
const CLOSE_TIMEOUT_MS = 5_000

/** Clients send a message in one piece, or in a few; a network cuts it into more. */
const FRAGMENTS_MAX = 1_024
const CHUNKS_MAX = 16_384

/** Small windows, as every open connection keeps its compressor; small messages are not worth it. */
const DEFLATE = {
  serverMaxWindowBits: 12,
  clientNoContextTakeover: true,
  threshold: 1_024,
  zlibDeflateOptions: { level: 1, memLevel: 5 },
}

/** Who cannot take windows of the size above gets messages as they are. */
const SMALLER_WINDOW = /server_max_window_bits\s*=\s*"?(?:8|9|10|11)\b/

export type WebSockets = {
  /** Takes over the socket of a request that asks for it. */
  readonly upgrade: (message: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Ends streams in good order, and then their connections. */
  readonly stop: (end: StreamsEnd) => void
  /** Cuts off what is left. */
  readonly cutOff: () => void
}

/** Sync streams over WebSockets, on any path: clients prove who they are in the first message. */
export function createWebSockets(parts: HttpParts, streams: SyncStreams, newcomers: Newcomers): WebSockets {
  const settings = {
    noServer: true,
    clientTracking: false,
    autoPong: false,
    maxPayload: parts.limits.requestBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: CHUNKS_MAX,
    closeTimeout: CLOSE_TIMEOUT_MS,
  }
  const plain = new WebSocketServer({ ...settings, perMessageDeflate: false })
  const compressing = new WebSocketServer({ ...settings, perMessageDeflate: DEFLATE })
  const compressedNewcomers = new Slots(COMPRESSED_NEWCOMERS_MAX)
  const open = new Set<WebSocketConnection>()
  let isStopping = false

  return {
    upgrade: (message, socket, head) => {
      if (isStopping) {
        refuseUpgrade(socket, parts.random)
        return
      }
      const mayCompress = offersCompression(message) && compressedNewcomers.hasFree
      const releaseCompressor = mayCompress ? streams.compressors.take() : undefined
      const releaseNewcomer = releaseCompressor === undefined ? undefined : compressedNewcomers.take()
      socket.once('close', () => {
        releaseCompressor?.()
        releaseNewcomer?.()
      })
      const server = releaseCompressor === undefined ? plain : compressing
      server.handleUpgrade(message, socket, head, (webSocket) => {
        const userAgent = readUserAgent(message.headers)
        const isCompressed = releaseCompressor !== undefined
        const connection = new WebSocketConnection(
          { ...parts, streams, userAgent },
          { webSocket, socket, isCompressed },
        )
        open.add(connection)
        connection.onIdentified = () => {
          releaseNewcomer?.()
          newcomers.remove(message.socket)
        }
        connection.onClosed = () => open.delete(connection)
      })
    },
    stop: (end) => {
      isStopping = true
      for (const connection of open) connection.stop(end)
    },
    cutOff: () => {
      for (const connection of open) connection.cutOff('stopping')
    },
  }
}

function offersCompression({ headers }: IncomingMessage): boolean {
  const offers = headers['sec-websocket-extensions'] ?? ''
  return offers.includes('permessage-deflate') && !SMALLER_WINDOW.test(offers)
}

function refuseUpgrade(socket: Duplex, random: () => number): void {
  const { status, headers, body } = spreadRetryAfter(answerCode('shutting-down'), random)
  const head = Object.entries({ ...headers, 'Content-Length': Buffer.byteLength(body), Connection: 'close' })
  socket.on('error', () => socket.destroy())
  socket.write(`HTTP/1.1 ${status} Service Unavailable\r\n`)
  socket.write(`${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
  socket.end(body, () => socket.destroy())
}
