import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { RequestObject, RequestValue } from '@headwater/protocol'
import { StreamsEnd } from '../sync/stream-end.ts'
import type { HttpRequest, StreamAnswer, WholeAnswer } from './answer.ts'
import { CORS_HEADERS } from './cors.ts'
import { answerCode, answerError, spreadRetryAfter } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import { CONNECTION_OPTIONS, listen } from './listen.ts'
import { logFailure } from './log-failure.ts'
import { createNewcomers } from './newcomers.ts'
import { readDocument, readJson, readPieces } from './read-body.ts'
import { readSyncRequest } from './read-sync-request.ts'
import { type Audience, createRoutes, type Routes } from './routes.ts'
import { createSyncStreams, type SyncStreams } from './sync-streams.ts'
import { createWebSockets } from './web-sockets.ts'
import { writeStream } from './write-stream.ts'

/** A token with many claims can be long. */
const HEADER_BYTES_MAX = 32 * 1024
/** A client has so long to send the head of its request. */
const HEADERS_TIMEOUT_MS = 15_000
/** A client has so long to send its whole request. */
const REQUEST_TIMEOUT_MS = 60_000
/** How often these two are looked at. */
const TIMEOUTS_CHECK_MS = 2_000
/** Longer than load balancers keep their connections, so that they close first and no request is lost in between. */
const KEEP_ALIVE_MS = 75_000

/** Why a request is aborted, besides a `StreamsEnd`. Not an error, which would cost a stack trace each. */
const GONE = Symbol('the client is gone')

export type HttpServer = {
  /** Throws `port-in-use`, or `bad-settings` for an address that is not this machine's. Port 0 takes any free one. */
  readonly listen: (host: string, port: number) => Promise<{ readonly url: string }>
  /** Serves a connection that came in elsewhere. */
  readonly accept: (socket: Socket) => void
  /** Ends streams at a line, lets other requests finish, and cuts off what is left after `graceMs`. */
  readonly stop: (graceMs: number) => Promise<void>
}

/** The adapter between `node:http` and the routes that `audience` may use. */
export function createHttpServer(parts: HttpParts, audience: Audience = 'everybody'): HttpServer {
  const streams = createSyncStreams(parts)
  const routes = createRoutes(parts, streams, audience)
  const newcomers = createNewcomers({ ...parts, newcomersMax: parts.limits.newcomersMax })
  const webSockets = createWebSockets(parts, streams, newcomers)
  const answering: AnswerParts = { ...parts, routes, streams }
  const open = new Set<AbortController>()
  const sockets = new Set<Socket>()
  let isStopping = false
  // It walks through all connections: not once for each of them, of which many may end together.
  const closeIdle = oncePerTurn(() => server.closeIdleConnections())
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUTS_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      ...CONNECTION_OPTIONS,
      // All others, such as to HTTP/2, go on as they are.
      shouldUpgradeCallback: ({ method, headers }) =>
        audience !== 'operators' && method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket',
    },
    (message, response) => {
      if (isStopping) {
        response.setHeader('Connection', 'close')
        writeWhole(answerCode('shutting-down'), response, parts.random)
        return
      }
      const abort = new AbortController()
      open.add(abort)
      response.on('close', () => {
        abort.abort(GONE)
        open.delete(abort)
        newcomers.add(message.socket)
        if (isStopping) closeIdle()
      })
      const identified = (): void => newcomers.remove(message.socket)
      const cutOff = (): void => void response.destroy()
      const request = toRequest(message, { signal: abort.signal, identified, cutOff })
      void answer(answering, request, response)
    },
  )
  server.on('upgrade', webSockets.upgrade)
  server.on('connection', (socket) => {
    newcomers.add(socket)
    sockets.add(socket)
    socket.on('close', () => {
      newcomers.remove(socket)
      sockets.delete(socket)
    })
  })
  // Node begins to look for requests that take too long when a server listens, and this one may never.
  const watchSlowRequests = once(() => server.emit('listening'))
  return {
    listen: async (host, port) => {
      const listening = await listen(server, host, port)
      // Such as no free file descriptors for one more connection: those that are open go on.
      server.on('error', (error) => {
        parts.log.error('connection-not-accepted', { error })
      })
      return listening
    },
    accept: (socket) => {
      watchSlowRequests()
      server.emit('connection', socket)
    },
    stop: (graceMs) => {
      isStopping = true
      const end = new StreamsEnd('shutdown', streams.count())
      for (const abort of open) abort.abort(end)
      webSockets.stop(end)
      return close(server, sockets, { graceMs, cutOff: webSockets.cutOff })
    },
  }
}

type AnswerParts = HttpParts & { readonly routes: Routes; readonly streams: SyncStreams }

/** What must be known of a request for as long as its answer takes. */
type Asked = Pick<HttpRequest, 'method' | 'path' | 'signal'>

/** The boundary of a request: never rejects, logs what failed, once. A stream goes on after it. */
async function answer(parts: AnswerParts, request: HttpRequest, response: ServerResponse): Promise<void> {
  const { method, path, signal } = request
  const asked = { method, path, signal }
  try {
    const result = await parts.routes.answer(request)
    if (result.kind === 'stream') {
      forgetHead(response.req)
      void answerStream(parts, result, asked, response)
      return
    }
    writeWhole(result, response, parts.random)
  } catch (error) {
    writeFailure(parts, error, asked, response)
  }
  noteAnswered(parts, asked, response)
}

/** The boundary of a stream. What fails before the first byte is an error; what fails later cuts the stream off. */
async function answerStream(
  parts: AnswerParts,
  stream: StreamAnswer,
  asked: Asked,
  response: ServerResponse,
): Promise<void> {
  const { headersSent, bytesSent, error } = await writeStream(stream, response, parts.streams.slowReaders)
  stream.ended({ bytesSent })
  if (!headersSent && !response.destroyed) {
    if (asked.signal.aborted) writeWhole(answerCode('shutting-down'), response, parts.random)
    else if (error !== undefined) writeFailure(parts, error, asked, response)
    else writeWhole({ kind: 'whole', status: 200, headers: stream.headers, body: '' }, response, parts.random)
  } else if (error !== undefined && !asked.signal.aborted) {
    logFailure(parts.log, error, describe(asked))
  }
  noteAnswered(parts, asked, response)
}

/** Node keeps the request for as long as the response is open, which may be very long, and very many may be. */
function forgetHead(message: IncomingMessage): void {
  message.headers = {}
  message.rawHeaders = []
}

function writeFailure(parts: AnswerParts, error: unknown, asked: Asked, response: ServerResponse): void {
  if (!response.destroyed) logFailure(parts.log, error, describe(asked))
  writeWhole(answerError(error), response, parts.random)
}

function noteAnswered({ routes, metrics }: AnswerParts, { path }: Asked, response: ServerResponse): void {
  const labels = { route: routes.labelOf(path), status: String(response.statusCode) }
  metrics.add('headwater_http_requests_total', 1, labels)
}

function describe({ method, path }: Asked): Record<string, unknown> {
  return { method, path }
}

function writeWhole(answer: WholeAnswer, response: ServerResponse, random: () => number): void {
  if (response.headersSent || response.destroyed) return
  const { status, headers, body } = spreadRetryAfter(answer, random)
  const length = status === 204 ? {} : { 'Content-Length': Buffer.byteLength(body) }
  response.writeHead(status, { ...CORS_HEADERS, ...headers, ...length })
  response.end(body)
}

function toRequest(
  message: IncomingMessage,
  around: Pick<HttpRequest, 'signal' | 'identified' | 'cutOff'>,
): HttpRequest {
  const url = message.url ?? '/'
  const queryAt = url.indexOf('?')
  const query = Object.fromEntries(new URLSearchParams(queryAt === -1 ? '' : url.slice(queryAt + 1)))
  const fieldsOf = (body: RequestValue): RequestObject => ({ ...query, ...(isObject(body) ? body : {}) })
  return {
    method: message.method ?? 'GET',
    path: queryAt === -1 ? url : url.slice(0, queryAt),
    headers: message.headers,
    readParameters: async (room) => fieldsOf(await readJson(message, room)),
    readSyncRequest: (room, turn) =>
      readSyncRequest(readPieces(message, room), { what: 'body', encoding: 'json', fieldsOf, turn }),
    readDocument: (room, field) => readDocument(message, room, field),
    ...around,
  }
}

function isObject(value: RequestValue): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Calls `action` once after however many calls in one turn of the event loop. */
function oncePerTurn(action: () => void): () => void {
  let isComing = false
  return () => {
    if (isComing) return
    isComing = true
    setImmediate(() => {
      isComing = false
      action()
    })
  }
}

function once(action: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) action()
    isDone = true
  }
}

type Closing = {
  readonly graceMs: number
  /** Ends the connections that are no requests any more. */
  readonly cutOff: () => void
}

/** Resolves when no connection is left. */
async function close(server: Server, sockets: ReadonlySet<Socket>, { graceMs, cutOff }: Closing): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve()
    })
  })
  server.closeIdleConnections()
  const timeout = setTimeout(() => {
    server.closeAllConnections()
    cutOff()
  }, graceMs)
  await closed
  await Promise.all([...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  clearTimeout(timeout)
}
