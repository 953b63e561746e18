import { type BucketName, formatOperation } from '@headwater/protocol'
import type { DeltaOperation } from '../delta.ts'
import { CHUNK_BYTES_MAX, CHUNK_OPERATIONS_MAX } from './chunk-table.ts'
import type { RunBuilder } from './run.ts'

/** Operations of one bucket and the ids they were given. */
export type BucketOperations = { readonly operations: DeltaOperation[]; readonly opIds: number[] }

/** Gives ids from `headOp` + 1 on, in log order, and sorts by bucket; the order within a bucket stays. */
export function groupByBucket(
  operations: readonly DeltaOperation[],
  headOp: number,
): ReadonlyMap<BucketName, BucketOperations> {
  const groups = new Map<BucketName, BucketOperations>()
  let opId = headOp
  for (const operation of operations) {
    opId += 1
    const group = groups.get(operation.bucket)
    if (group === undefined) groups.set(operation.bucket, { operations: [operation], opIds: [opId] })
    else {
      group.operations.push(operation)
      group.opIds.push(opId)
    }
  }
  return groups
}

/** Bytes around the values of an encoded operation: names, quotes, id and checksum. */
const FRAME_BYTES = 120

/** About how many bytes the operations take when encoded, without encoding them. */
export function estimateBytes({ operations }: BucketOperations): number {
  let bytes = 0
  for (const operation of operations) {
    bytes += FRAME_BYTES + (operation.kind === 'put' ? operation.data.length : 0)
  }
  return bytes
}

/** Encodes the operations of a bucket, as runs none of which is larger than a chunk. Each is good until the next. */
export function* encodeRuns(builder: RunBuilder, bucket: number, group: BucketOperations): Generator<Uint8Array> {
  const { operations, opIds } = group
  for (let n = 0; n < operations.length; n++) {
    const operation = operations[n]
    if (operation === undefined) continue
    const opId = opIds[n] ?? 0
    const json = formatOperation(operation, opId, 'ndjson')
    const isFull = builder.count === CHUNK_OPERATIONS_MAX || builder.payloadBytes + json.length > CHUNK_BYTES_MAX
    if (isFull && builder.count > 0) yield builder.finish(bucket)
    builder.add(opId, operation.checksum, json)
  }
  if (builder.count > 0) yield builder.finish(bucket)
}
