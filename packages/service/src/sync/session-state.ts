import {
  type BucketEntry,
  type BucketName,
  OP_ID_ZERO,
  type OpId,
  type StreamEntry,
  type SyncRequest,
} from '@headwater/protocol'
import type { Announced, SendPlan, Update } from './plan-send.ts'

/** What one client was told, and what it has. */
export class SessionState {
  /** Announced last; never goes back. */
  checkpoint = OP_ID_ZERO
  writeCheckpoint: bigint | undefined
  /** No checkpoint below this one may be completed: what was sent lacks rows that are found there again. */
  completeFrom = OP_ID_ZERO
  readonly #entries = new Map<BucketName, BucketEntry>()
  /** Id of the last operation that the client has of each bucket, as it said itself or as it was sent. */
  readonly #positions = new Map<BucketName, OpId>()
  readonly #unfinished = new Set<BucketName>()
  #streams: readonly StreamEntry[] = []
  #isAnnounced = false

  constructor(positions: SyncRequest['buckets']) {
    for (const { name, after } of positions) this.#positions.set(name, after)
  }

  /** The checkpoint that was announced last cannot be completed: a newer one must be. */
  get isSuperseded(): boolean {
    return this.completeFrom > this.checkpoint
  }

  get announced(): Announced {
    return {
      entries: this.#isAnnounced ? this.#entries : undefined,
      streams: this.#streams,
      writeCheckpoint: this.writeCheckpoint,
      unfinished: this.#unfinished,
      isSuperseded: this.isSuperseded,
    }
  }

  /** The line of `plan` is on its way. */
  announce(plan: SendPlan, { checkpoint, writeCheckpoint, change }: Update): void {
    for (const entry of plan.updated) this.#entries.set(entry.bucket, entry)
    for (const bucket of plan.removed) {
      this.#entries.delete(bucket)
      this.#positions.delete(bucket)
      this.#unfinished.delete(bucket)
    }
    for (const { buckets } of plan.groups) for (const bucket of buckets) this.#unfinished.add(bucket)
    if (!this.#isAnnounced) this.#dropUngranted()
    if (change.kind === 'all') this.#streams = change.streams
    this.checkpoint = checkpoint
    this.writeCheckpoint = writeCheckpoint
    this.#isAnnounced = true
  }

  /** What was announced of the bucket, when the client was told everything and nothing is left to be sent. */
  findSettled(bucket: BucketName): BucketEntry | undefined {
    return this.isSuperseded || this.#unfinished.size > 0 ? undefined : this.#entries.get(bucket)
  }

  /** A change of one bucket was told, sent and completed. */
  noteSettled(entry: BucketEntry, position: OpId, checkpoint: OpId): void {
    this.#entries.set(entry.bucket, entry)
    this.#positions.set(entry.bucket, position)
    this.checkpoint = checkpoint
  }

  positionOf(bucket: BucketName): OpId {
    return this.#positions.get(bucket) ?? OP_ID_ZERO
  }

  advance(bucket: BucketName, to: OpId): void {
    this.#positions.set(bucket, to)
  }

  isUnfinished(bucket: BucketName): boolean {
    return this.#unfinished.has(bucket)
  }

  finish(bucket: BucketName): void {
    this.#unfinished.delete(bucket)
  }

  /** A client may offer buckets that it does not get any more. */
  #dropUngranted(): void {
    for (const bucket of this.#positions.keys()) if (!this.#entries.has(bucket)) this.#positions.delete(bucket)
  }
}
