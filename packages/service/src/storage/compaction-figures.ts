/** What compaction has done since this storage was opened, or since some moment, and what it has yet to do. */
export type CompactionFigures = {
  readonly isRunning: boolean
  /** Operations that became a MOVE. */
  readonly moved: number
  /** Operations fewer than before, MOVEs among them, since they went into a CLEAR. */
  readonly cleared: number
  readonly bytesFreed: number
  /** Rows that were put into their bucket once more, so that what comes after them can go (`storage/defragment.ts`). */
  readonly reappended: number
  /** Times that something was in the way, such as a full disk; the log says what. */
  readonly failures: number
  /** Buckets that it has yet to look through. */
  readonly bucketsLeft: number
}

/** Of two readings of one storage: what was done in between, and what is left now. */
export function figuresSince(before: CompactionFigures, now: CompactionFigures): CompactionFigures {
  return {
    ...now,
    moved: now.moved - before.moved,
    cleared: now.cleared - before.cleared,
    bytesFreed: now.bytesFreed - before.bytesFreed,
    reappended: now.reappended - before.reappended,
    failures: now.failures - before.failures,
  }
}
