import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { RowKey, RowState, RowStateChange, RowStates } from '../delta.ts'
import { ByteWriter } from './bytes.ts'
import { decodeRowState, encodeRowState, type RowStateNames } from './row-state-codec.ts'

/** Rows in one statement: most of the cost of a small statement is the call. */
const ROWS_PER_INSERT = 64

const KEYS_PER_READ = 2_000

const PAGE_ROWS = 1_000

/** The table `row_state`. */
export class RowStateTable {
  readonly #names: RowStateNames
  readonly #value = new ByteWriter()
  readonly #insertMany: StatementSync
  readonly #insertOne: StatementSync
  readonly #deleteMany: StatementSync
  readonly #findMany: StatementSync
  readonly #readPage: StatementSync

  constructor(writer: DatabaseSync, names: RowStateNames) {
    this.#names = names
    this.#insertMany = writer.prepare(insertStatement(ROWS_PER_INSERT))
    this.#insertOne = writer.prepare(insertStatement(1))
    this.#deleteMany = writer.prepare('DELETE FROM row_state WHERE key IN (SELECT value FROM json_each(?))')
    this.#findMany = writer.prepare('SELECT key, value FROM row_state WHERE key IN (SELECT value FROM json_each(?))')
    this.#readPage = writer.prepare('SELECT key, value FROM row_state WHERE key > ? AND key < ? ORDER BY key LIMIT ?')
    for (const statement of [this.#findMany, this.#readPage]) statement.setReturnArrays(true)
  }

  /** The last change of a row counts. */
  write(changes: readonly RowStateChange[]): void {
    const last = new Map<RowKey, RowState | undefined>()
    for (const { row, after } of changes) last.set(row, after)
    const removed: RowKey[] = []
    const kept: RowKey[] = []
    for (const [row, after] of last) (after === undefined ? removed : kept).push(row)
    if (removed.length > 0) this.#deleteMany.run(JSON.stringify(removed))
    // Neighbours in the tree are written together: several times faster than in the order of the log.
    kept.sort()
    for (let at = 0; at < kept.length;) {
      const isFull = kept.length - at >= ROWS_PER_INSERT
      const rows = kept.slice(at, at + (isFull ? ROWS_PER_INSERT : 1))
      const statement = isFull ? this.#insertMany : this.#insertOne
      statement.run(...this.#bind(rows, last))
      at += rows.length
    }
  }

  /** Only rows that are known are in the answer. */
  read(keys: readonly RowKey[]): RowStates {
    const states = new Map<RowKey, RowState>()
    for (let at = 0; at < keys.length; at += KEYS_PER_READ) {
      const some = JSON.stringify(keys.slice(at, at + KEYS_PER_READ))
      for (const row of this.#findMany.iterate(some)) this.#addTo(states, row)
    }
    return states
  }

  /** Rows whose key begins with `prefix`, in pages. Sees the changes of others between pages. */
  async *readAll(prefix: string): AsyncGenerator<RowStates> {
    // Keys are ordered by their UTF-8 bytes, and no UTF-8 begins with the last code point.
    const end = `${prefix}\u{10ffff}`
    let after = prefix
    for (;;) {
      const states = new Map<RowKey, RowState>()
      for (const row of this.#readPage.iterate(after, end, PAGE_ROWS)) after = this.#addTo(states, row)
      if (states.size > 0) yield states
      if (states.size < PAGE_ROWS) return
    }
  }

  #bind(rows: readonly RowKey[], states: ReadonlyMap<RowKey, RowState | undefined>): (string | Uint8Array)[] {
    const value = this.#value
    value.reset()
    const ends: number[] = []
    for (const row of rows) {
      const state = states.get(row)
      assert(state !== undefined)
      encodeRowState(value, row, state, this.#names)
      ends.push(value.length)
    }
    const bytes = value.view()
    return rows.flatMap((row, n) => [row, bytes.subarray(ends[n - 1] ?? 0, ends[n])])
  }

  #addTo(states: Map<RowKey, RowState>, row: unknown): RowKey {
    assert(Array.isArray(row))
    const [key, value]: unknown[] = row
    assert(typeof key === 'string' && value instanceof Uint8Array)
    const rowKey = key as RowKey
    states.set(rowKey, decodeRowState(value, rowKey, this.#names))
    return rowKey
  }
}

function insertStatement(rows: number): string {
  return `INSERT OR REPLACE INTO row_state (key, value) VALUES ${Array(rows).fill('(?, ?)').join(', ')}`
}
