import type { BucketName, Checksum, OperationFormat, OpId } from '@headwater/protocol'
import type { LookupKey, LookupOutputs, Plan } from '@headwater/sync-config'
import type { Revocation } from '../auth/revocation.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { CheckpointPin } from './checkpoint-pins.ts'
import type { CompactionFigures } from './compaction-figures.ts'
import type { CopyProgress, Delta, RowError, RowKey, RowStates, StoredCheckpoint } from './delta.ts'

/** What the replicator needs of bucket storage. One writer at a time. */
export interface ReplicationStorage {
  /** Undefined before the first `startGeneration`. */
  readonly readResume: () => Promise<ResumePoint | undefined>
  /** Only rows that are known are in the answer. */
  readonly readRowStates: (keys: readonly RowKey[]) => Promise<RowStates>
  /** Rows of one table that have a state, in pages, for TRUNCATE; `prefix` is what every `RowKey` of the table starts with. */
  readonly readRowStatesOf: (prefix: string) => AsyncIterable<RowStates>
  /**
   * Stores a delta: all of it or nothing. Atomic, durable when it returns, and idempotent by `resume`:
   * a delta whose `resume` is not past what is stored changes nothing.
   * Throws `storage-full` or `storage-failed`; then nothing of the delta is stored.
   */
  readonly append: (delta: Delta) => Promise<Commit>
  /** Of those that clients ask for, shown or not. */
  readonly readStoredWriteCheckpoint: (key: string) => Promise<StoredWriteCheckpoint>
  /** Are there write checkpoints to forget, because nobody has used them for long? */
  readonly hasUnusedWriteCheckpoints: () => Promise<boolean>
  /** Forgets slices of an unfinished transaction. */
  readonly rollback: () => Promise<void>
  /** Moves the resume point past transactions that touched nothing; may be written later, together with something else. */
  readonly skipTo: (resume: Lsn) => Promise<Lsn>
  /**
   * Drops everything that was replicated and starts anew under a new generation number. Write checkpoints are kept;
   * those of the app's backend only when they come from the same rows of the same source.
   */
  readonly startGeneration: (origin: GenerationOrigin) => Promise<number>
}

/** What a generation was built from; another origin needs another generation. */
export type GenerationOrigin = {
  readonly systemId: string
  readonly slot: string
  readonly plan: Plan
}

export type StoredWriteCheckpoint = {
  /** Of the key; undefined without any, or when it was forgotten. */
  readonly own: bigint | undefined
  /** What clients with this key may have been told: of the key, of every client, or of the forgotten ones; else 0. */
  readonly highest: bigint
  /** It will be forgotten before long, unless it is used again. */
  readonly isStale: boolean
}

export type ResumePoint = {
  readonly generation: number
  readonly origin: GenerationOrigin
  /** Undefined before the first append. */
  readonly resume: Lsn | undefined
  readonly copies: readonly CopyProgress[]
  /** Of all clients, shown or not yet; 0 without any. */
  readonly highestWriteCheckpoint: bigint
  /** Was a write checkpoint of every client stored in this generation? */
  readonly coversEveryClient: boolean
}

/** What one append changed, for those who serve it. */
export type Commit = {
  /** Another number than before: everything that was served is gone (`startGeneration`). */
  readonly generation: number
  /** The newest state that clients may see; unchanged when the delta was not to be shown. */
  readonly checkpoint: StoredCheckpoint | undefined
  /** Everything since the last shown commit, when this one is shown; else empty. */
  readonly buckets: ReadonlySet<BucketName>
  readonly lookups: ReadonlySet<LookupKey>
  /** By key; of the kind that `readWriteCheckpoint` answers. */
  readonly writeCheckpoints: ReadonlyMap<string, bigint>
  /** Too much changed to be named: the sets and the map are empty, and everything counts as touched. */
  readonly touchesAll: boolean
}

/** What the streaming side needs of bucket storage. Many readers, no writer. */
export interface SyncStorage {
  /** The newest state that clients may see, and what it belongs to; undefined until the first copy is done. */
  readonly readHead: () => Promise<Head | undefined>
  /** Commits that may be seen, in order, from the call on; never misses one. Bounded: merged when the reader is slow. */
  readonly watchCommits: (signal: AbortSignal) => AsyncIterable<Commit>
  /**
   * From now on, and for ten minutes at most, what the checkpoint consists of is not compacted with what is newer. To be
   * called before the first read, and disposed of after the last.
   */
  readonly pinCheckpoint: (checkpoint: OpId) => CheckpointPin
  /**
   * Sum and count of each bucket's operations up to `upTo`, in the order of `buckets`; zero for unknown ones. Undefined
   * where compaction has gone past `upTo`, which then cannot be served any more: a newer checkpoint can.
   */
  readonly readSums: (buckets: readonly BucketName[], upTo: OpId) => Promise<readonly (BucketSum | undefined)[]>
  /**
   * Operations of one bucket with `after` < id ≤ `upTo`, ascending, already encoded for `format`.
   * At most about `limits.bytesMax` (one operation is never cut) and `limits.operationsMax`.
   */
  readonly readBucket: (read: BucketRead) => Promise<EncodedOperations>
  /** Undefined when what held at `upTo` is not known any more: at a newer checkpoint it is. */
  readonly readLookupPage: (read: LookupRead) => Promise<LookupPage | undefined>
  /**
   * Highest write checkpoint of the key, or of every client, that the head covers. Where the plan has an event for write
   * checkpoints, those of the app's backend; else those that clients asked for.
   */
  readonly readWriteCheckpoint: (key: string) => Promise<bigint | undefined>
}

/** `readLookups` reads all pages. */
export type LookupRead = {
  readonly keys: readonly LookupKey[]
  readonly upTo: OpId
  readonly from: LookupPlace
  /** Keys and entries to read, together. */
  readonly max: number
}

/** Before an entry of a key: what comes after it was not read yet. */
export type LookupPlace = { readonly keyIndex: number; readonly row: string; readonly outputs: string }

export type LookupPage = {
  /**
   * Entries of each key from the place on, as far as the page goes; those of the last key may go on in the next page.
   * What several rows have in common may come as often.
   */
  readonly found: readonly (readonly LookupOutputs[])[]
  /** Undefined when all keys were read to their end. */
  readonly next: LookupPlace | undefined
}

export type Head = { readonly generation: number; readonly plan: Plan; readonly checkpoint: StoredCheckpoint }

export type BucketSum = { readonly checksum: Checksum; readonly count: number }

export type { OperationFormat }

export type BucketRead = {
  readonly bucket: BucketName
  readonly after: OpId
  readonly upTo: OpId
  readonly format: OperationFormat
  readonly bytesMax: number
  readonly operationsMax: number
}

export type EncodedOperations = {
  /**
   * Pieces that belong one behind the other. `ndjson`: operations as JSON objects joined by commas. `bson`: operations as
   * elements of an array with the keys 0, 1, … Views of what many readers share: not to be written to.
   */
  readonly body: readonly Uint8Array[]
  readonly count: number
  /** Id of the last operation in `body`; `after` of the read when empty. */
  readonly nextAfter: OpId
  readonly hasMore: boolean
  /**
   * A client that was sent `body` must not be told that it is complete at a checkpoint below this one: a MOVE or CLEAR in
   * it stands for a row that is found here again. Above `upTo` with an empty `body`: what was asked for went into a CLEAR
   * that comes after `upTo`.
   */
  readonly completeFrom: OpId
}

/** What operators may ask. */
export interface StorageStatus {
  readonly readStatus: () => Promise<StorageFigures>
}

export type StorageFigures = {
  readonly generation: number
  readonly checkpoint: StoredCheckpoint | undefined
  readonly buckets: number
  readonly operations: number
  /** Taken on disk by this generation, write-ahead log included: SQLite keeps up to 64 MiB of it. */
  readonly bytes: number
  readonly copies: readonly CopyProgress[]
  readonly rowErrors: readonly RowError[]
  /** Write checkpoints that wait for the next state that clients may see. */
  readonly writeCheckpointsPending: number
  /** Since this storage was opened. */
  readonly compaction: CompactionFigures
}

/** Revoked tokens. No start of a generation concerns them. */
export interface RevocationStorage {
  readonly readRevocations: () => Promise<readonly Revocation[]>
  /** `put` replaces what there is of the same user, client and token; then `drop` goes. Durable when it returns. */
  readonly writeRevocations: (change: {
    readonly put: readonly Revocation[]
    readonly drop: readonly Revocation[]
  }) => Promise<void>
}

export interface StorageUpkeep {
  /** Compacts now what would else wait until there is more of it; returns what that did. */
  readonly compact: () => Promise<CompactionFigures>
}

export type BucketStorage = ReplicationStorage &
  SyncStorage &
  RevocationStorage &
  StorageStatus &
  StorageUpkeep &
  AsyncDisposable
