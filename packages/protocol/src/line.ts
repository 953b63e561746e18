import type { Checksum } from './checksum.ts'
import type { OpId } from './op-id.ts'
import type { BucketName, Operation } from './operation.ts'

/** One line of the sync stream, service to client. The whole vocabulary is on this screen. */
export type Line =
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint }
  | { readonly kind: 'checkpoint-diff'; readonly diff: CheckpointDiff }
  | { readonly kind: 'data'; readonly batch: OperationBatch }
  | { readonly kind: 'checkpoint-complete'; readonly lastOpId: OpId }
  | { readonly kind: 'partial-checkpoint-complete'; readonly lastOpId: OpId; readonly priority: number }
  | { readonly kind: 'token-expires-in'; readonly seconds: number }
  /** What went wrong after the stream had begun; nothing follows. `code` is that of the service. */
  | { readonly kind: 'stream-error'; readonly code: string; readonly message: string; readonly retryAfterMs?: number }
  /** Why the service ends the stream in good order; nothing follows. */
  | { readonly kind: 'stream-end'; readonly reason: StreamEndReason; readonly retryAfterMs?: number }

/** `other`: one that this version does not know. */
export type StreamEndReason = 'token-expired' | 'token-revoked' | 'config-changed' | 'shutdown' | 'other'

/** A line whose key this version does not know: logged and ignored, so an older client survives a newer service. */
export type UnknownLine = { readonly kind: 'unknown'; readonly wireKind: string }

export type Checkpoint = {
  readonly lastOpId: OpId
  /** Highest write checkpoint of this client that the checkpoint covers; absent where there is none. */
  readonly writeCheckpoint: bigint | undefined
  readonly buckets: readonly BucketEntry[]
  readonly streams: readonly StreamEntry[]
  /** As all figures of a checkpoint, true when the line was made, and not told by every service. */
  readonly limits?: LimitFigures
}

/** How much of what one client may have this one has; for people to look at. */
export type LimitFigures = {
  readonly buckets: number
  readonly bucketsMax: number
}

export type CheckpointDiff = {
  readonly lastOpId: OpId
  readonly writeCheckpoint: bigint | undefined
  readonly updatedBuckets: readonly BucketEntry[]
  readonly removedBuckets: readonly BucketName[]
}

export type BucketEntry = {
  readonly bucket: BucketName
  readonly checksum: Checksum
  /** Operations in storage up to the checkpoint; for progress display only. */
  readonly count: number
  /** 0 (most urgent) … 3. */
  readonly priority: number
  readonly subscriptions: readonly BucketReason[]
}

/** Why a client gets a bucket: index into the `streams` of the line, or into the request's subscriptions. */
export type BucketReason =
  | { readonly kind: 'default'; readonly stream: number }
  | { readonly kind: 'subscription'; readonly subscription: number }

export type StreamEntry = {
  readonly name: string
  readonly isDefault: boolean
  readonly errors: readonly StreamError[]
  /** Buckets that the client gets from it; what several streams give counts in each. A figure. */
  readonly buckets?: number
}

export type StreamError = {
  readonly subscription: 'default' | number
  readonly message: string
  /** Buckets that this subscription would have given, where they are too many. A figure. */
  readonly buckets?: number
}

export type OperationBatch = {
  readonly bucket: BucketName
  /** Every operation here has a greater id. */
  readonly after: OpId
  readonly nextAfter: OpId
  readonly hasMore: boolean
  readonly operations: readonly Operation[]
}
