/**
 * Compaction: takes out of a bucket's history what later operations have made pointless, so that a client at any
 * position still comes to the same rows and the same sum.
 *
 *     MOVE   an operation that a later one of the same row supersedes keeps its place, id and checksum, and loses its row
 *     CLEAR  what a bucket begins with, as far as it holds no row, becomes one operation that says: forget everything
 *
 *     201 PUT a   →  201 MOVE →203
 *     202 PUT b   →  202 MOVE →204
 *     203 PUT a   →  203 MOVE →206
 *     204 REMOVE b→  204 REMOVE b       →  204 CLEAR →206
 *     205 PUT c   →  205 PUT c          →  205 PUT c
 *     206 PUT a   →  206 PUT a          →  206 PUT a
 *
 * The number behind the arrow is the target: below it the history lacks a row that it once had there, so that no client
 * may be brought to a checkpoint below it by way of this operation.
 */

/** An operation, as far as compaction looks at it. Op ids are plain numbers in storage. */
export type LogEntry =
  | {
      readonly kind: 'put' | 'remove'
      readonly opId: number
      readonly checksum: number
      /** Names the row in its bucket: equal for equal type, id and subkey. */
      readonly row: string
    }
  | {
      readonly kind: 'move' | 'clear'
      readonly opId: number
      readonly checksum: number
      /** The highest op id that this operation depends on. */
      readonly target: number
    }

/** Target of an operation that depends on no other. */
export const NO_TARGET = 0

/**
 * For each entry of a part of a bucket, in order: the id of the next operation of the same row, which supersedes it, or
 * `NO_TARGET`. Parts are to be looked at from the newest to the oldest; `newest` knows those that were looked at.
 * Entries above `upTo` neither supersede nor are superseded.
 */
export function findSuperseding(entries: readonly LogEntry[], newest: NewestOfRows, upTo: number): number[] {
  const targets = entries.map(() => NO_TARGET)
  for (let n = entries.length - 1; n >= 0; n--) {
    const entry = entries[n]
    if (entry === undefined || entry.opId > upTo || (entry.kind !== 'put' && entry.kind !== 'remove')) continue
    targets[n] = newest.replace(entry.row, entry.opId) ?? NO_TARGET
  }
  return targets
}

/** What one CLEAR replaces. */
export type Cleared = {
  readonly count: number
  /** Of the last operation replaced, and of the CLEAR. */
  readonly opId: number
  readonly checksum: number
  readonly target: number
}

export const NOTHING_CLEARED: Cleared = { count: 0, opId: 0, checksum: 0, target: NO_TARGET }

/**
 * How many of the entries, which follow what was cleared before in their bucket, may be cleared too, and what is cleared
 * then: everything up to the first PUT, or to the last operation that is not above `upTo`.
 */
export function extendCleared(before: Cleared, entries: readonly LogEntry[], upTo: number): Cleared {
  let { count, opId, checksum, target } = before
  for (const entry of entries) {
    if (entry.kind === 'put' || entry.opId > upTo) break
    count += 1
    opId = entry.opId
    checksum = (checksum + entry.checksum) >>> 0
    if (entry.kind === 'move' || entry.kind === 'clear') target = Math.max(target, entry.target)
  }
  return { count, opId, checksum, target }
}

/** One operation alone is as good as the CLEAR that would replace it. */
export function isWorthClearing({ count }: Cleared): boolean {
  return count >= 2
}

/** About what an entry of a map takes besides its key, in bytes. */
const ENTRY_BYTES = 64

/**
 * The newest operation of each row that was looked at, from the newest operations to the oldest. When there is no room
 * for another row it is not remembered: its operations are kept then, which is right too.
 */
export class NewestOfRows {
  readonly #newest = new Map<string, number>()
  #bytesLeft: number
  #hasForgotten = false

  constructor(bytesMax: number) {
    this.#bytesLeft = bytesMax
  }

  /** Was there no room for a row? Then some that are superseded seem not to be. */
  get hasForgotten(): boolean {
    return this.#hasForgotten
  }

  /** Returns the operation that was the row's newest until now, if that is known: it supersedes `opId`. */
  replace(row: string, opId: number): number | undefined {
    const newer = this.#newest.get(row)
    if (newer === undefined) {
      this.#bytesLeft -= row.length + ENTRY_BYTES
      if (this.#bytesLeft < 0) {
        this.#hasForgotten = true
        return undefined
      }
    }
    this.#newest.set(row, opId)
    return newer
  }
}

/** A bucket is looked at again when it has grown by so many operations, or by this share of the rows it had, if that is more. */
const GROWN_MIN = 50
const GROWN_SHARE = 0.5

export type BucketGrowth = {
  /** Operations ever packed that may be compacted now, and those that the last compaction has looked at. */
  readonly reachable: number
  readonly compacted: number
  /** PUTs that the last compaction has left. */
  readonly live: number
}

/**
 * Is it time to compact a bucket? Even if every operation since the last time has superseded another, no more than a
 * third of the bucket is superseded when it is; and a bucket that only grows is read about three times in all.
 */
export function isDue({ reachable, compacted, live }: BucketGrowth): boolean {
  return reachable - compacted >= Math.max(GROWN_MIN, live * GROWN_SHARE)
}
