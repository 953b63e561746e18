import type { DatabaseSync } from 'node:sqlite'
import { isDue } from '../compact.ts'
import type { BucketTable } from './bucket-table.ts'
import type { ChunkWriter } from './chunk-table.ts'
import { transact } from './connection.ts'
import type { Run } from './run.ts'
import type { Tail } from './tail.ts'
import { translateStorageError } from './storage-error.ts'

/** The tail is packed in the background from this size on: large enough that a bucket has several operations in it. */
const PACK_FROM_BYTES = 25_165_824

/** Above this, whoever appends packs first. Also bounds what is read at the start, and held in memory. */
const TAIL_BYTES_MAX = 50_331_648

/** Tail rows cost memory each, however small they are. */
const TAIL_ROWS_MAX = 65_536

/** A step of the packer ends after this time: so long may it keep others waiting. */
const STEP_MS = 4

/** A tail that nothing was added to for so long is packed although it is small. */
const IDLE_MS = 2_000

/** A tail this small may stay. */
const IDLE_BYTES_MIN = 262_144

/** After a failed step, such as on a full disk. */
const RETRY_MS = 5_000

export type PackerParts = {
  readonly writer: DatabaseSync
  readonly tail: Tail
  readonly buckets: BucketTable
  readonly chunks: ChunkWriter
  /** Called when a bucket has grown so much that compaction should look at it. */
  readonly onGrown: (bucket: number) => void
  /** Called after a step was committed. */
  readonly onPacked: () => void
  /** Called after a step was rolled back. */
  readonly onFailed: (error: unknown) => void
}

/** Moves operations from the tail, where they lie by commit, into chunks, where they lie by bucket. */
export class Packer {
  readonly #parts: PackerParts
  #step: NodeJS.Immediate | undefined
  #idle: NodeJS.Timeout | undefined
  /** Steps go on until the tail is as small as this. */
  #goalBytes = 0
  /** Until the tail is empty once, work begins however little there is. */
  #isUrgent = false
  #waiting: (() => void)[] = []

  constructor(parts: PackerParts) {
    this.#parts = parts
  }

  get mustPackNow(): boolean {
    const { tail } = this.#parts
    return tail.bytes > TAIL_BYTES_MAX || tail.rowCount > TAIL_ROWS_MAX
  }

  /** To be called after each append: work begins when there is enough of it, or when nothing else is appended. */
  wake(): void {
    if (this.#step !== undefined) return
    const { tail } = this.#parts
    if (this.#waiting.length > 0 || this.#isUrgent) {
      this.#work(0)
      return
    }
    if (tail.bytes >= PACK_FROM_BYTES || tail.rowCount >= TAIL_ROWS_MAX / 2) {
      this.#work(PACK_FROM_BYTES / 4)
      return
    }
    this.#idle ??= setTimeout(() => {
      this.#idle = undefined
      if (tail.bytes >= IDLE_BYTES_MIN) this.#work(0)
    }, IDLE_MS).unref()
    this.#idle.refresh()
  }

  /** Packs what there is, in the background. */
  packSoon(): void {
    this.#isUrgent = true
    this.wake()
  }

  /** Packs what there is, in the background; resolves when nothing is left, or when the packer failed or was stopped. */
  async drain(): Promise<void> {
    if (this.#parts.tail.rowCount === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    this.#work(0)
    await promise
  }

  stop(): void {
    clearTimeout(this.#idle)
    clearImmediate(this.#step)
    this.#release()
  }

  /** Packs one bucket, in the transaction that is open. `newer`: runs that follow what the tail has of it. */
  packBucket(bucket: number, newer: readonly Run[] = []): void {
    const { tail, buckets, chunks, onGrown } = this.#parts
    const runs = tail.segmentsOf(bucket).map((segment) => tail.readSegment(segment))
    const totals = chunks.append(bucket, buckets.packedTotals(bucket), [...runs, ...newer])
    tail.drop(bucket)
    buckets.writePackedTotals(bucket, totals)
    const { compactedCount: compacted, liveCount: live } = buckets.readCompacted(bucket)
    if (isDue({ reachable: totals.count, compacted, live })) onGrown(bucket)
  }

  /** Packs everything, in the transaction that is open. */
  packAll(): void {
    this.#packUntil(Infinity)
  }

  #work(goalBytes: number): void {
    this.#goalBytes = goalBytes
    this.#step ??= setImmediate(() => {
      this.#step = undefined
      this.#runStep()
    })
  }

  #runStep(): void {
    const { writer, tail, onPacked, onFailed } = this.#parts
    // A transaction that comes in slices is open: the append that ends it wakes the packer again.
    if (writer.isTransaction) return
    try {
      transact(writer, () => this.#packUntil(performance.now() + STEP_MS))
    } catch (error) {
      this.#idle ??= setTimeout(() => {
        this.#idle = undefined
        this.wake()
      }, RETRY_MS).unref()
      onFailed(translateStorageError(error, 'pack stored operations'))
      this.#release()
      return
    }
    onPacked()
    if (tail.bytes === 0) this.#isUrgent = false
    if (tail.bytes > this.#goalBytes) this.#work(this.#goalBytes)
    else this.#release()
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #packUntil(deadlineMs: number): void {
    const { tail } = this.#parts
    for (;;) {
      const buckets = tail.oldestBuckets()
      if (buckets.length === 0) return
      for (const bucket of buckets) {
        if (tail.segmentsOf(bucket).length === 0) continue
        this.packBucket(bucket)
        if (performance.now() >= deadlineMs) return
      }
    }
  }
}
