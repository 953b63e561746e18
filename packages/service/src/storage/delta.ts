import type { Branded, BucketName, Checksum, OpId } from '@headwater/protocol'
import type { LookupKey, LookupOutputs } from '@headwater/sync-config'
import type { Lsn } from '../postgres/lsn.ts'

/** Names one source row: id of its table in the stream, and its replica identity, in one canonical text. */
export type RowKey = Branded<string, 'RowKey'>

/** Everything that one step of replication decided; stored in one atomic commit. */
export type Delta = {
  /** In log order. Op ids are given in this order when stored. */
  readonly operations: readonly DeltaOperation[]
  readonly lookups: readonly LookupChange[]
  readonly rowStates: readonly RowStateChange[]
  /** Write checkpoints whose marker is inside this delta. */
  readonly writeCheckpoints: readonly WriteCheckpoint[]
  /** Write checkpoints that the app's backend made, from rows inside this delta. */
  readonly customWriteCheckpoints: readonly WriteCheckpoint[]
  /** New progress of copies, one a relation oid: a table that is dropped and made anew is another one. */
  readonly copies: readonly CopyProgress[]
  /** Rows that could not be evaluated; newest kept, shown to operators. */
  readonly rowErrors: readonly RowError[]
  /**
   * Where to read on after a restart: the end of the last whole transaction in this delta.
   * Undefined for a slice of a transaction that goes on: such a slice is stored but durable,
   * and visible, only together with the delta that ends the transaction.
   */
  readonly resume: Lsn | undefined
  /** May clients see the state after this delta (`mayShow`)? */
  readonly show: boolean
  /**
   * What keys of rows begin with, up to the colon, where rows whose key goes on with their id are each the only one that
   * makes its object, which is the same wherever it is. Storage may put such a row into its bucket once more
   * (`storage/defragment.ts`); of others a client might then show another one of several.
   */
  readonly soleSources: ReadonlySet<string>
}

export type DeltaOperation =
  | {
      readonly kind: 'put'
      readonly bucket: BucketName
      readonly row: RowKey
      readonly type: string
      readonly id: string
      readonly subkey: string
      readonly data: string
      readonly checksum: Checksum
    }
  | {
      readonly kind: 'remove'
      readonly bucket: BucketName
      readonly row: RowKey
      readonly type: string
      readonly id: string
      readonly subkey: string
      readonly checksum: Checksum
    }

/** The lookup entries of one row, whole: they replace what was stored for it. Empty removes them. */
export type LookupChange = {
  readonly row: RowKey
  /** What was stored before, from the row's state; so that storage need not search for it. */
  readonly before: readonly StoredLookup[]
  readonly after: readonly StoredLookup[]
}

export type StoredLookup = { readonly key: LookupKey; readonly outputs: LookupOutputs }

/** `after` undefined: the row is gone. */
export type RowStateChange = { readonly row: RowKey; readonly after: RowState | undefined }

/** What is remembered of a source row, to know what a change takes away. */
export type RowState = {
  readonly memberships: readonly Membership[]
  readonly lookups: readonly StoredLookup[]
  /** Values that the stream may leave out later because they are stored out of line, by column name. */
  readonly toasted: { readonly [column: string]: string }
}

export type Membership = {
  readonly bucket: BucketName
  readonly type: string
  readonly id: string
  /** 64 bits or more of a hash of the data: equal means nothing changed. */
  readonly dataHash: string
}

export type RowStates = ReadonlyMap<RowKey, RowState>

/** The key of a write checkpoint that covers every client: whatever any of them had asked for before is reached too. */
export const EVERY_CLIENT = ''

/**
 * The key of a write checkpoint that stands for all keys that were forgotten: no client's, since clients' keys have a
 * percent sign only before two digits of an escape, or alone.
 */
export const FORGOTTEN_CLIENTS = '%forgotten'

export type WriteCheckpoint = {
  /** `user id`, or `user id/client id`, or `EVERY_CLIENT`, or `FORGOTTEN_CLIENTS`, which makes storage forget. */
  readonly key: string
  readonly number: bigint
}

export type CopyProgress = {
  /** `schema.name`. */
  readonly table: string
  readonly relationOid: number
  /** Where the copy stands; the replicator's own words, stored as they are. */
  readonly cursor: string
  readonly done: boolean
  readonly rowsCopied: number
  /** Estimated when the copy began; 0 when unknown. */
  readonly rowsEstimated: number
}

export type RowError = {
  readonly table: string
  readonly row: string
  readonly definition: string
  readonly message: string
  readonly atMs: number
}

/** A state of the source that clients may see. */
export type StoredCheckpoint = { readonly opId: OpId; readonly lsn: Lsn }
