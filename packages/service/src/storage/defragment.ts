/**
 * Defragmentation: an old row that never changes keeps everything behind it in its bucket's history, since a CLEAR only
 * takes what comes before the first row. So the oldest rows of such a bucket are put into it once more, as they are; that
 * supersedes the old PUTs, and the next compaction takes the whole front away. To clients it is an update that changes
 * nothing.
 *
 *     1 PUT a   2 MOVE   3 MOVE   …   9999 MOVE   10000 PUT b
 *     1 PUT a   2 MOVE   3 MOVE   …   9999 MOVE   10000 PUT b   10001 PUT a      a was put into it once more,
 *                                    9999 CLEAR   10000 PUT b   10001 PUT a      and it was compacted
 *
 * It pays where the front has many operations without a row and few rows. Everybody who has the bucket downloads those
 * rows again, and everybody who gets it later does not download the rest.
 */

export type DefragmentationLimits = {
  /** Operations without a row, at least, that go. */
  readonly deadMin: number
  /** So many times the bytes that are put once more must be saved. */
  readonly gainMin: number
  /** So much of the bucket must be saved. */
  readonly savedShareMin: number
  /** In one commit: operations, about so many bytes of JSON, and so long may an append wait for it; one row at least. */
  readonly portionOperations: number
  readonly portionBytes: number
  readonly portionMs: number
  /** From one portion to the next. */
  readonly pauseMs: number
  /** In 24 hours, over all buckets; and at once, when it was less before. */
  readonly dailyBytes: number
}

/**
 * Each operation without a row was a change once, of about 300 bytes or more, that clients have downloaded. With a gain
 * of 2 they download 26 bytes more for it, so defragmentation adds less than a tenth, however often it comes.
 * A portion each five seconds is 13 KiB/s for a client.
 */
export const DEFRAGMENTATION_LIMITS: DefragmentationLimits = {
  deadMin: 1_000,
  gainMin: 2,
  savedShareMin: 1 / 3,
  portionOperations: 500,
  portionBytes: 65_536,
  portionMs: 4,
  pauseMs: 5_000,
  dailyBytes: 67_108_864,
}

/** About what a MOVE takes on the wire. */
const DEAD_BYTES = 52

/** A PUT that nothing supersedes. */
export type LiveRow = {
  /** Names the row in its bucket. */
  readonly row: string
  readonly opId: number
  /** Of its JSON. */
  readonly bytes: number
}

/** What follows each other in a bucket. */
export type Stretch = {
  /** Operations that are no PUT, or a superseded one. */
  readonly dead: number
  /** Of them, those that come before all live ones. */
  readonly deadFirst: number
  readonly live: readonly LiveRow[]
}

/** What a bucket begins with, and is to be put into it once more; oldest first. */
export type Front = { readonly rows: readonly LiveRow[]; readonly bytes: number; readonly dead: number }

/**
 * Finds how much of a bucket is worth it, from the newest stretch to the oldest: remembers rows only where what follows
 * them is worth it, too.
 */
export class FrontSearch {
  readonly #limits: Pick<DefragmentationLimits, 'deadMin' | 'gainMin' | 'savedShareMin'>
  readonly #isMovable: (row: string) => boolean
  #rows: LiveRow[] = []
  #bytes = 0
  #dead = 0
  /** Before the oldest row so far. When nothing older comes, compaction clears them alone. */
  #deadFirst = 0
  /** Of the whole bucket. */
  #bytesOfAll = 0

  /** `isMovable`: may the row be put into the bucket once more? */
  constructor(
    limits: Pick<DefragmentationLimits, 'deadMin' | 'gainMin' | 'savedShareMin'>,
    isMovable: (row: string) => boolean,
  ) {
    this.#limits = limits
    this.#isMovable = isMovable
  }

  addOlder({ dead, deadFirst, live }: Stretch): void {
    const bytes = live.reduce((sum, row) => sum + row.bytes, 0)
    this.#bytesOfAll += dead * DEAD_BYTES + bytes
    this.#dead += dead
    this.#deadFirst = live.length === 0 ? this.#deadFirst + dead : deadFirst
    this.#bytes += bytes
    this.#rows.push(...live)
    // A front ends before what costs more than it brings; and before a row that must stay, as the CLEAR does.
    const isWorth = this.#dead * DEAD_BYTES >= this.#bytes * this.#limits.gainMin
    if (isWorth && live.every(({ row }) => this.#isMovable(row))) return
    this.#dead = 0
    this.#bytes = 0
    this.#rows = []
  }

  /** Undefined where it does not pay. */
  finish(): Front | undefined {
    const { deadMin, gainMin, savedShareMin } = this.#limits
    const dead = this.#dead - this.#deadFirst
    const saved = dead * DEAD_BYTES
    const bytesLeft = this.#bytesOfAll - this.#deadFirst * DEAD_BYTES
    const isWorth = dead >= deadMin && saved >= this.#bytes * gainMin && saved >= bytesLeft * savedShareMin
    if (this.#rows.length === 0 || !isWorth) return undefined
    return { rows: this.#rows.toSorted((a, b) => a.opId - b.opId), bytes: this.#bytes, dead }
  }
}

const DAY_MS = 86_400_000

/** Bytes that may still be put once more: what was not used comes back bit by bit, within a day. */
export class DailyAllowance {
  readonly #bytesMax: number
  #left: number
  #atMs: number

  constructor(bytesMax: number, nowMs: number) {
    this.#bytesMax = bytesMax
    this.#left = bytesMax
    this.#atMs = nowMs
  }

  /** All of it or nothing. */
  take(bytes: number, nowMs: number): boolean {
    this.#left = Math.min(this.#bytesMax, this.#left + ((nowMs - this.#atMs) / DAY_MS) * this.#bytesMax)
    this.#atMs = nowMs
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }
}
