import type { DatabaseSync } from 'node:sqlite'
import type { CompactionFigures } from '../compaction-figures.ts'
import {
  type BucketCompactionParts,
  compactBucket,
  type CompactionStep,
  NOTHING_DONE,
  readNeed,
} from './compact-bucket.ts'
import { transact } from './connection.ts'
import type { LookupWriter } from './lookup-table.ts'
import { translateStorageError } from './storage-error.ts'

/** A slice of work ends after this time, or with the step that is going on: so long may it keep others waiting. */
const SLICE_MS = 4

/** After a slice others have the thread for so many times as long. */
const PAUSE_FACTOR = 3

/** While a transaction is open that comes in slices. */
const BUSY_MS = 50

/** After a failed slice, such as on a full disk; and while checkpoints that are pinned are in the way. */
const RETRY_MS = 5_000

/** Buckets remembered as grown; beyond, all of them are looked through. */
const GROWN_MAX = 100_000

/** Numbers of buckets that are looked through at once. */
const PAGE_BUCKETS = 500

/** Lookup entries deleted in one step. */
const LOOKUPS_STEP = 500

export type CompactorParts = BucketCompactionParts & {
  readonly writer: DatabaseSync
  readonly lookups: LookupWriter
  /** Nothing above this op id is to be touched. */
  readonly readLimit: () => number
  /** So many operations fewer are stored; called in the transaction that makes it so. */
  readonly onCleared: (operations: number) => void
  /** Called after a slice was committed that has done something; `hasCleared`: buckets begin elsewhere now. */
  readonly onCommitted: (hasCleared: boolean) => void
  /** Called after a slice was rolled back. */
  readonly onFailed: (error: unknown) => void
  /** Called when there is nothing left to do and something was done. */
  readonly onRunEnded: (run: CompactionRun) => void
}

export type CompactionRun = {
  readonly buckets: number
  readonly tookMs: number
} & CompactionStep

type Task = Generator<CompactionStep, void, undefined>

/**
 * Compacts buckets that have grown, in the background and in slices of one transaction each: whenever the process dies,
 * what is stored is a history that clients can follow.
 */
export class Compactor {
  readonly #parts: CompactorParts
  readonly #grown = new Set<number>()
  /** Buckets that had grown, but above what may be touched. */
  readonly #blocked = new Set<number>()
  /** Looks through all buckets, from the number after `after`. */
  #sweep: { after: number; readonly isAsked: boolean } | undefined = { after: 0, isAsked: false }
  #task: Task | undefined
  #lookupsUpTo = 0
  /** What could be touched when buckets were last found blocked. */
  #blockedAt = 0
  /** Buckets of the page that is being looked through. */
  #pageLeft = 0
  /** Sweeps that were asked for and wait for what they are to look through. */
  #sweepsAhead = 0
  #isRunning = false
  #isStopped = false
  #timer: NodeJS.Timeout | undefined
  #waiting: (() => void)[] = []
  /** Since the start. */
  #done = NOTHING_DONE
  #failures = 0
  /** What is going on, or was last. */
  #run = { startedAtMs: 0, buckets: 0, done: NOTHING_DONE }

  constructor(parts: CompactorParts) {
    this.#parts = parts
  }

  /** Since the start. */
  get figures(): Omit<CompactionFigures, 'reappended'> {
    return { isRunning: this.#isRunning, ...this.#done, failures: this.#failures, bucketsLeft: this.#countLeft() }
  }

  /** A bucket has grown so much that it is worth a look. */
  noteGrown(bucket: number): void {
    this.#grown.add(bucket)
    if (this.#grown.size <= GROWN_MAX) return
    this.#grown.clear()
    this.#sweep ??= { after: 0, isAsked: false }
  }

  /** Lookup entries that ended up to this op id are read by nobody any more. */
  dropLookups(upTo: number): void {
    this.#lookupsUpTo = Math.max(this.#lookupsUpTo, upTo)
    this.wake()
  }

  /** Begins if there is anything to do. */
  wake(): void {
    const hasWork = this.#grown.size > 0 || this.#sweep !== undefined || this.#lookupsUpTo > 0
    if (!hasWork || this.#isRunning || this.#isStopped) return
    clearTimeout(this.#timer)
    this.#isRunning = true
    this.#run = { startedAtMs: performance.now(), buckets: 0, done: NOTHING_DONE }
    this.#continueIn(0)
  }

  /**
   * Compacts every bucket that has anything new when `packed` has resolved; resolves when that is done, or when the
   * compactor was stopped.
   */
  async compactAll(packed: Promise<void>): Promise<void> {
    this.#sweepsAhead += 1
    await packed
    this.#sweepsAhead -= 1
    if (this.#isStopped) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#sweep = { after: 0, isAsked: true }
    this.#waiting.push(resolve)
    this.wake()
    await promise
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#endTask()
    this.#isRunning = false
    this.#release()
  }

  #continueIn(delayMs: number): void {
    this.#timer = setTimeout(() => this.#runSlice(), delayMs).unref()
  }

  #runSlice(): void {
    const { writer, onFailed } = this.#parts
    if (writer.isTransaction) {
      this.#continueIn(BUSY_MS)
      return
    }
    const startedAtMs = performance.now()
    let isIdle: boolean
    try {
      isIdle = this.#commitSlice(startedAtMs + SLICE_MS)
    } catch (error) {
      // What it had in memory may not be so. The others go on; this bucket is found again when more of it is packed.
      this.#endTask()
      this.#failures += 1
      onFailed(translateStorageError(error, 'compact buckets'))
      this.#continueIn(RETRY_MS)
      return
    }
    if (isIdle) this.#endRun()
    else this.#continueIn((performance.now() - startedAtMs) * PAUSE_FACTOR)
  }

  /** True when nothing is left to do. */
  #commitSlice(deadlineMs: number): boolean {
    const { writer, onCleared, onCommitted } = this.#parts
    let done = NOTHING_DONE
    const isIdle = transact(writer, () => {
      let step: CompactionStep | undefined
      do {
        step = this.#nextStep()
        if (step !== undefined) done = addSteps(done, step)
      } while (step !== undefined && performance.now() < deadlineMs)
      if (done.cleared > 0) onCleared(done.cleared)
      return step === undefined
    })
    if (done.moved + done.cleared > 0) onCommitted(done.cleared > 0)
    this.#run.done = addSteps(this.#run.done, done)
    this.#done = addSteps(this.#done, done)
    return isIdle
  }

  /** Undefined when nothing is left to do. */
  #nextStep(): CompactionStep | undefined {
    for (;;) {
      this.#task ??= this.#findTask()
      if (this.#task === undefined) return undefined
      const { done, value } = this.#task.next()
      if (done !== true) return value
      this.#task = undefined
    }
  }

  #findTask(): Task | undefined {
    if (this.#lookupsUpTo > 0) return this.#dropLookups(this.#lookupsUpTo)
    for (const bucket of this.#grown) {
      this.#grown.delete(bucket)
      return this.#compactIfNeeded([bucket], false)
    }
    const sweep = this.#sweep
    if (sweep === undefined) return undefined
    const { after, isAsked } = sweep
    const { buckets, defragmenter } = this.#parts
    const deadMin = isAsked ? defragmenter.limits.deadMin : Number.MAX_SAFE_INTEGER
    const last = after + PAGE_BUCKETS
    this.#sweep = last < buckets.lastId() ? { after: last, isAsked } : undefined
    return this.#compactIfNeeded(buckets.listUncompacted(after, last, deadMin), isAsked)
  }

  *#compactIfNeeded(buckets: readonly number[], isAsked: boolean): Task {
    const parts = this.#parts
    this.#pageLeft = buckets.length
    for (const bucket of buckets) {
      const limit = parts.readLimit()
      const need = readNeed(parts, bucket, limit, isAsked)
      if (need === 'blocked' && this.#blocked.size < GROWN_MAX) this.#blocked.add(bucket)
      if (need === 'due') {
        this.#run.buckets += 1
        for (const step of compactBucket(parts, bucket, limit)) {
          yield step
          // Someone was late and is now brought to an older checkpoint than before.
          if (parts.readLimit() < limit) break
        }
      }
      this.#pageLeft -= 1
      yield NOTHING_DONE
    }
  }

  *#dropLookups(upTo: number): Task {
    while (this.#parts.lookups.clean(upTo, LOOKUPS_STEP) === LOOKUPS_STEP) yield NOTHING_DONE
    if (this.#lookupsUpTo === upTo) this.#lookupsUpTo = 0
  }

  #countLeft(): number {
    const { buckets } = this.#parts
    if (this.#sweepsAhead > 0) return buckets.lastId()
    const notReached = this.#sweep === undefined ? 0 : Math.max(0, buckets.lastId() - this.#sweep.after)
    return this.#grown.size + this.#pageLeft + notReached
  }

  #endTask(): void {
    this.#task?.return()
    this.#task = undefined
    this.#pageLeft = 0
  }

  #endRun(): void {
    const { startedAtMs, buckets, done } = this.#run
    this.#isRunning = false
    const tookMs = Math.round(performance.now() - startedAtMs)
    if (done.moved + done.cleared > 0) this.#parts.onRunEnded({ buckets, ...done, tookMs })
    this.#release()
    this.#blockedAt = this.#parts.readLimit()
    this.#retryBlocked()
  }

  #retryBlocked(): void {
    if (this.#blocked.size === 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (this.#parts.readLimit() === this.#blockedAt) {
        this.#retryBlocked()
        return
      }
      for (const bucket of this.#blocked) this.noteGrown(bucket)
      this.#blocked.clear()
      this.wake()
    }, RETRY_MS).unref()
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

function addSteps(a: CompactionStep, b: CompactionStep): CompactionStep {
  return { moved: a.moved + b.moved, cleared: a.cleared + b.cleared, bytesFreed: a.bytesFreed + b.bytesFreed }
}
