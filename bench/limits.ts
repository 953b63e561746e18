import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { openCopyFrames } from './copy-frames.ts'

/** How fast this machine gives away what must be taken from it, to a reader that does the least possible. */
export type Limit = { readonly units: number; readonly ms: number; readonly cpuMs: number }

export function startMeasure(): (units: number) => Limit {
  const cpu = process.cpuUsage()
  const startedAtMs = performance.now()
  return (units) => {
    const { user, system } = process.cpuUsage(cpu)
    return { units, ms: performance.now() - startedAtMs, cpuMs: (user + system) / 1_000 }
  }
}

export function perSecond({ units, ms }: { readonly units: number; readonly ms: number }): number {
  return (units / ms) * 1_000
}

/** Copies a table to nowhere. Units are rows. */
export async function discardCopy(url: string, table: string): Promise<Limit> {
  const measure = startMeasure()
  using copy = await openCopyFrames({ connectionString: url }, `COPY ${table} TO STDOUT`)
  let rows = 0
  for await (const batch of copy.batches) rows += batch.length
  return measure(rows)
}

/** A slot of its own at the present end of the log, for `openChanges`. */
export async function createSlot(url: string, slot: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  await client.end()
}

const XLOG_DATA = 'w'.charCodeAt(0)
const INSERT = 'I'.charCodeAt(0)

/** Tag, start, end and clock stand in front of the pgoutput message. */
const XLOG_HEADER_BYTES = 25

export type ChangeStream = Disposable & {
  /** pgoutput messages that arrived together: views, valid until the next. */
  readonly batches: AsyncIterable<readonly Uint8Array[]>
}

/** Reads a slot through the replication protocol, acknowledging nothing. */
export async function openChanges(url: string, slot: string): Promise<ChangeStream> {
  const options = `proto_version '1', publication_names 'headwater'`
  const copy = await openCopyFrames(
    { connectionString: url, replication: 'database' },
    `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (${options})`,
  )
  return { batches: readMessages(copy.batches), [Symbol.dispose]: () => copy[Symbol.dispose]() }
}

/** Reads a slot until `rows` inserts have passed, looking at nothing but the first byte of each message. */
export async function discardChanges(url: string, slot: string, rows: number): Promise<Limit> {
  const measure = startMeasure()
  using changes = await openChanges(url, slot)
  let seen = 0
  for await (const batch of changes.batches) {
    for (const message of batch) if (message[0] === INSERT) seen++
    if (seen >= rows) return measure(seen)
  }
  throw new Error(`The log ended after ${seen} of ${rows} inserts`)
}

/** `JSON.stringify` of lines of a thousand operations of about 100 B. Units are operations. */
export function stringifyOperations(operations: number): Limit {
  const id = '0189c0de-0000-4000-8000-000000000001'
  const operation = { op: 'PUT', object_type: 'items', object_id: id, checksum: 4_000_000_000, subkey: id }
  const data = JSON.stringify({ id, owner: 'u1', title: 'x'.repeat(60) })
  const line = Array.from({ length: 1_000 }, (_, index) => ({ op_id: String(index + 1), ...operation, data }))
  const measure = startMeasure()
  let units = 0
  for (; units < operations; units += line.length) JSON.stringify(line)
  return measure(units)
}

/** Inserts rows into a fresh table of a file, durably, in transactions of `rowsPerTransaction`. Units are rows. */
export function insertIntoSqlite(
  path: string,
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  rowsPerTransaction: number,
): Limit {
  using db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  db.exec(
    `CREATE TABLE plain (${columns.map((name, at) => (at === 0 ? `${name} TEXT PRIMARY KEY` : name)).join(', ')})`,
  )
  const insert = db.prepare(`INSERT INTO plain VALUES (${columns.map(() => '?').join(', ')})`)
  const measure = startMeasure()
  for (let at = 0; at < rows.length; at += rowsPerTransaction) {
    db.exec('BEGIN')
    for (const row of rows.slice(at, at + rowsPerTransaction)) insert.run(...row)
    db.exec('COMMIT')
  }
  return measure(rows.length)
}

async function* readMessages(
  batches: AsyncIterable<readonly Uint8Array[]>,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  for await (const batch of batches) {
    yield batch.filter((frame) => frame[0] === XLOG_DATA).map((frame) => frame.subarray(XLOG_HEADER_BYTES))
  }
}
