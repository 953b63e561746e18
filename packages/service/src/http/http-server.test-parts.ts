import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { toOpId } from '@headwater/protocol'
import { Registry } from 'prom-client'
import { expect, onTestFinished } from 'vitest'
import { refuse, type VerifyResult } from '../auth/claims.ts'
import { createRevocations, type Revocations } from '../auth/revocations.ts'
import { createLimitWatch } from '../observe/limit-watch.ts'
import { createMetrics } from '../observe/metrics.ts'
import { Turns } from '../sync/turns.ts'
import type { HttpLimits, HttpParts } from './http-parts.ts'
import type { Operator } from './operator.ts'
import { RequestRates } from './request-rates.ts'
import type { Audience } from './routes.ts'
import { createHttpServer, type HttpServer } from './server.ts'
import type { StreamOpen } from './sync-streams.ts'

export const JSON_TYPE = 'application/json; charset=utf-8'
export const AUTHORIZED = { authorization: 'Bearer good' }
export const NOW_MS = 1_800_000_000_000

/** As the settings have them, but for few connections. */
export const TEST_LIMITS: HttpLimits = {
  connectionsMax: 100,
  userConnectionsMax: 100,
  newcomersMax: 100,
  requestBytesMax: 8 * 1024 * 1024,
  requestMemoryBytesMax: 128 * 1024 * 1024,
  userRequestsPerSecond: 1_000,
  stalledSecondsMax: 300,
  waitingBytesMax: 256 * 1024 * 1024,
  writeCheckpointsMax: 2_000,
  userWriteCheckpointsMax: 2_000,
}

type Started = ReturnType<typeof open> & { readonly url: string }

export async function start(parts: Partial<HttpParts> = {}, audience?: Audience): Promise<Started> {
  const opened = open(parts, audience)
  const { url } = await opened.server.listen('127.0.0.1', 0)
  onTestFinished(() => opened.server.stop(0))
  return { ...opened, url }
}

export function open(
  parts: Partial<HttpParts> = {},
  audience?: Audience,
): {
  readonly server: HttpServer
  readonly opened: StreamOpen[]
  readonly events: (readonly [level: string, event: string, fields: unknown])[]
  readonly registry: Registry
} {
  const opened: StreamOpen[] = []
  const events: [string, string, unknown][] = []
  const registry = new Registry()
  const write =
    (level: string) =>
    (event: string, fields?: unknown): void => {
      events.push([level, event, fields])
    }
  const log = { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') }
  const metrics = createMetrics(registry)
  const server = createHttpServer(
    {
      verify,
      revocations: openRevocations(),
      openStream: (request) => {
        opened.push(request)
        return chunksOf(['{"token_expires_in":60}\n'])
      },
      requestWriteCheckpoint: async () => 1n,
      requestCheckpointNumber: async (_, number) => number,
      awaitCheckpoint: async () => toOpId(1n),
      readHealth: async () => ({ started: true, ready: true, touchedAtMs: NOW_MS, problem: undefined }),
      readMetrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
      operator: NO_OPERATOR,
      takePlaceAmongAll: () => ({ granted: Promise.resolve(), giveBack: () => {} }),
      limits: TEST_LIMITS,
      limitWatch: createLimitWatch({ log, metrics, nowMs: () => NOW_MS }),
      rates: new RequestRates((parts.limits ?? TEST_LIMITS).userRequestsPerSecond, () => NOW_MS),
      turns: new Turns(),
      random: () => 0,
      chooseRetryAfterMs: () => undefined,
      metrics,
      log,
      nowMs: () => NOW_MS,
      ...parts,
    },
    audience,
  )
  return { server, opened, events, registry }
}

/** Empty, and stored nowhere. */
export function openRevocations(): Revocations {
  return createRevocations({
    stored: [],
    store: async () => {},
    lifetimeMaxSeconds: 86_400,
    log: { info: () => {}, warn: () => {} },
    metrics: createMetrics(new Registry()),
    nowMs: () => NOW_MS,
  })
}

const notAsked = (): never => {
  throw new Error('nobody should ask for this')
}

/** Refuses everybody. */
export const NO_OPERATOR: Operator = {
  tokens: [],
  readDiagnostics: notAsked,
  readSchema: notAsked,
  validate: notAsked,
  readCurrent: notAsked,
  deploy: notAsked,
  reprocess: notAsked,
  revoke: notAsked,
  compact: notAsked,
  readCompaction: notAsked,
  describe: notAsked,
}

async function verify(token: string): Promise<VerifyResult> {
  if (token !== 'good') return refuse('auth-bad-token', 'Not good')
  return { kind: 'verified', user: { userId: 'u1', claims: { sub: 'u1' }, expiresAtMs: NOW_MS + 60_000 } }
}

export async function* chunksOf(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

export async function* failing(texts: readonly string[], error: Error): AsyncGenerator<Uint8Array> {
  yield* chunksOf(texts)
  throw error
}

/** One line, and then nothing until it is told to stop. */
export async function* endless(_open: StreamOpen, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield Buffer.from('{"token_expires_in":60}\n')
  if (!signal.aborted) await once(signal, 'abort')
}

export function json(value: unknown): RequestInit {
  return { body: JSON.stringify(value), headers: { 'content-type': 'application/json' } }
}

export function withToken(init: RequestInit): RequestInit {
  return { method: 'POST', ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), ...AUTHORIZED } }
}

/** A request without any header that `fetch` would add. */
export async function rawPost(
  url: string,
  headers: Record<string, string>,
  body: object = { raw_data: true },
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  const request = httpRequest(`${url}/sync/stream`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
  })
  request.end(JSON.stringify(body))
  const [response] = await once(request, 'response')
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece)
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces) }
}

export async function rawHeaders(
  url: string,
  headers: Record<string, string>,
  body: object,
): Promise<Record<string, unknown>> {
  const response = await rawPost(url, headers, body)
  return { status: response.status, ...response.headers }
}

/** A client that asks for a stream and then reads nothing. */
export async function openSlowly(url: string, encoding: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.pause()
  socket.write(
    `POST /sync/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Token good\r\nAccept-Encoding: ${encoding}\r\nContent-Length: 0\r\n\r\n`,
  )
  return socket
}

/** Resolves to the value once it has been the same for a while. */
export async function untilStill(read: () => number): Promise<number> {
  let last = -1
  await expect
    .poll(
      () => {
        const isStill = read() === last
        last = read()
        return isStill
      },
      { interval: 200, timeout: 8_000 },
    )
    .toBe(true)
  return last
}
