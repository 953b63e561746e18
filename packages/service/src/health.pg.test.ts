import { globSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createTestDatabase, startFaultProxy, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startService, type Service } from './main.ts'
import { openSession } from './postgres/connection.ts'
import { parseSourceUrl } from './postgres/source-url.ts'
import { openWalStream } from './postgres/wal-stream.ts'

const SYNC_CONFIG = 'config:\n  edition: 3\nstreams:\n  all:\n    auto_subscribe: true\n    query: SELECT * FROM notes'

/** What is promised. A machine that does ten things at once gets some more. */
const PROMISED_MS = 15_000
const SLACK_MS = 10_000
const HEALED_MS = 45_000

let folder: string
let postgres: TestPostgres
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-health-'))
  await chmod(folder, 0o755)
  postgres = await startTestPostgres()
})
afterAll(async () => {
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
})

describe(
  'readiness is lost within 15 s, says why, and comes back by itself',
  { timeout: 120_000, concurrent: true },
  () => {
    test('[protocol 14] when the replication connection is stalled', async () => {
      await using db = await createNotes(postgres)
      await using proxy = await startStallingProxy(postgres.port, 'replication\0database')
      await using service = await start('stalled', withPort(db.url, proxy.port), db.name)
      proxy.stall()
      expect(await untilNotReady(service, 'wal')).toMatchObject({
        stage: 'wal',
        reason: 'The log of the source does not arrive',
      })
      proxy.goOn()
      await untilReady(service)
    })

    test('when every connection to Postgres is stalled', async () => {
      await using db = await createNotes(postgres)
      await using proxy = await startFaultProxy(postgres.port)
      await using service = await start('silent', withPort(db.url, proxy.port), db.name)
      proxy.setFault({ kind: 'stall' })
      expect(await untilNotReady(service, 'source')).toMatchObject({ stage: 'source' })
      proxy.setFault({ kind: 'none' })
      await untilReady(service)
    })

    test('when storage is locked by another program', async () => {
      await using db = await createNotes(postgres)
      await using service = await start('locked', db.url, db.name)
      const [file] = globSync(join(folder, 'locked', 'generation-*.sqlite'))
      using other = new DatabaseSync(file ?? '')
      other.exec('BEGIN IMMEDIATE')
      expect(await untilNotReady(service, 'storage')).toMatchObject({ stage: 'storage', code: 'storage-failed' })
      other.exec('ROLLBACK')
      await untilReady(service)
    })

    test('when Postgres is stopped', async () => {
      const dataDir = join(folder, 'postgres')
      const first = await startTestPostgres({ dataDir })
      const db = await createNotes(first)
      await using service = await start('stopped', db.url, db.name)
      await first.stop('fast')
      expect(await untilNotReady(service, 'source')).toMatchObject({ stage: 'source', code: 'source-unreachable' })
      await using second = await startTestPostgres({ dataDir, port: first.port })
      expect(second.port).toBe(first.port)
      await untilReady(service)
    })

    test('when another program reads the slot', async () => {
      await using db = await createNotes(postgres)
      await using service = await start('robbed', db.url, db.name)
      const rival = await takeSlot(db.url, db.name)
      expect(await untilNotReady(service, 'slot')).toMatchObject({ stage: 'slot', code: 'slot-in-use' })
      await rival[Symbol.asyncDispose]()
      await untilReady(service)
    })
  },
)

test('a canary writes so little WAL that an idle source hardly notices', async () => {
  await using db = await createNotes(postgres)
  const [before] = await db.sql('SELECT pg_current_wal_lsn() AS lsn')
  for (let n = 0; n < 100; n += 1) {
    await db.sql(`SELECT pg_logical_emit_message(true, 'headwater', '{"kind":"canary","slot":"headwater"}')`)
  }
  const [after] = await db.sql('SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::int AS bytes', [before?.['lsn']])
  // 144 with PostgreSQL 18: 2.5 MB a day.
  expect(Number(after?.['bytes']) / 100).toBeLessThan(400)
})

type Probed = AsyncDisposable & { readonly service: Service }

async function start(name: string, url: string, slot: string): Promise<Probed> {
  const service = await startService({
    source: { url, slot },
    storage: { path: join(folder, name) },
    syncConfig: { content: SYNC_CONFIG },
    http: { port: 0 },
    auth: { secret: 'a secret that is long enough for HS256' },
    log: { level: 'silent' },
  })
  const probed = { service, [Symbol.asyncDispose]: service.stop }
  await untilReady(probed)
  return probed
}

/** What the body says of the problem at this stage. The process stays alive all the while. */
async function untilNotReady({ service }: Probed, stage: string): Promise<unknown> {
  let body:
    | {
        readonly ready: boolean
        readonly problem?: { readonly stage: string; readonly since: string; readonly remedy: string }
      }
    | undefined
  const isNotReady = async (): Promise<boolean> => {
    const readiness = await fetch(`${service.url}/probes/readiness`)
    body = (await readiness.json()) as typeof body
    expect((await fetch(`${service.url}/probes/liveness`)).status).toBe(200)
    return readiness.status === 400 && body?.problem?.stage === stage
  }
  await vi.waitUntil(isNotReady, { interval: 200, timeout: PROMISED_MS + SLACK_MS })
  expect(body).toMatchObject({ ready: false, problem: { since: expect.any(String), remedy: expect.any(String) } })
  return body?.problem
}

async function untilReady({ service }: Probed): Promise<void> {
  const isReady = async (): Promise<boolean> => (await fetch(`${service.url}/probes/readiness`)).status === 200
  await vi.waitUntil(isReady, { interval: 100, timeout: HEALED_MS })
}

async function createNotes(cluster: TestPostgres): ReturnType<typeof createTestDatabase> {
  const db = await createTestDatabase(cluster)
  await db.sql('CREATE TABLE notes (id text PRIMARY KEY)')
  return db
}

function withPort(url: string, port: number): string {
  const changed = new URL(url)
  changed.port = String(port)
  return changed.href
}

/** Ends the reader of the slot, and is the next one: sometimes only after the service was, once more. */
async function takeSlot(url: string, slot: string): Promise<AsyncDisposable> {
  const source = parseSourceUrl(url, {})
  await using control = await openSession(source, { applicationName: 'rival control', kind: 'sql' })
  for (;;) {
    const rival = await openSession(source, { applicationName: 'rival', kind: 'replication' })
    await control.query(
      'SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = $1',
      [slot],
    )
    try {
      const options = { slot, publication: 'headwater', from: 0n as never, senderTimeoutMs: 0, now: Date.now }
      return await openWalStream(rival, options)
    } catch {
      rival.destroy()
    }
  }
}

/** Forwards TCP; connections in whose beginning `word` stands can be held up. */
async function startStallingProxy(port: number, word: string) {
  const sockets = new Set<Socket>()
  const held = new Set<readonly [Socket, Socket]>()
  let isStalled = false
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => sockets.delete(socket))
    }
    near.on('data', (chunk: Buffer) => {
      if (!chunk.includes(word)) return
      held.add([near, far])
      if (isStalled) hold([near, far])
    })
    near.pipe(far)
    far.pipe(near)
  })
  const hold = ([near, far]: readonly [Socket, Socket]): void => {
    near.unpipe(far).pause()
    far.unpipe(near).pause()
  }
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    stall: () => {
      isStalled = true
      for (const pair of held) hold(pair)
    },
    goOn: () => {
      isStalled = false
      for (const [near, far] of held) {
        near.pipe(far)
        far.pipe(near)
      }
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
