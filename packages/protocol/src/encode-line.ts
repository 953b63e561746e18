import { encodeBson } from './bson.ts'
import { toSignedChecksum } from './checksum.ts'
import type { BucketEntry, BucketReason, Checkpoint, CheckpointDiff, Line, StreamEntry } from './line.ts'
import { escapeLineEnds } from './ndjson.ts'
import type { JsonObject, JsonValue } from './request.ts'

/** How lines are framed: JSON texts ended by a line feed, or BSON documents back to back. */
export type LineFormat = 'ndjson' | 'bson'

/** Every line but those with operations, which `encodeDataLine` assembles from bytes that are encoded already. */
export type ControlLine = Exclude<Line, { readonly kind: 'data' }>

/** One whole line: ends with a line feed in `ndjson`, is one document in `bson`. */
export function encodeLine(line: ControlLine, format: LineFormat): Uint8Array {
  const wire = toWire(line)
  return format === 'bson' ? encodeBson(wire) : utf8.encode(`${escapeLineEnds(JSON.stringify(wire))}\n`)
}

const utf8 = new TextEncoder()

function toWire(line: ControlLine): JsonObject {
  switch (line.kind) {
    case 'checkpoint':
      return { checkpoint: checkpointToWire(line.checkpoint) }
    case 'checkpoint-diff':
      return { checkpoint_diff: diffToWire(line.diff) }
    case 'checkpoint-complete':
      return { checkpoint_complete: { last_op_id: `${line.lastOpId}` } }
    case 'partial-checkpoint-complete':
      return { partial_checkpoint_complete: { last_op_id: `${line.lastOpId}`, priority: line.priority } }
    case 'token-expires-in':
      return { token_expires_in: line.seconds }
    case 'stream-error':
      return { stream_error: { code: line.code, message: line.message, ...retryAfterToWire(line) } }
    case 'stream-end':
      return { stream_end: { reason: line.reason.replaceAll('-', '_'), ...retryAfterToWire(line) } }
  }
}

function retryAfterToWire({ retryAfterMs }: { readonly retryAfterMs?: number }): JsonObject {
  return retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }
}

function checkpointToWire(checkpoint: Checkpoint): JsonObject {
  return {
    last_op_id: `${checkpoint.lastOpId}`,
    ...writeCheckpointToWire(checkpoint.writeCheckpoint),
    buckets: checkpoint.buckets.map(bucketToWire),
    streams: checkpoint.streams.map(streamToWire),
  }
}

function diffToWire(diff: CheckpointDiff): JsonObject {
  return {
    last_op_id: `${diff.lastOpId}`,
    ...writeCheckpointToWire(diff.writeCheckpoint),
    removed_buckets: diff.removedBuckets,
    updated_buckets: diff.updatedBuckets.map(bucketToWire),
  }
}

function writeCheckpointToWire(writeCheckpoint: bigint | undefined): JsonObject {
  return writeCheckpoint === undefined ? {} : { write_checkpoint: `${writeCheckpoint}` }
}

function bucketToWire(entry: BucketEntry): JsonObject {
  return {
    bucket: entry.bucket,
    checksum: toSignedChecksum(entry.checksum),
    count: entry.count,
    priority: entry.priority,
    subscriptions: entry.subscriptions.map(reasonToWire),
  }
}

function reasonToWire(reason: BucketReason): JsonValue {
  return reason.kind === 'default' ? { default: reason.stream } : { sub: reason.subscription }
}

function streamToWire(stream: StreamEntry): JsonObject {
  return {
    name: stream.name,
    is_default: stream.isDefault,
    errors: stream.errors.map(({ subscription, message }) => ({ subscription, message })),
  }
}
