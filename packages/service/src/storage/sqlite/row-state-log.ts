import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { RowKey } from '../delta.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

/** `value` undefined: the row has no state any more. */
export type RowStateEntry = { readonly key: RowKey; readonly value: Uint8Array | undefined }

/**
 * Row states that were not merged into the table `row_state` yet. The entries are in SQLite in the order they came,
 * one row a delta, to be found after a crash, and in memory, from where they are read.
 *
 *     entry  varint bytes of the key, key, varint 0; or varint n + 1 and n bytes of the value
 *
 * The last entry of a key counts.
 */
export class RowStateLog {
  readonly #insert: StatementSync
  readonly #delete: StatementSync
  readonly #readAll: StatementSync
  #bytes = new ByteWriter(65_536)
  /** Where in `#bytes` the value of a key begins. */
  #places = new Map<RowKey, number>()
  #lastSeq = 0
  #storedBytes = 0

  constructor(writer: DatabaseSync) {
    this.#insert = writer.prepare('INSERT INTO row_state_log (seq, body) VALUES (?, ?)')
    this.#delete = writer.prepare('DELETE FROM row_state_log WHERE seq <= ?')
    this.#readAll = writer.prepare('SELECT seq, body FROM row_state_log ORDER BY seq')
  }

  get size(): number {
    return this.#places.size
  }

  /** Of everything that was ever appended since the log was last taken. */
  get bytes(): number {
    return this.#bytes.length
  }

  keys(): IterableIterator<RowKey> {
    return this.#places.keys()
  }

  /** Forgets what is in memory and reads it from SQLite again. */
  load(): void {
    this.#reset()
    this.#lastSeq = 0
    for (const row of this.#readAll.iterate()) {
      const body = row['body']
      assert(body instanceof Uint8Array)
      this.#index(body)
      this.#lastSeq = Number(row['seq'])
    }
    this.#storedBytes = this.#bytes.length
  }

  /** An entry, in memory; `value` undefined when there is no state any more. `store` follows. */
  add(key: RowKey, value: ByteWriter | undefined): void {
    this.#bytes.prefixedText(key)
    this.#places.set(key, this.#bytes.length)
    this.#bytes.varint(value === undefined ? 0 : value.length + 1)
    if (value !== undefined) this.#bytes.append(value)
  }

  /** Puts what was added since the last time into SQLite. */
  store(): void {
    if (this.#bytes.length === this.#storedBytes) return
    this.#lastSeq += 1
    this.#insert.run(this.#lastSeq, this.#bytes.view(this.#storedBytes))
    this.#storedBytes = this.#bytes.length
  }

  /** Undefined when the log says nothing of the key. The value is a view, good until the next change. */
  find(key: RowKey): RowStateEntry | undefined {
    const place = this.#places.get(key)
    return place === undefined ? undefined : { key, value: readValue(new ByteReader(this.#bytes.view(), place)) }
  }

  /** Everything that is in the log, to be merged; the log itself is empty afterwards. */
  take(): TakenEntries {
    const taken = new TakenEntries(this.#bytes.view(), this.#places, this.#lastSeq)
    this.#bytes = new ByteWriter(65_536)
    this.#storedBytes = 0
    this.#places = new Map()
    return taken
  }

  /** What was taken is merged: SQLite need not keep it. */
  forget(taken: TakenEntries): void {
    this.#delete.run(taken.lastSeq)
  }

  #reset(): void {
    this.#bytes.reset()
    this.#places.clear()
  }

  #index(body: Uint8Array): void {
    const from = this.#bytes.length
    this.#bytes.raw(body)
    const reader = new ByteReader(body)
    while (!reader.isAtEnd) {
      const key = reader.prefixedText() as RowKey
      this.#places.set(key, from + reader.at)
      readValue(reader)
    }
  }
}

/** Entries of the log on their way into the table, in the order of their keys. */
export class TakenEntries {
  readonly lastSeq: number
  readonly #reader: ByteReader
  readonly #places: ReadonlyMap<RowKey, number>
  readonly #keys: readonly RowKey[]
  #merged = 0

  constructor(bytes: Uint8Array, places: ReadonlyMap<RowKey, number>, lastSeq: number) {
    this.lastSeq = lastSeq
    this.#reader = new ByteReader(bytes)
    this.#places = places
    // Neighbours in the table are written together: several times faster than in the order of the log.
    this.#keys = [...places.keys()].sort()
  }

  get left(): number {
    return this.#keys.length - this.#merged
  }

  keys(): IterableIterator<RowKey> {
    return this.#places.keys()
  }

  /** As `RowStateLog.find`; entries that were merged are found too. */
  find(key: RowKey): RowStateEntry | undefined {
    const place = this.#places.get(key)
    if (place === undefined) return undefined
    this.#reader.at = place
    return { key, value: readValue(this.#reader) }
  }

  /** The next entries to be merged. */
  next(count: number): RowStateEntry[] {
    const keys = this.#keys.slice(this.#merged, this.#merged + count)
    this.#merged += keys.length
    return keys.map((key) => this.find(key) ?? { key, value: undefined })
  }
}

function readValue(reader: ByteReader): Uint8Array | undefined {
  const length = reader.varint()
  return length === 0 ? undefined : reader.raw(length - 1)
}
