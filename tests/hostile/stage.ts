import { createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createTestDatabase,
  followStream,
  startServiceProcess,
  startTestPostgres,
  type ServiceProcess,
  type TestDatabase,
} from '@headwater/testkit'
import { expect } from 'vitest'
import { startRecorder, type Recorder } from './recorder.ts'
import { unpack } from './unpack.ts'

/** In every cell of a victim that is not the way to it: nothing that a hostile client gets may have it. */
export const CANARY = 'CANARY'
/** The same for hostile clients' own rows: that these are found shows that the search would find the others. */
export const OWN = 'MYOWNROW'

export const VICTIMS = ['victim-0', 'victim-1', 'victim-2']
export const ATTACKERS = Array.from({ length: 40 }, (_, index) => `mallory-${index}`)

/** Has so much to download that a slow reader is one. */
export const RICH_ATTACKER = 'mallory-0'

const TABLES = `
  CREATE TABLE notes (id text PRIMARY KEY, owner text NOT NULL, title text, body text, meta jsonb, raw bytea);
  CREATE TABLE members (user_id text, list text, PRIMARY KEY (user_id, list));
  CREATE TABLE tasks (id text PRIMARY KEY, list text NOT NULL, title text);
  CREATE FUNCTION fill(name text, mark text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO notes SELECT mark || '-' || name || '-' || n, name, mark || '-title', repeat(mark || '-body', 20),
      jsonb_build_object('key', mark || '-meta'), convert_to(mark || '-raw', 'UTF8') FROM generate_series(1, 20) n;
    INSERT INTO members VALUES (name, 'list-' || name);
    INSERT INTO tasks SELECT mark || '-task-' || name || '-' || n, 'list-' || name, mark || '-task' FROM generate_series(1, 20) n;
  $$;
  SELECT fill(name, '${CANARY}') FROM unnest(ARRAY['${VICTIMS.join("','")}']) name;
  SELECT fill(name, '${OWN}') FROM unnest(ARRAY['${ATTACKERS.join("','")}']) name;
  INSERT INTO notes (id, owner, body) SELECT '${OWN}-long-' || n, '${RICH_ATTACKER}',
    (SELECT string_agg(md5(n || '-' || part), '') FROM generate_series(1, 3000) part) FROM generate_series(1, 150) n;`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM notes WHERE owner = auth.user_id()
  shared:
    auto_subscribe: true
    query: SELECT * FROM tasks WHERE list IN (SELECT list FROM members WHERE user_id = auth.user_id())
  picked:
    query: SELECT * FROM tasks WHERE list = subscription.parameter('list') AND list IN (SELECT list FROM members WHERE user_id = auth.user_id())
`

const SECRET = 'a secret for hostile clients, long enough for HS256'
const MEBIBYTE = 1024 * 1024

/** Small, so that a client that gets past one is seen in the memory of the process. */
const LIMITS = {
  newcomersMax: 300,
  requestMemoryBytesMax: 32 * MEBIBYTE,
  waitingBytesMax: 16 * MEBIBYTE,
  stalledSecondsMax: 2,
}

/**
 * What hostile clients may make the process hold at most: 16 MiB of newcomers (300 with 32 KiB of headers and 16 of a
 * body), the two memories above, partial messages of WebSockets (32 MiB), one body of 8 MiB in three forms, 20 MiB for
 * cached operations; and as much again for garbage of these that is not collected yet.
 */
const GROWTH_BYTES_MAX = 260 * MEBIBYTE

/** A heap beyond this ends the process, which then fails every test. */
const HEAP_MEBIBYTES_MAX = 256

export type HostileStage = AsyncDisposable & {
  readonly database: TestDatabase
  readonly service: ServiceProcess
  /** For hostile clients: what they get there is looked through. */
  readonly recorder: Recorder
  readonly token: (userId: string, more?: object) => string
  /** A token of the key server's key, under any key id. */
  readonly signedToken: (userId: string, kid: string) => string
  readonly countKeyFetches: () => number
  /**
   * Lets hostile clients do `attack`, and then finds that nothing bad has come of it: a quiet client is served during it
   * and afterwards, memory stays within its bounds, and no canary has left. Gives what they were sent, unpacked.
   */
  readonly endure: (attack: () => Promise<void>) => Promise<Buffer>
}

export async function openHostileStage(): Promise<HostileStage> {
  await using opened = new AsyncDisposableStack()
  const postgres = await startTestPostgres()
  opened.defer(() => postgres.stop())
  const database = opened.use(await createTestDatabase(postgres))
  await database.sql(TABLES)
  const path = await mkdtemp(join(tmpdir(), 'headwater-hostile-'))
  opened.defer(() => rm(path, { recursive: true, force: true }))
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keyServer = await startKeyServer(keys.publicKey)
  opened.defer(keyServer.close)
  const service = opened.use(
    await startServiceProcess(
      {
        source: { url: database.url, slot: database.name },
        storage: { path },
        syncConfig: { content: SYNC_CONFIG },
        auth: { secret: SECRET, jwksUrls: [keyServer.url], jwksPrivate: true, audience: ['tests'] },
        limits: LIMITS,
        log: { level: 'warn' },
      },
      { execArgv: [`--max-old-space-size=${HEAP_MEBIBYTES_MAX}`] },
    ),
  )
  await service.untilReady()
  const recorder = opened.use(await startRecorder(service.url))
  const quiet = await startQuietClient(service.url, signWithSecret({ sub: 'victim-0' }))
  opened.defer(quiet.stop)
  const { residentBytes: restingBytes } = await service.readUsage()
  let rounds = 0
  const proveService = async (): Promise<void> => {
    const id = `${CANARY}-proof-${rounds++}`
    await database.sql('INSERT INTO notes (id, owner) VALUES ($1, $2)', [id, 'victim-0'])
    await quiet.until(id)
  }
  const endure = async (attack: () => Promise<void>): Promise<Buffer> => {
    recorder.forget()
    await proveService()
    const memory = watchMemory(service)
    const attacking = attack()
    await Promise.all([attacking, proveService()])
    await proveService()
    const peakBytes = await memory.stop()
    expect(peakBytes - restingBytes, 'bytes that memory has grown by').toBeLessThan(GROWTH_BYTES_MAX)
    return searchCanary(recorder.read())
  }
  const rooms = opened.move()
  return {
    database,
    service,
    recorder,
    token: (userId, more = {}) => signWithSecret({ sub: userId, ...more }),
    signedToken: (userId, kid) => sign({ alg: 'RS256', kid }, { sub: userId }, (text) => rsa(text, keys.privateKey)),
    countKeyFetches: keyServer.count,
    endure,
    [Symbol.asyncDispose]: () => rooms.disposeAsync(),
  }
}

/** No byte of a victim's row, as it is or packed. */
function searchCanary(recordings: readonly Buffer[]): Buffer {
  const base64 = Buffer.from(CANARY).toString('base64')
  const all = Buffer.concat(recordings.flatMap((recording) => [recording, ...unpack(recording)]))
  for (const text of [CANARY, base64]) expect(all.includes(text), `${text} has left the service`).toBe(false)
  return all
}

async function startKeyServer(publicKey: KeyObject): Promise<{
  readonly url: string
  readonly count: () => number
  readonly close: () => void
}> {
  let fetches = 0
  const body = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'known', use: 'sig' }] })
  const server = createServer((_, response) => {
    fetches++
    response.end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot read the port of the key server')
  return {
    url: `http://127.0.0.1:${address.port}/keys`,
    count: () => fetches,
    close: () => void server.close(),
  }
}

async function startQuietClient(
  url: string,
  token: string,
): Promise<{ readonly until: (id: string) => Promise<void>; readonly stop: () => Promise<void> }> {
  const seen = new Set<string>()
  const stop = new AbortController()
  let failure: unknown
  const stream = followStream({ url, token, format: 'ndjson', signal: stop.signal })
  const following = (async () => {
    try {
      for await (const line of stream) {
        if (line.kind !== 'data') continue
        for (const operation of line.batch.operations) if (operation.kind === 'put') seen.add(operation.id)
      }
      failure = new Error('The stream of the quiet client has ended')
    } catch (error) {
      failure = error
    }
  })()
  return {
    until: (id) =>
      expect
        .poll(
          () => {
            if (failure !== undefined) throw failure
            return seen.has(id)
          },
          { timeout: 30_000, interval: 20 },
        )
        .toBe(true),
    stop: async () => {
      stop.abort()
      await following
    },
  }
}

const SAMPLE_MS = 100

function watchMemory(service: ServiceProcess): { readonly stop: () => Promise<number> } {
  let peak = 0
  const over = new AbortController()
  const watching = (async () => {
    while (!over.signal.aborted) {
      peak = Math.max(peak, (await service.readUsage()).residentBytes)
      await new Promise((resolve) => {
        setTimeout(resolve, SAMPLE_MS)
      })
    }
  })()
  return {
    stop: async () => {
      over.abort()
      await watching
      return peak
    },
  }
}

function signWithSecret(claims: object): string {
  return sign({ alg: 'HS256' }, claims, (text) => createHmac('sha256', SECRET).update(text).digest('base64url'))
}

function rsa(text: string, key: KeyObject): string {
  return createSign('RSA-SHA256').update(text).sign(key, 'base64url')
}

function sign(header: object, claims: object, signature: (text: string) => string): string {
  const now = Math.floor(Date.now() / 1000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part(header)}.${part({ aud: 'tests', iat: now - 10, exp: now + 3_600, ...claims })}`
  return `${text}.${signature(text)}`
}
