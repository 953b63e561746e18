import {
  type BucketEntry,
  type BucketName,
  OP_ID_ZERO,
  type OpId,
  type StreamEntry,
  type SyncRequest,
} from '@headwater/protocol'
import type { Turn } from '@headwater/sync-config'
import type { Announced, SendPlan, Update } from './plan-send.ts'

/** A bucket that was announced. */
type Granted = {
  /** As it was announced. */
  entry: BucketEntry
  /** Id of the last operation that the client has of it, as it said itself or as it was sent. */
  position: OpId
}

/** What one client was told, and what it has. Made for one that has little, as most do, and there may be very many. */
export class SessionState {
  /** Announced last; never goes back. */
  checkpoint = OP_ID_ZERO
  writeCheckpoint: bigint | undefined
  /** No checkpoint below this one may be completed: what was sent lacks rows that are found there again. */
  completeFrom = OP_ID_ZERO
  /** What the client says that it has, of whatever buckets, until the first announcement says which it gets. */
  #offered: SyncRequest['buckets'] | undefined
  readonly #granted = new Map<BucketName, Granted>()
  /** Absent when nothing is left to be sent. */
  #unfinished: Set<BucketName> | undefined
  #streams: readonly StreamEntry[] = []

  constructor(positions: SyncRequest['buckets']) {
    this.#offered = positions
  }

  /** The checkpoint that was announced last cannot be completed: a newer one must be. */
  get isSuperseded(): boolean {
    return this.completeFrom > this.checkpoint
  }

  get announced(): Announced {
    const granted = this.#granted
    const entries = {
      size: granted.size,
      get: (bucket: BucketName) => granted.get(bucket)?.entry,
      keys: () => granted.keys(),
    }
    return {
      entries: this.#offered === undefined ? entries : undefined,
      streams: this.#streams,
      writeCheckpoint: this.writeCheckpoint,
      unfinished: this.#unfinished ?? NOTHING,
      isSuperseded: this.isSuperseded,
    }
  }

  /** The line of `plan` is on its way. Nothing else may be asked or told of this client before it is done. */
  async announce(plan: SendPlan, { checkpoint, writeCheckpoint, change }: Update, turn: Turn): Promise<void> {
    for (const entry of plan.updated) {
      if (turn.isOverAfterStep()) await turn.next()
      this.#grant(entry)
    }
    for (const bucket of plan.removed) {
      if (turn.isOverAfterStep()) await turn.next()
      this.#granted.delete(bucket)
      this.finish(bucket)
    }
    for (const { name, after } of this.#offered ?? []) {
      if (turn.isOverAfterStep()) await turn.next()
      this.advance(name, after)
    }
    this.#offered = undefined
    for (const { buckets } of plan.groups) {
      for (const bucket of buckets) {
        if (turn.isOverAfterStep()) await turn.next()
        this.#unfinished ??= new Set()
        this.#unfinished.add(bucket)
      }
    }
    if (change.kind === 'all') this.#streams = change.streams
    this.checkpoint = checkpoint
    this.writeCheckpoint = writeCheckpoint
  }

  /** What was announced of the bucket, when the client was told everything and nothing is left to be sent. */
  findSettled(bucket: BucketName): BucketEntry | undefined {
    return this.isSuperseded || this.#unfinished !== undefined ? undefined : this.#granted.get(bucket)?.entry
  }

  /** A change of one bucket was told, sent and completed. */
  noteSettled(entry: BucketEntry, position: OpId, checkpoint: OpId): void {
    this.#grant(entry)
    this.advance(entry.bucket, position)
    this.checkpoint = checkpoint
  }

  positionOf(bucket: BucketName): OpId {
    return this.#granted.get(bucket)?.position ?? OP_ID_ZERO
  }

  advance(bucket: BucketName, to: OpId): void {
    const granted = this.#granted.get(bucket)
    if (granted !== undefined) granted.position = to
  }

  isUnfinished(bucket: BucketName): boolean {
    return this.#unfinished?.has(bucket) === true
  }

  finish(bucket: BucketName): void {
    this.#unfinished?.delete(bucket)
    if (this.#unfinished?.size === 0) this.#unfinished = undefined
  }

  #grant(entry: BucketEntry): void {
    const granted = this.#granted.get(entry.bucket)
    if (granted === undefined) this.#granted.set(entry.bucket, { entry, position: OP_ID_ZERO })
    else granted.entry = entry
  }
}

const NOTHING: ReadonlySet<BucketName> = new Set()
