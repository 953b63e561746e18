/** A write has been captured, and no write checkpoint covers it yet: greater than any real one. */
export const TARGET_UNKNOWN = 9_223_372_036_854_775_807n

/** Buckets of this priority are shown even over writes that are still pending. */
export const URGENT_PRIORITY = 0

export type HoldRule = {
  /** Queued entries that changed local rows; those of insert-only tables do not count. */
  readonly writesPending: boolean
  /** The write checkpoint that downloaded data must include; undefined when no write is outstanding. */
  readonly target: bigint | undefined
  /** The newest write checkpoint of a completed checkpoint; undefined when there was none since the last write. */
  readonly seen: bigint | undefined
}

/**
 * May downloaded data be shown? Not while the user's own writes could be missing from it: they would seem to vanish.
 * `priority` is that of a partial completion, undefined for a full one.
 */
export function mayPublish(rule: HoldRule, priority: number | undefined): boolean {
  if (priority === URGENT_PRIORITY) return true
  if (rule.writesPending) return false
  return rule.target === undefined || rule.target <= (rule.seen ?? 0n)
}

export type QueueState = {
  /** Position of the oldest queued entry; undefined when all are uploaded. */
  readonly head: bigint | undefined
  readonly target: bigint | undefined
  readonly seen: bigint | undefined
  /** Position of the newest entry ever queued; grows with every write. */
  readonly lastQueued: bigint
  /** The number that the service was asked for last; undefined when there was none, or the backend chose since. */
  readonly asked: bigint | undefined
}

/** Must the service be asked for a write checkpoint? Only when all writes are uploaded and none is known to cover them. */
export function needsWriteCheckpoint(queue: QueueState): boolean {
  return queue.head === undefined && queue.target === TARGET_UNKNOWN
}

/** A write checkpoint counts only if nothing was written since it was asked for. */
export function mayAdopt(before: QueueState, now: QueueState): boolean {
  return needsWriteCheckpoint(now) && now.lastQueued === before.lastQueued
}

/** The number that the service was asked for and has not announced yet. */
export function awaitedNumber({ target, asked, seen = 0n }: QueueState): bigint | undefined {
  return target !== undefined && target === asked && target > seen ? target : undefined
}

/** Has the service lost its numbers? The next one it gives is otherwise greater than all before. */
export function countsAnew({ asked = 0n, seen = 0n }: QueueState, number: bigint): boolean {
  return number <= asked || number <= seen
}
