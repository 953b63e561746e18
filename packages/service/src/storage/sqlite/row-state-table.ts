import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { RowKey } from '../delta.ts'
import type { RowStateEntry } from './row-state-log.ts'

/** Rows in one statement: most of the cost of a small statement is the call. */
const ROWS_PER_INSERT = 64

const KEYS_PER_READ = 2_000

export type RowStatePage = { readonly rowsMax: number; readonly except: RowKey | undefined }

export type StoredRowState = { readonly key: RowKey; readonly value: Uint8Array }

/** The table `row_state`. */
export class RowStateTable {
  readonly #insertMany: StatementSync
  readonly #insertOne: StatementSync
  readonly #deleteMany: StatementSync
  readonly #findMany: StatementSync
  readonly #readPage: StatementSync

  constructor(writer: DatabaseSync) {
    this.#insertMany = writer.prepare(insertStatement(ROWS_PER_INSERT))
    this.#insertOne = writer.prepare(insertStatement(1))
    this.#deleteMany = writer.prepare('DELETE FROM row_state WHERE key IN (SELECT value FROM json_each(?))')
    this.#findMany = writer.prepare('SELECT key, value FROM row_state WHERE key IN (SELECT value FROM json_each(?))')
    this.#readPage = writer.prepare(
      'SELECT key, value FROM row_state WHERE key >= ? AND key < ? AND key IS NOT ? ORDER BY key LIMIT ?',
    )
    for (const statement of [this.#findMany, this.#readPage]) statement.setReturnArrays(true)
  }

  /** Each key once; fastest in the order of the keys. */
  write(entries: readonly RowStateEntry[]): void {
    const removed: RowKey[] = []
    const kept: (RowKey | Uint8Array)[] = []
    for (const { key, value } of entries) {
      if (value === undefined) removed.push(key)
      else kept.push(key, value)
    }
    if (removed.length > 0) this.#deleteMany.run(JSON.stringify(removed))
    for (let at = 0; at < kept.length;) {
      const isFull = kept.length - at >= ROWS_PER_INSERT * 2
      const end = at + (isFull ? ROWS_PER_INSERT : 1) * 2
      const statement = isFull ? this.#insertMany : this.#insertOne
      statement.run(...kept.slice(at, end))
      at = end
    }
  }

  /** Only rows that are known. */
  *find(keys: readonly RowKey[]): Generator<StoredRowState> {
    for (let at = 0; at < keys.length; at += KEYS_PER_READ) {
      const some = JSON.stringify(keys.slice(at, at + KEYS_PER_READ))
      for (const row of this.#findMany.iterate(some)) yield toStored(row)
    }
  }

  /** Rows with `from` ≤ key < `end`, but not `except`, in the order of the UTF-8 bytes of their keys. */
  *readPage(from: string, end: string, page: RowStatePage): Generator<StoredRowState> {
    for (const row of this.#readPage.iterate(from, end, page.except ?? null, page.rowsMax)) yield toStored(row)
  }
}

function toStored(row: unknown): StoredRowState {
  assert(Array.isArray(row))
  const [key, value]: unknown[] = row
  assert(typeof key === 'string' && value instanceof Uint8Array)
  return { key: key as RowKey, value }
}

function insertStatement(rows: number): string {
  return `INSERT OR REPLACE INTO row_state (key, value) VALUES ${Array(rows).fill('(?, ?)').join(', ')}`
}
