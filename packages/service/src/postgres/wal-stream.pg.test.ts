import {
  createTestDatabase,
  startFaultProxy,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { openSession } from './connection.ts'
import { type Lsn, LSN_ZERO, parseLsn, toLsn } from './lsn.ts'
import { decodeWalMessage, type WalMessage } from './pgoutput.ts'
import { createSlot } from './slot.ts'
import { parseSourceUrl } from './source-url.ts'
import { openWalStream, type WalStream } from './wal-stream.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres({ settings: { wal_sender_timeout: '1000' } })
})

afterAll(async () => {
  await postgres.stop()
})

const SLOT = 'stream_test'

async function openDatabase(): Promise<TestDatabase> {
  const db = await createTestDatabase(postgres)
  await db.sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION headwater FOR TABLE t')
  await using session = await openSession(parseSourceUrl(db.url), { applicationName: 'test', kind: 'sql' })
  await createSlot(session, `${SLOT}_${db.name}`)
  return db
}

async function openStream(
  db: TestDatabase,
  from: Lsn = LSN_ZERO,
  port = postgres.port,
  options: { readonly senderTimeoutMs?: number; readonly now?: () => number } = {},
): Promise<WalStream> {
  const url = new URL(db.url)
  url.port = String(port)
  const session = await openSession(parseSourceUrl(url.href), { applicationName: 'test', kind: 'replication' })
  return openWalStream(session, {
    slot: `${SLOT}_${db.name}`,
    publication: 'headwater',
    from,
    senderTimeoutMs: 1_000,
    now: () => Date.now(),
    ...options,
  })
}

/** Messages until the given number of transactions is whole. */
async function readTransactions(stream: WalStream, count: number): Promise<readonly WalMessage[]> {
  const messages: WalMessage[] = []
  const needed = { get: () => [true, true] } as unknown as ReadonlyMap<number, readonly boolean[]>
  for (let ended = 0; ended < count;) {
    const read = await stream.read(new AbortController().signal)
    if (read === undefined) break
    for (let at = 0; at < read.end;) {
      const length = read.bytes.readUInt32BE(at)
      const message = decodeWalMessage(read.bytes, at + 4, at + 4 + length, needed)
      at += 4 + length
      messages.push(message)
      if (message.kind === 'commit') ended += 1
    }
  }
  return messages
}

function insertedIds(messages: readonly WalMessage[]): readonly unknown[] {
  return messages.flatMap((message) => (message.kind === 'insert' ? [message.row[0]] : []))
}

test('starting at the end of a transaction brings the next one, and one byte further loses it', async () => {
  await using db = await openDatabase()
  const slot = `${SLOT}_${db.name}`
  await using other = await createOther(db)
  // The second's change is written before the first commits, so its commit record is the next thing in the log.
  await other.query('BEGIN')
  await other.query("INSERT INTO public.t VALUES (2, 'second')")
  await db.sql("INSERT INTO t VALUES (1, 'first')")
  await other.query('COMMIT')

  let end: Lsn
  {
    await using stream = await openStream(db)
    const messages = await readTransactions(stream, 2)
    expect(insertedIds(messages)).toEqual(['1', '2'])
    const commits = messages.flatMap((message) => (message.kind === 'commit' ? [message] : []))
    end = commits[0]?.endLsn ?? LSN_ZERO
    expect(commits[1]?.commitLsn).toBe(end)
    stream.acknowledge(end)
  }
  await waitUntilFree(db, slot)
  expect(await readConfirmed(db, slot)).toBe(end)
  {
    await using stream = await openStream(db, end)
    expect(insertedIds(await readTransactions(stream, 1))).toEqual(['2'])
  }
  await waitUntilFree(db, slot)
  await db.sql("INSERT INTO t VALUES (3, 'third')")
  {
    // What the server does with a position that is one too high; here to show that the rule matters.
    await using stream = await openStream(db, toLsn(end + 1n))
    expect(insertedIds(await readTransactions(stream, 1))).toEqual(['3'])
  }
})

test('a consumer that reads nothing for longer than the server waits stays connected, with bounded memory', async () => {
  await using db = await openDatabase()
  await using stream = await openStream(db)
  await db.sql(`INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 60000) g`)
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  expect(stream.readPositions().bytesReceived).toBeLessThan(16 * 1024 * 1024)
  expect(insertedIds(await readTransactions(stream, 1))).toHaveLength(60_000)
})

test('a connection that died without a word is noticed', async () => {
  await using db = await openDatabase()
  await using proxy = await startFaultProxy(postgres.port)
  await using stream = await openStream(db, LSN_ZERO, proxy.port)
  await db.sql("INSERT INTO t VALUES (1, 'x')")
  expect(insertedIds(await readTransactions(stream, 1))).toEqual(['1'])
  proxy.setFault({ kind: 'half-open' })
  await expect(readTransactions(stream, 1)).rejects.toMatchObject({ code: 'source-unreachable' })
})

test('a server that stops is an error to try again after', async () => {
  const other = await startTestPostgres()
  const url = parseSourceUrl(other.url)
  const session = await openSession(url, { applicationName: 'test', kind: 'sql' })
  await session.query('CREATE PUBLICATION headwater')
  await createSlot(session, SLOT)
  const replication = await openSession(url, { applicationName: 'test', kind: 'replication' })
  const options = { slot: SLOT, publication: 'headwater', from: LSN_ZERO, senderTimeoutMs: 0, now: () => Date.now() }
  await using stream = await openWalStream(replication, options)
  const reading = readTransactions(stream, 1)
  reading.catch(() => undefined)
  await other.stop('immediate')
  await expect(reading).rejects.toMatchObject({ code: 'source-unreachable' })
  session.destroy()
})

async function createOther(db: TestDatabase): Promise<Awaited<ReturnType<typeof openSession>>> {
  return openSession(parseSourceUrl(db.url), { applicationName: 'other', kind: 'sql' })
}

/** The server notices a moment later that the stream is closed. */
async function waitUntilFree(db: TestDatabase, slot: string): Promise<void> {
  for (;;) {
    const [row] = await db.sql('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [slot])
    if (row?.['active'] === false) return
  }
}

async function readConfirmed(db: TestDatabase, slot: string): Promise<Lsn> {
  const [row] = await db.sql('SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1', [
    slot,
  ])
  return parseLsn(String(row?.['lsn']))
}

test('a server without a timeout of its own is asked whether it is there, and a dead connection to it is noticed', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  await using db = await openDatabase()
  await using proxy = await startFaultProxy(postgres.port)
  let skippedMs = 0
  const now = (): number => Date.now() + skippedMs
  await using stream = await openStream(db, LSN_ZERO, proxy.port, { senderTimeoutMs: 0, now })
  skippedMs += 50_000
  vi.advanceTimersByTime(10_000)
  await expect.poll(() => now() - stream.readPositions().lastHeardAtMs).toBeLessThan(10_000)

  proxy.setFault({ kind: 'half-open' })
  skippedMs += 121_000
  vi.advanceTimersByTime(10_000)
  await expect(stream.read(new AbortController().signal)).rejects.toMatchObject({
    code: 'source-unreachable',
    message: expect.stringContaining('nothing was heard'),
  })
})
