import {
  addChecksums,
  CHECKSUM_ZERO,
  OP_ID_ZERO,
  subtractChecksums,
  type BucketEntry,
  type BucketName,
  type Checksum,
  type Line,
  type OpId,
  type Operation,
  type Put,
  type UnknownLine,
} from '@headwater/protocol'

/**
 * The simplest thing that can follow a sync stream: it keeps operations in maps and believes nothing unchecked.
 * It shares no code with the client, so that the two can be compared.
 */
export type RawStore = {
  readonly buckets: Map<BucketName, RawBucket>
  /** What the last checkpoint line announced, diffs applied. */
  target: RawTarget | undefined
  /** The last checkpoint that was completed and whose checksums agreed. */
  completed: RawTarget | undefined
  operationsApplied: number
}

export type RawBucket = {
  /** Where to resume. */
  after: OpId
  /** Puts that nothing superseded, by type, id and subkey. */
  readonly held: Map<string, Put>
  heldChecksum: Checksum
  /** Sum of what is no longer held one by one. */
  droppedChecksum: Checksum
}

export type RawTarget = {
  readonly lastOpId: OpId
  readonly writeCheckpoint: bigint | undefined
  readonly entries: ReadonlyMap<BucketName, BucketEntry>
}

export function emptyRawStore(): RawStore {
  return { buckets: new Map(), target: undefined, completed: undefined, operationsApplied: 0 }
}

/** Applies one line. True when it completed a checkpoint. Throws on whatever a correct service never sends. */
export function applyRawLine(store: RawStore, line: Line | UnknownLine): boolean {
  switch (line.kind) {
    case 'checkpoint': {
      const { lastOpId, writeCheckpoint, buckets } = line.checkpoint
      const entries = new Map(buckets.map((entry) => [entry.bucket, entry]))
      if (entries.size !== buckets.length) throw new Error('A checkpoint names a bucket twice')
      for (const bucket of store.buckets.keys()) if (!entries.has(bucket)) store.buckets.delete(bucket)
      setTarget(store, { lastOpId, writeCheckpoint, entries })
      return false
    }
    case 'checkpoint-diff': {
      if (store.target === undefined) throw new Error('A checkpoint_diff came before any checkpoint')
      const { lastOpId, writeCheckpoint, updatedBuckets, removedBuckets } = line.diff
      const entries = new Map(store.target.entries)
      for (const entry of updatedBuckets) entries.set(entry.bucket, entry)
      for (const bucket of removedBuckets) {
        if (!entries.delete(bucket)) throw new Error(`A checkpoint_diff removes ${bucket}, which was not announced`)
        store.buckets.delete(bucket)
      }
      setTarget(store, { lastOpId, writeCheckpoint, entries })
      return false
    }
    case 'data':
      applyBatch(store, line.batch.bucket, line.batch.operations)
      return false
    case 'checkpoint-complete':
      complete(store, line.lastOpId)
      return true
    case 'partial-checkpoint-complete':
    case 'token-expires-in':
    case 'stream-error':
    case 'stream-end':
    case 'unknown':
      return false
  }
}

/** The rows that a device would show: of several copies of one row the newest counts. By `type`, then by id. */
export function readRawRows(store: RawStore): Map<string, Map<string, string>> {
  const newest = new Map<string, Put>()
  for (const { held } of store.buckets.values()) {
    for (const put of held.values()) {
      const name = JSON.stringify([put.type, put.id])
      const known = newest.get(name)
      if (known === undefined || known.opId < put.opId) newest.set(name, put)
    }
  }
  const rows = new Map<string, Map<string, string>>()
  for (const { type, id, data } of newest.values()) {
    const table = rows.get(type) ?? new Map<string, string>()
    rows.set(type, table.set(id, data))
  }
  return rows
}

function setTarget(store: RawStore, next: RawTarget): void {
  if (store.target !== undefined && next.lastOpId < store.target.lastOpId) {
    throw new Error(`A checkpoint went back, from ${store.target.lastOpId} to ${next.lastOpId}`)
  }
  store.target = next
}

function applyBatch(store: RawStore, name: BucketName, operations: readonly Operation[]): void {
  const { target } = store
  if (target === undefined || !target.entries.has(name)) throw new Error(`Data came for ${name}, not announced before`)
  const bucket = store.buckets.get(name) ?? emptyBucket()
  store.buckets.set(name, bucket)
  for (const operation of operations) {
    if (operation.opId <= bucket.after || operation.opId > target.lastOpId) {
      throw new Error(
        `Operation ${operation.opId} of ${name} is not after ${bucket.after} and up to ${target.lastOpId}`,
      )
    }
    applyOperation(bucket, operation)
    bucket.after = operation.opId
    store.operationsApplied++
  }
}

function applyOperation(bucket: RawBucket, operation: Operation): void {
  switch (operation.kind) {
    case 'put':
    case 'remove': {
      const key = JSON.stringify([operation.type, operation.id, operation.subkey])
      const superseded = bucket.held.get(key)
      if (superseded !== undefined) {
        bucket.held.delete(key)
        bucket.heldChecksum = subtractChecksums(bucket.heldChecksum, superseded.checksum)
        bucket.droppedChecksum = addChecksums(bucket.droppedChecksum, superseded.checksum)
      }
      if (operation.kind === 'put') {
        bucket.held.set(key, operation)
        bucket.heldChecksum = addChecksums(bucket.heldChecksum, operation.checksum)
      } else {
        bucket.droppedChecksum = addChecksums(bucket.droppedChecksum, operation.checksum)
      }
      return
    }
    case 'move':
      bucket.droppedChecksum = addChecksums(bucket.droppedChecksum, operation.checksum)
      return
    case 'clear':
      bucket.held.clear()
      bucket.heldChecksum = CHECKSUM_ZERO
      bucket.droppedChecksum = operation.checksum
      return
  }
}

function complete(store: RawStore, lastOpId: OpId): void {
  const { target } = store
  if (target === undefined) throw new Error('A checkpoint_complete came before any checkpoint')
  if (target.lastOpId !== lastOpId) {
    throw new Error(`A checkpoint_complete is for ${lastOpId}, the checkpoint was ${target.lastOpId}`)
  }
  for (const [name, entry] of target.entries) {
    const bucket = store.buckets.get(name) ?? emptyBucket()
    store.buckets.set(name, bucket)
    const sum = addChecksums(bucket.heldChecksum, bucket.droppedChecksum)
    if (sum !== entry.checksum) {
      throw new Error(`The checksum of ${name} at ${lastOpId} is ${sum}, announced was ${entry.checksum}`)
    }
    bucket.after = target.lastOpId
  }
  store.completed = target
}

function emptyBucket(): RawBucket {
  return { after: OP_ID_ZERO, held: new Map(), heldChecksum: CHECKSUM_ZERO, droppedChecksum: CHECKSUM_ZERO }
}
