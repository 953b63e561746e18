import type { DatabaseSync } from 'node:sqlite'
import type { RowKey, RowState, RowStateChange, RowStates } from '../delta.ts'
import { ByteWriter } from './bytes.ts'
import { decodeRowState, encodeRowState, type RowStateNames } from './row-state-codec.ts'
import { type RowStateEntry, RowStateLog, type TakenEntries } from './row-state-log.ts'
import { RowStateTable } from './row-state-table.ts'

export type RowStateLimits = {
  /** The log is merged from so many entries on, or so many bytes. */
  readonly logEntries: number
  readonly logBytes: number
  /** About so many entries are merged in one go: few enough not to keep others waiting. */
  readonly mergeEntries: number
}

/**
 * Rows with random keys change the table at random places, a page of 8 KiB each. The more of them are merged at once,
 * the more share a page; the memory for them is the price, about 150 bytes an entry, twice.
 */
const LIMITS: RowStateLimits = { logEntries: 65_536, logBytes: 16_777_216, mergeEntries: 2_048 }

/** Entries merged for each that is appended: merging ends long before the log is full again. */
const MERGED_PER_APPENDED = 2

const PAGE_ROWS = 1_000

/**
 * The states of all rows: new ones in a log, the rest in a table. When the log is full it is taken and merged into the
 * table bit by bit, by whoever appends; meanwhile a new log grows. So there are three places to look, newest first:
 * the log, what was taken of it, the table.
 *
 * Everything happens in the transaction that is open. What was taken is deleted from SQLite's copy of the log only when
 * all of it is merged; merging an entry a second time, after a crash, changes nothing.
 */
export class RowStateStore {
  readonly #names: RowStateNames
  readonly #limits: RowStateLimits
  readonly #table: RowStateTable
  readonly #log: RowStateLog
  readonly #value = new ByteWriter()
  #taken: TakenEntries | undefined
  #mergeDue = 0

  constructor(writer: DatabaseSync, names: RowStateNames, limits = LIMITS) {
    this.#names = names
    this.#limits = limits
    this.#table = new RowStateTable(writer)
    this.#log = new RowStateLog(writer)
  }

  /** Forgets what is in memory and reads it from SQLite again. */
  load(): void {
    this.#taken = undefined
    this.#mergeDue = 0
    this.#log.load()
  }

  /** The last change of a row counts. */
  write(changes: readonly RowStateChange[]): void {
    const value = this.#value
    for (const { row, after } of changes) {
      value.reset()
      if (after !== undefined) encodeRowState(value, row, after, this.#names)
      this.#log.add(row, after === undefined ? undefined : value)
    }
    this.#log.store()
    this.#merge(changes.length)
  }

  /** Only rows that are known are in the answer. */
  read(keys: readonly RowKey[]): RowStates {
    const states = new Map<RowKey, RowState>()
    const others: RowKey[] = []
    for (const key of keys) {
      const entry = this.#findNew(key)
      if (entry === undefined) others.push(key)
      else this.#addTo(states, entry)
    }
    for (const stored of this.#table.find(others)) this.#addTo(states, stored)
    return states
  }

  /** Rows whose key begins with `prefix`, each once, in pages. Sees the changes of others between pages. */
  async *readAll(prefix: string): AsyncGenerator<RowStates> {
    const logged = new Set<RowKey>()
    for (const keys of [this.#log.keys(), this.#taken?.keys() ?? []]) {
      for (const key of keys) if (key.startsWith(prefix)) logged.add(key)
    }
    const loggedKeys = [...logged]
    for (let at = 0; at < loggedKeys.length; at += PAGE_ROWS) {
      const states = this.read(loggedKeys.slice(at, at + PAGE_ROWS))
      if (states.size > 0) yield states
    }
    yield* this.#readTable(prefix, logged)
  }

  async *#readTable(prefix: string, except: ReadonlySet<RowKey>): AsyncGenerator<RowStates> {
    // Keys are ordered by their UTF-8 bytes, and no UTF-8 begins with the last code point.
    const end = `${prefix}\u{10ffff}`
    // The first page begins with the prefix itself: the key of a row may be an empty text.
    let after: RowKey | undefined
    for (let rows = PAGE_ROWS; rows === PAGE_ROWS;) {
      rows = 0
      const states = new Map<RowKey, RowState>()
      for (const stored of this.#table.readPage(after ?? prefix, end, { rowsMax: PAGE_ROWS, except: after })) {
        rows += 1
        after = stored.key
        if (!except.has(stored.key)) this.#addTo(states, this.#findNew(stored.key) ?? stored)
      }
      if (states.size > 0) yield states
    }
  }

  #merge(appended: number): void {
    const { logEntries, logBytes, mergeEntries } = this.#limits
    const log = this.#log
    if (this.#taken === undefined) {
      if (log.size >= logEntries || log.bytes >= logBytes) this.#taken = log.take()
      return
    }
    this.#mergeDue += appended * MERGED_PER_APPENDED
    // A log that is full again does not wait: its values are large, or the deltas are.
    const isFull = log.size >= logEntries || log.bytes >= logBytes
    if (this.#mergeDue < mergeEntries && !isFull) return
    this.#table.write(this.#taken.next(isFull ? this.#taken.left : this.#mergeDue))
    this.#mergeDue = 0
    if (this.#taken.left > 0) return
    log.forget(this.#taken)
    this.#taken = undefined
  }

  #findNew(key: RowKey): RowStateEntry | undefined {
    return this.#log.find(key) ?? this.#taken?.find(key)
  }

  #addTo(states: Map<RowKey, RowState>, { key, value }: RowStateEntry): void {
    if (value !== undefined) states.set(key, decodeRowState(value, key, this.#names))
  }
}
