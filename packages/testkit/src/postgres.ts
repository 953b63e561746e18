import { randomBytes } from 'node:crypto'

import type { EmbeddedPostgres, EmbeddedPostgresOptions } from 'headwater/embedded-postgres'
import { startEmbeddedPostgres } from 'headwater/embedded-postgres'
import { Client } from 'pg'

export type TestPostgres = EmbeddedPostgres

export type TestDatabase = {
  /** Superuser. */
  readonly url: string
  readonly name: string
  /**
   * Runs a statement and returns its rows as `pg` reads them; without parameters, several statements at once (then
   * nothing comes back). One connection, statements one after the other.
   */
  readonly sql: (text: string, parameters?: readonly unknown[]) => Promise<readonly SqlRow[]>
  /** Drops the database with its replication slots, whoever still uses them. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export type SqlRow = Readonly<Record<string, unknown>>

/** A real server for one test file, started in a quarter of a second; gone when the file ends, however it ends. */
export function startTestPostgres(options: EmbeddedPostgresOptions = {}): Promise<TestPostgres> {
  return startEmbeddedPostgres({ ...options, settings: { max_connections: '200', ...options.settings } })
}

/** A fresh database, so that tests of one file cannot see each other's rows. */
export async function createTestDatabase(cluster: { readonly url: string }): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await runAsAdmin(cluster.url, async (admin) => {
    await admin.query(`CREATE DATABASE ${name}`)
  })
  const url = new URL(cluster.url)
  url.pathname = `/${name}`
  const client = new Client({ connectionString: url.href })
  // A server that a test stops closes this connection; the next statement says so.
  client.on('error', () => {})
  await client.connect()
  // A connection takes one statement after the other.
  const ignore = (): void => {}
  let last = Promise.resolve()

  return {
    url: url.href,
    name,
    sql: async (text, parameters) => {
      const running = last.then(() =>
        client.query<SqlRow>(text, parameters === undefined ? undefined : [...parameters]),
      )
      last = running.then(ignore, ignore)
      const result = await running
      return Array.isArray(result) ? [] : result.rows
    },
    [Symbol.asyncDispose]: async () => {
      await client.end()
      await runAsAdmin(cluster.url, (admin) => dropDatabase(admin, name))
    },
  }
}

const END_SLOT_READERS = `
SELECT pg_terminate_backend(active_pid, 5000)
FROM pg_replication_slots
WHERE database = $1
  AND active_pid IS NOT NULL`

const DROP_SLOTS = `
SELECT pg_drop_replication_slot(slot_name)
FROM pg_replication_slots
WHERE database = $1`

async function dropDatabase(admin: Client, name: string): Promise<void> {
  // A slot keeps its database from being dropped, FORCE or not.
  await admin.query(END_SLOT_READERS, [name])
  await admin.query(DROP_SLOTS, [name])
  await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
}

async function runAsAdmin(url: string, run: (admin: Client) => Promise<void>): Promise<void> {
  const admin = new Client({ connectionString: url })
  await admin.connect()
  try {
    await run(admin)
  } finally {
    await admin.end()
  }
}
