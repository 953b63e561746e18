import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type IncomingMessage, type OutgoingHttpHeaders, request as sendRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { expect, vi } from 'vitest'
import type { ServiceOptions } from './config/options.ts'
import { type Service, startService } from './main.ts'

export const SECRET = 'a secret for tests, long enough for HS256'

/** The whole service over a real Postgres, as clients see it. */
export type Stage = AsyncDisposable & {
  readonly database: TestDatabase
  readonly service: Service
  readonly url: string
  readonly storagePath: string
}

export async function openStage(options: {
  readonly tables: string
  readonly syncConfig: string
  readonly settings?: Partial<ServiceOptions>
}): Promise<Stage> {
  await using opened = new AsyncDisposableStack()
  const postgres: TestPostgres = await startTestPostgres()
  opened.defer(() => postgres.stop())
  const database = opened.use(await createTestDatabase(postgres))
  await database.sql(options.tables)
  const path = await mkdtemp(join(tmpdir(), 'headwater-protocol-'))
  opened.defer(() => rm(path, { recursive: true, force: true }))
  const service = await startService({
    source: { url: database.url, slot: database.name },
    storage: { path },
    syncConfig: { content: options.syncConfig },
    http: { port: 0 },
    auth: { secret: SECRET, audience: ['tests'] },
    log: { level: 'silent' },
    ...options.settings,
  })
  opened.defer(service.stop)
  const isReady = async (): Promise<boolean> => (await fetch(`${service.url}/probes/readiness`)).status === 200
  await vi.waitUntil(isReady, { timeout: 20_000 })
  const rooms = opened.move()
  return { database, service, url: service.url, storagePath: path, [Symbol.asyncDispose]: () => rooms.disposeAsync() }
}

export function tokenOf(userId: string, ttlSeconds = 300, more: object = {}): string {
  const now = Math.floor(Date.now() / 1000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: userId, aud: 'tests', iat: now - 100, exp: now + ttlSeconds, ...more }
  const signed = `${part({ alg: 'HS256' })}.${part(claims)}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

export function authorized(userId: string): { readonly authorization: string; readonly 'content-type': string } {
  return { authorization: `Token ${tokenOf(userId)}`, 'content-type': 'application/json' }
}

/** The answer to one request, its body as it came. */
export type Answer = {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly text: string
  readonly json: () => unknown
}

/** Sends one request with these headers and no others of its own, and reads the answer to its end. */
export async function send(
  url: string,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: string,
): Promise<Answer> {
  const sending = sendRequest(url + path, { method, agent: false, headers })
  sending.end(body === '' ? undefined : body)
  const [response] = (await once(sending, 'response')) as [IncomingMessage]
  const bytes = await buffer(response)
  const text = bytes.toString()
  const json = (): unknown => JSON.parse(text)
  return { status: response.statusCode ?? 0, headers: response.headers, body: bytes, text, json }
}

/** One line as it came, with its line feed, and what it says. */
export type RawLine = {
  readonly text: string
  // oxlint-disable-next-line typescript/no-explicit-any -- Tests look into lines of every kind.
  readonly json: any
  readonly kind: string
}

export type OpenedStream = AsyncDisposable & {
  readonly headers: IncomingMessage['headers']
  /** Undefined at a normal end. */
  readonly next: () => Promise<RawLine | undefined>
  /** Up to a line of this kind, which is the last. */
  readonly until: (kind: string) => Promise<readonly RawLine[]>
}

/** Opens a sync stream and hands out its bytes line by line; keepalive lines too. */
export async function openLines(
  url: string,
  token: string,
  body: object,
  headers: OutgoingHttpHeaders = {},
): Promise<OpenedStream> {
  const sending = sendRequest(`${url}/sync/stream`, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Token ${token}`, 'content-type': 'application/json', ...headers },
  })
  sending.end(JSON.stringify(body))
  const [response] = (await once(sending, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(200)
  const lines = cutLines(decompress(response))
  const next = async (): Promise<RawLine | undefined> => (await lines.next()).value ?? undefined
  return {
    headers: response.headers,
    next,
    until: async (kind) => {
      const read: RawLine[] = []
      for (let line = await next(); line !== undefined; line = await next()) {
        read.push(line)
        if (line.kind === kind) return read
      }
      throw new Error(`The stream ended without ${kind}, after ${read.map((line) => line.kind).join(' ')}`)
    },
    [Symbol.asyncDispose]: async () => {
      sending.destroy()
    },
  }
}

function decompress(response: IncomingMessage): Readable {
  const encoding = response.headers['content-encoding']
  if (encoding === 'gzip') return response.pipe(createGunzip())
  return encoding === 'zstd' ? response.pipe(createZstdDecompress()) : response
}

async function* cutLines(response: Readable): AsyncGenerator<RawLine, void, undefined> {
  let rest = ''
  for await (const chunk of response.setEncoding('utf8')) {
    rest += String(chunk)
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n')) {
      const text = rest.slice(0, end + 1)
      rest = rest.slice(end + 1)
      const json: unknown = JSON.parse(text)
      yield { text, json, kind: Object.keys(json as object).join(' ') }
    }
  }
  // A normal end is behind a line feed.
  expect(rest).toBe('')
}
