import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Revocation } from '../auth/revocation.ts'
import { realClock } from './replication.test-parts.ts'
import { watchRevocations } from './watch-revocations.ts'

const TABLE = `
  CREATE TABLE headwater_revocations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL,
    client_id text,
    token_id text,
    issued_before timestamptz NOT NULL DEFAULT now(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id()
  );
  CREATE INDEX ON headwater_revocations (transaction)`

const REVOKE = 'INSERT INTO headwater_revocations (user_id) VALUES ($1)'
const LIFETIME_SECONDS = 3_600

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

test('a table that is made later is read, dropped and made again without a word', async () => {
  await using stage = await open()
  await stage.db.sql(TABLE)
  await stage.db.sql(REVOKE, ['ann'])
  await stage.until('ann')
  await stage.db.sql('DROP TABLE headwater_revocations')
  await stage.db.sql(TABLE)
  await stage.db.sql(REVOKE, ['bob'])
  await stage.until('bob')
  expect(stage.events).toEqual([])
})

test('a table of another shape, or one that may not be read, is told of once, and read when it is mended', async () => {
  await using stage = await open()
  await stage.db.sql('CREATE TABLE headwater_revocations (user_id text)')
  await expect.poll(() => stage.events.length).toBe(1)
  expect(stage.events[0]).toMatchObject({
    event: 'revocations-unread',
    code: 'source-not-ready',
    message: expect.stringMatching(/table of revocations public\."headwater_revocations": .*column/),
  })
  await stage.polled(3)
  expect(stage.events).toHaveLength(1)
  await stage.db.sql('DROP TABLE headwater_revocations')
  await stage.db.sql(TABLE)
  await stage.db.sql(REVOKE, ['ann'])
  await stage.until('ann')
})

test('a schema that the role may not use is told of, too', async () => {
  const db = await createTestDatabase(postgres)
  await db.sql(`CREATE ROLE guest LOGIN PASSWORD 'guest'; CREATE SCHEMA closed`)
  const url = new URL(db.url)
  Object.assign(url, { username: 'guest', password: 'guest' })
  await using stage = await open(db, { url: url.href, table: 'closed.revocations' })
  await expect.poll(() => stage.events.length).toBe(1)
  expect(stage.events[0]).toMatchObject({
    code: 'source-not-ready',
    message: expect.stringContaining('permission denied'),
  })
})

test('a connection that is lost is opened again, and what came meanwhile is read', async () => {
  await using stage = await open()
  await stage.db.sql(TABLE)
  await stage.db.sql(REVOKE, ['ann'])
  await stage.until('ann')
  await stage.db.sql(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headwater revocations' AND datname = current_database()",
  )
  await stage.db.sql(REVOKE, ['bob'])
  await stage.until('bob')
  expect(stage.events.map(({ event }) => event)).toEqual(['revocations-unread'])
})

test('a row that is changed in place is noticed when everything is read again', async () => {
  await using stage = await open()
  await stage.db.sql(TABLE)
  await stage.db.sql("INSERT INTO headwater_revocations (user_id, token_id) VALUES ('ann', 'one')")
  await stage.until('ann')
  await stage.db.sql("UPDATE headwater_revocations SET token_id = 'two'")
  stage.skip(61_000)
  await expect.poll(() => stage.added.some(({ tokenId }) => tokenId === 'two')).toBe(true)
})

test('rows say whom they are of; those without a user, and those whose tokens have expired, say nothing', async () => {
  await using stage = await open()
  await stage.db.sql(TABLE.replace('user_id text NOT NULL', 'user_id text'))
  await stage.db.sql(`
    INSERT INTO headwater_revocations (user_id, client_id, token_id, issued_before) VALUES
      (NULL, NULL, NULL, now()), ('', NULL, NULL, now()),
      ('expired', NULL, NULL, now() - interval '1 hour 1 second'),
      ('later', NULL, NULL, 'infinity'),
      ('ann', 'phone', 't1', '2100-01-01'), ('bob', '', '', now())`)
  await stage.until('bob')
  expect(new Set(stage.added.map(({ userId }) => userId))).toEqual(new Set(['ann', 'bob', 'later']))
  expect(stage.added.find(({ userId }) => userId === 'ann')).toMatchObject({ clientId: 'phone', tokenId: 't1' })
  expect(stage.added.find(({ userId }) => userId === 'bob')).toMatchObject({ clientId: undefined, tokenId: undefined })
  for (const { issuedBeforeMs } of stage.added) expect(issuedBeforeMs).toBeLessThan(Date.now() + 61_000)
})

test('looking for new rows reads none of the old ones, however many there are', async () => {
  await using stage = await open()
  await stage.db.sql(TABLE)
  await stage.db.sql(
    "INSERT INTO headwater_revocations (user_id) SELECT 'user' || n FROM generate_series(1, 50000) AS n",
  )
  await stage.db.sql('ANALYZE headwater_revocations')
  await expect.poll(() => stage.added.length, { timeout: 10_000 }).toBe(50_000)
  const explain = async (from: string): Promise<string> => {
    const rows = await stage.db.sql(`
      EXPLAIN SELECT user_id FROM headwater_revocations
      WHERE "transaction" >= ${from} AND issued_before > now() - make_interval(secs => ${LIFETIME_SECONDS})
      ORDER BY issued_before DESC LIMIT 100001`)
    return JSON.stringify(rows)
  }
  expect(await explain('pg_snapshot_xmin(pg_current_snapshot())')).toContain('Index Scan')
  const polls = stage.polls()
  await stage.polled(3)
  expect([stage.added.length, stage.polls() > polls]).toEqual([50_000, true])
})

type Stage = AsyncDisposable & {
  readonly db: TestDatabase
  readonly added: readonly Revocation[]
  readonly events: readonly { readonly event: string; readonly code?: unknown }[]
  readonly until: (userId: string) => Promise<void>
  /** Moves the clock of the watch on. */
  readonly skip: (byMs: number) => void
  /** How often the watch has waited. */
  readonly polls: () => number
  /** Resolves when the watch has waited so many times more. */
  readonly polled: (times: number) => Promise<void>
}

async function open(
  given?: TestDatabase,
  options: Partial<Parameters<typeof watchRevocations>[0]> = {},
): Promise<Stage> {
  const db = given ?? (await createTestDatabase(postgres))
  const added: Revocation[] = []
  const events: { event: string; code?: unknown }[] = []
  const stopping = new AbortController()
  let skippedMs = 0
  let polls = 0
  const note = (event: string, fields = {}): void => void events.push({ event, ...fields })
  const ended = watchRevocations(
    {
      url: db.url,
      table: 'headwater_revocations',
      lifetimeMaxSeconds: LIFETIME_SECONDS,
      add: async (revocations) => void added.push(...revocations),
      clock: {
        nowMs: () => Date.now() + skippedMs,
        wait: (delayMs, signal) => {
          polls += 1
          return realClock.wait(Math.min(delayMs, 20), signal)
        },
      },
      log: { info: note, warn: note },
      ...options,
    },
    stopping.signal,
  )
  const polled = async (times: number): Promise<void> => {
    const after = polls + times
    await expect.poll(() => polls).toBeGreaterThanOrEqual(after)
  }
  // The first look, at a database without the table.
  await polled(1)
  return {
    db,
    added,
    events,
    until: (userId) => expect.poll(() => added.some((one) => one.userId === userId)).toBe(true),
    skip: (byMs) => (skippedMs += byMs),
    polls: () => polls,
    polled,
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await ended
      await db[Symbol.asyncDispose]()
    },
  }
}
