import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { LookupKey, LookupOutputs } from '@headwater/sync-config'
import type { LookupChange, StoredLookup } from '../delta.ts'
import type { LookupPage, LookupRead } from '../storage.ts'

/** The writer's side of the table `lookup`. */
export class LookupWriter {
  readonly #dropNew: StatementSync
  readonly #close: StatementSync
  readonly #open: StatementSync
  readonly #clean: StatementSync
  readonly #raiseFloor: StatementSync

  constructor(writer: DatabaseSync) {
    this.#dropNew = writer.prepare('DELETE FROM lookup WHERE key = ? AND row = ? AND outputs = ? AND since_op = ?')
    this.#close = writer.prepare(
      'UPDATE lookup SET until_op = ? WHERE key = ? AND row = ? AND outputs = ? AND until_op IS NULL',
    )
    this.#open = writer.prepare(
      `INSERT INTO lookup (key, row, outputs, since_op) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET until_op = NULL`,
    )
    this.#raiseFloor = writer.prepare('UPDATE position SET lookup_floor = ? WHERE lookup_floor < ?')
    this.#clean = writer.prepare(
      `DELETE FROM lookup WHERE (key, row, outputs, since_op) IN (
         SELECT key, row, outputs, since_op FROM lookup WHERE until_op <= ? ORDER BY until_op LIMIT ?
       )`,
    )
  }

  /** Stores changes that hold from `opId` on; returns the keys whose entries are others now. */
  write(changes: readonly LookupChange[], opId: number): Set<LookupKey> {
    const touched = new Set<LookupKey>()
    for (const { row, before, after } of changes) {
      for (const lookup of without(before, after)) {
        touched.add(lookup.key)
        const dropped = this.#dropNew.run(lookup.key, row, lookup.outputs, opId)
        if (dropped.changes === 0) this.#close.run(opId, lookup.key, row, lookup.outputs)
      }
      for (const lookup of without(after, before)) {
        touched.add(lookup.key)
        this.#open.run(lookup.key, row, lookup.outputs, opId)
      }
    }
    return touched
  }

  /** Deletes entries that no checkpoint from `opId` on can see, so many at most; returns how many they were. */
  clean(opId: number, entriesMax: number): number {
    this.#raiseFloor.run(opId, opId)
    return Number(this.#clean.run(opId, entriesMax).changes)
  }
}

/** The entries that are not among the others. One row with a long array can have very many. */
function without(lookups: readonly StoredLookup[], others: readonly StoredLookup[]): readonly StoredLookup[] {
  if (lookups.length === 0 || others.length === 0) return lookups
  const names = new Set(others.map(entryName))
  return lookups.filter((lookup) => !names.has(entryName(lookup)))
}

/** Neither part has a line break of its own: texts in them are JSON. */
function entryName({ key, outputs }: StoredLookup): string {
  return `${key}\n${outputs}`
}

/** The readers' side. */
export class LookupReader {
  readonly #find: StatementSync
  readonly #readFloor: StatementSync

  constructor(reader: DatabaseSync) {
    this.#readFloor = reader.prepare('SELECT lookup_floor FROM position')
    this.#find = reader.prepare(
      `SELECT row, outputs FROM lookup
       WHERE key = ? AND (row, outputs) > (?, ?) AND since_op <= ? AND (until_op IS NULL OR until_op > ?)
       ORDER BY row, outputs LIMIT ?`,
    )
    this.#find.setReturnArrays(true)
  }

  /** Entries of keys as they were at `upTo`. Undefined when that is not known any more. */
  readPage({ keys, upTo, from, max }: LookupRead): LookupPage | undefined {
    const opId = Number(upTo)
    if (opId < Number(this.#readFloor.get()?.['lookup_floor'] ?? 0)) return undefined
    const found: LookupPage['found'][number][] = []
    let left = max
    let { row, outputs }: { row: string; outputs: string } = from
    for (let keyIndex = from.keyIndex; keyIndex < keys.length; keyIndex++) {
      if (left <= 0) return { found, next: { keyIndex, row, outputs } }
      const rows = this.#find.all(keys[keyIndex] ?? '', row, outputs, opId, opId, left)
      found.push(rows.map((one) => readRow(one)[1]))
      if (rows.length === left) {
        ;[row, outputs] = readRow(rows.at(-1))
        return { found, next: { keyIndex, row, outputs } }
      }
      left -= rows.length + 1
      ;[row, outputs] = ['', '']
    }
    return { found, next: undefined }
  }
}

function readRow(one: unknown): readonly [row: string, outputs: LookupOutputs] {
  assert(Array.isArray(one) && typeof one[0] === 'string' && typeof one[1] === 'string')
  return one as [string, LookupOutputs]
}

/** Lookup entries that no longer hold are kept for at least this long, for those who still read an older state. */
const ENDED_KEPT_MS = 60_000

/** Tells when entries that ended are read by nobody any more. */
export class EndedLookups {
  #mark = { opId: 0, atMs: 0 }

  /** A state is shown. Entries that ended up to the op id that is returned may go; undefined: it is too early for more. */
  pass(shownOp: number, nowMs: number): number | undefined {
    const { opId, atMs } = this.#mark
    if (nowMs - atMs < ENDED_KEPT_MS) return undefined
    this.#mark = { opId: shownOp, atMs: nowMs }
    return opId
  }
}
