import type { BucketName } from '@headwater/protocol'
import { DailyAllowance, type DefragmentationLimits, type Front } from '../defragment.ts'
import type { LogEntry } from '../compact.ts'
import type { BucketTable } from './bucket-table.ts'
import { ByteWriter } from './bytes.ts'
import type { Chunk, ChunkWriter } from './chunk-table.ts'
import { isOfSoleSource, readEntries, renumber } from './log-entries.ts'
import { countUpTo, type Run, readRun, RunBuilder } from './run.ts'
import type { Tail } from './tail.ts'

/** Rows remembered, over all buckets; fronts beyond that wait for the next compaction of their bucket. */
const ROWS_MAX = 200_000

export type DefragmenterParts = {
  readonly chunks: ChunkWriter
  readonly buckets: BucketTable
  readonly tail: Tail
  readonly limits: DefragmentationLimits
  readonly monotonicMs: () => number
  /** Called when a bucket should be compacted for what was put into it; it is packed soon. */
  readonly onFinished: (bucket: number) => void
  /** Called when nothing is left to do and something was done. */
  readonly onRunEnded: (run: DefragmentationRun) => void
}

export type DefragmentationRun = {
  readonly buckets: number
  /** Rows that were put into their bucket once more. */
  readonly reappended: number
  /** Of their JSON: what a client downloads that has all of these buckets. */
  readonly bytes: number
  readonly tookMs: number
}

/** What was put into buckets once more, with ids that follow `headOp`. */
export type Portion = { readonly operations: number; readonly buckets: readonly BucketName[] }

/** Rows of one bucket that are to be put into it once more: those that nothing has superseded yet. */
type Plan = {
  readonly bucket: number
  /** How many there were when it was made. */
  readonly size: number
  /** Op ids of their PUTs, oldest first. */
  readonly rows: Map<string, number>
  /** Was everything looked at that was stored when the plan was made? What is stored later is told. */
  isChecked: boolean
}

const NO_PORTION: Portion = { operations: 0, buckets: [] }

/**
 * Puts the oldest rows of buckets into them once more, a portion with every append that clients are shown, in front of
 * it: as safe as that append. See `storage/defragment.ts`.
 *
 * Invariant: a plan that is checked holds only PUTs that are the newest operations of their rows. Compaction has found
 * them so up to some op id; the plan looks at what came after it, and is told of everything that is stored from then on.
 * It is forgotten together with a transaction that is undone, and with the process: nothing depends on it.
 */
export class Defragmenter {
  readonly #parts: DefragmenterParts
  readonly #allowance: DailyAllowance
  readonly #body = new ByteWriter()
  readonly #plans = new Map<number, Plan>()
  /** Rows that plans had when they were made. */
  #rowsPlanned = 0
  /** Buckets of which nothing is left to do when the transaction that is open is committed. */
  readonly #finished = new Set<number>()
  /** Buckets to be compacted as soon as they can be up to this op id. */
  readonly #awaited = new Map<number, number>()
  /** As of the newest append. */
  #soleSources: ReadonlySet<string> = new Set()
  #nextAtMs = -Infinity
  /** Since the start. */
  #reappended = 0
  #run = { startedAtMs: 0, buckets: 0, reappended: 0, bytes: 0 }
  /** In the transaction that is open. */
  #pending = { reappended: 0, bytes: 0 }

  constructor(parts: DefragmenterParts) {
    this.#parts = parts
    this.#allowance = new DailyAllowance(parts.limits.dailyBytes, parts.monotonicMs())
  }

  get limits(): DefragmentationLimits {
    return this.#parts.limits
  }

  /** Since the start. */
  get reappended(): number {
    return this.#reappended
  }

  /** May the row be put into its bucket once more? */
  isMovable(row: string): boolean {
    return isOfSoleSource(row, this.#soleSources)
  }

  /**
   * Plans to put a front once more that compaction has found, of PUTs that nothing supersedes up to the op id `seenTo`.
   * In steps, between which other things may be stored.
   */
  *plan(bucket: number, front: Front, seenTo: number): Generator<void, void, undefined> {
    const { tail, monotonicMs } = this.#parts
    const size = front.rows.length
    if (this.#plans.has(bucket) || this.#rowsPlanned + size > ROWS_MAX) return
    if (!this.#allowance.take(front.bytes, monotonicMs())) return
    const plan: Plan = { bucket, size, rows: new Map(front.rows.map(({ row, opId }) => [row, opId])), isChecked: false }
    this.#plans.set(bucket, plan)
    this.#rowsPlanned += size
    const lastOp = tail.totalsOf(bucket).opId
    try {
      for (let at = seenTo; at < lastOp;) {
        const run = this.#readAfter(bucket, at)
        if (run === undefined) break
        this.#takeOut(plan, run)
        at = run.header.lastOp
        yield
      }
      plan.isChecked = true
    } finally {
      if (!plan.isChecked) this.#remove(plan)
    }
  }

  /** A run was stored behind all that there was of its bucket. */
  noteStored(bucket: number, run: Uint8Array): void {
    const plan = this.#plans.get(bucket)
    if (plan !== undefined) this.#takeOut(plan, readRun(run, 0))
  }

  /** Stores the next portion in the transaction that is open, with ids that follow `headOp`. */
  append(headOp: number, soleSources: ReadonlySet<string>): Portion {
    this.#soleSources = soleSources
    const { limits, buckets, tail, monotonicMs } = this.#parts
    if (this.#plans.size === 0 || monotonicMs() < this.#nextAtMs) return NO_PORTION
    const room = new Room(limits)
    const names: BucketName[] = []
    // A new one: of an append that failed something might be left.
    const builder = new RunBuilder()
    const body = this.#body
    body.reset()
    let opId = headOp
    for (const plan of this.#plans.values()) {
      if (room.isFull) break
      if (!plan.isChecked) continue
      const run = this.#encode(plan, opId, { room, builder })
      if (run === undefined) continue
      opId = readRun(run, 0).header.lastOp
      body.raw(run)
      names.push(buckets.nameOf(plan.bucket))
    }
    const operations = opId - headOp
    if (operations === 0) return NO_PORTION
    tail.append(body.copy())
    if (this.#run.reappended === 0) this.#run.startedAtMs = performance.now()
    this.#nextAtMs = monotonicMs() + limits.pauseMs
    return { operations, buckets: names }
  }

  /** To be called before the transaction that is open is committed: what is finished is found again after a restart. */
  beforeCommit(): void {
    const { buckets } = this.#parts
    for (const bucket of this.#finished) {
      buckets.writeCompacted(bucket, { compactedCount: 0, liveCount: buckets.readCompacted(bucket).liveCount })
    }
  }

  /** To be called when it is; true when something should be packed. */
  noteCommitted(): boolean {
    const { tail, onFinished, onRunEnded } = this.#parts
    const finished = [...this.#finished]
    this.#finished.clear()
    for (const bucket of finished) {
      this.#awaited.set(bucket, tail.totalsOf(bucket).opId)
      onFinished(bucket)
    }
    const { reappended, bytes } = this.#pending
    this.#pending = { reappended: 0, bytes: 0 }
    this.#reappended += reappended
    this.#run.buckets += finished.length
    this.#run.reappended += reappended
    this.#run.bytes += bytes
    if (this.#plans.size === 0 && this.#run.reappended > 0) {
      const { startedAtMs, ...done } = this.#run
      this.#run = { startedAtMs: 0, buckets: 0, reappended: 0, bytes: 0 }
      onRunEnded({ ...done, tookMs: Math.round(performance.now() - startedAtMs) })
    }
    return finished.length > 0
  }

  /** A transaction was undone, and what was stored in it. */
  forget(): void {
    this.#plans.clear()
    this.#rowsPlanned = 0
    this.#finished.clear()
    this.#pending = { reappended: 0, bytes: 0 }
  }

  /** What it needs for what was put into it; undefined if nothing was. `limit`: it may be compacted up to here. */
  needOf(bucket: number, limit: number): 'blocked' | 'due' | undefined {
    const awaited = this.#awaited.get(bucket)
    if (awaited === undefined) return undefined
    if (awaited > Math.min(limit, this.#parts.buckets.packedTotals(bucket).opId)) return 'blocked'
    this.#awaited.delete(bucket)
    return 'due'
  }

  /** The first run of the bucket that ends after `opId`. */
  #readAfter(bucket: number, opId: number): Run | undefined {
    const { chunks, tail } = this.#parts
    const chunk = chunks.findEndingAfter(bucket, opId)
    if (chunk !== undefined) return chunks.read(chunk).run
    const segment = tail.segmentsOf(bucket).find(({ lastOp }) => lastOp > opId)
    return segment === undefined ? undefined : tail.readSegment(segment)
  }

  /** Rows with an operation that is newer than the planned one need no other. */
  #takeOut(plan: Plan, run: Run): void {
    for (const entry of readEntries(run)) {
      if (entry.kind !== 'put' && entry.kind !== 'remove') continue
      const planned = plan.rows.get(entry.row)
      if (planned !== undefined && planned < entry.opId) plan.rows.delete(entry.row)
    }
    this.#finishIfEmpty(plan)
  }

  #finishIfEmpty(plan: Plan): void {
    if (plan.rows.size === 0 && this.#remove(plan)) this.#finished.add(plan.bucket)
  }

  /** False when it was removed already. */
  #remove(plan: Plan): boolean {
    if (this.#plans.get(plan.bucket) !== plan) return false
    this.#plans.delete(plan.bucket)
    this.#rowsPlanned -= plan.size
    return true
  }

  /** The next rows of a plan, as far as there is room; undefined when there is none. Takes them out of the plan. */
  #encode(
    plan: Plan,
    headOp: number,
    { room, builder }: { readonly room: Room; readonly builder: RunBuilder },
  ): Uint8Array | undefined {
    const front = new FrontReader(this.#parts.chunks, plan.bucket)
    let opId = headOp
    let bytes = 0
    for (const [row, plannedOp] of plan.rows) {
      if (room.isFull) break
      if (!this.isMovable(row)) {
        // Its front cannot go any more.
        plan.rows.clear()
        break
      }
      plan.rows.delete(row)
      const put = front.find(row, plannedOp)
      if (put === undefined) continue
      opId += 1
      builder.add(opId, put.checksum, renumber(put.run, put.n, opId))
      bytes += put.bytes
      room.take(put.bytes)
    }
    this.#finishIfEmpty(plan)
    this.#pending = {
      reappended: this.#pending.reappended + builder.count,
      bytes: this.#pending.bytes + bytes,
    }
    return builder.count === 0 ? undefined : builder.finish(plan.bucket)
  }
}

/** What is left of a portion. */
class Room {
  readonly #limits: DefragmentationLimits
  readonly #untilMs: number
  #operations = 0
  #bytes = 0

  constructor(limits: DefragmentationLimits) {
    this.#limits = limits
    this.#untilMs = performance.now() + limits.portionMs
  }

  get isFull(): boolean {
    const { portionOperations, portionBytes } = this.#limits
    if (this.#operations === 0) return false
    return this.#operations >= portionOperations || this.#bytes >= portionBytes || performance.now() >= this.#untilMs
  }

  take(bytes: number): void {
    this.#operations += 1
    this.#bytes += bytes
  }
}

type FoundPut = { readonly run: Run; readonly n: number; readonly checksum: number; readonly bytes: number }

/** Finds operations of a bucket by op id, in order: each chunk is read once. */
class FrontReader {
  readonly #chunks: ChunkWriter
  readonly #bucket: number
  #open: { readonly chunk: Chunk; readonly run: Run; readonly entries: readonly LogEntry[] } | undefined

  constructor(chunks: ChunkWriter, bucket: number) {
    this.#chunks = chunks
    this.#bucket = bucket
  }

  /** Undefined when it is not that PUT any more. */
  find(row: string, opId: number): FoundPut | undefined {
    if (this.#open === undefined || this.#open.chunk.lastOp < opId) {
      const chunk = this.#chunks.findEndingAfter(this.#bucket, opId - 1)
      if (chunk === undefined) return undefined
      const { run } = this.#chunks.read(chunk)
      this.#open = { chunk, run, entries: readEntries(run) }
    }
    const { run, entries } = this.#open
    const n = countUpTo(run.index, opId) - 1
    const entry = entries[n]
    if (entry?.kind !== 'put' || entry.opId !== opId || entry.row !== row) return undefined
    return { run, n, checksum: entry.checksum, bytes: (run.index.ends[n] ?? 0) - (run.index.ends[n - 1] ?? 0) }
  }
}
