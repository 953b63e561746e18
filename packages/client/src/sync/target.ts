import type { BucketEntry, Checkpoint, CheckpointDiff, OpId, StreamEntry } from '@headwater/protocol'
import type { StreamKey } from '../store/subscriptions.ts'

/** The checkpoint that a connection is downloading. */
export type Target = {
  readonly lastOpId: OpId
  readonly writeCheckpoint: bigint | undefined
  readonly streams: readonly StreamEntry[]
  /** What keeps streams from being synced whole, by `streamId`. */
  readonly streamErrors: ReadonlyMap<string, readonly string[]>
  /** Bucket name to its priority and the streams that it belongs to. */
  readonly buckets: ReadonlyMap<string, TargetBucket>
}

export type TargetBucket = { readonly priority: number; readonly streams: readonly StreamKey[] }

export function toTarget(checkpoint: Checkpoint, requested: readonly StreamKey[]): Target {
  const { lastOpId, writeCheckpoint, streams } = checkpoint
  return {
    lastOpId,
    writeCheckpoint,
    streams,
    streamErrors: errorsOf(streams, requested),
    buckets: new Map(checkpoint.buckets.map((entry) => [entry.bucket, toBucket(entry, streams, requested)])),
  }
}

/** The write checkpoint is replaced, not kept: what a completed checkpoint announced is remembered elsewhere. */
export function applyDiff(target: Target, diff: CheckpointDiff, requested: readonly StreamKey[]): Target {
  const buckets = new Map(target.buckets)
  for (const bucket of diff.removedBuckets) buckets.delete(bucket)
  for (const entry of diff.updatedBuckets) buckets.set(entry.bucket, toBucket(entry, target.streams, requested))
  return { ...target, lastOpId: diff.lastOpId, writeCheckpoint: diff.writeCheckpoint, buckets }
}

/** Streams that have buckets, none of which is less urgent than `priority`. */
export function streamsCoveredBy(target: Target, priority: number): StreamKey[] {
  const leastUrgent = new Map<string, { stream: StreamKey; priority: number }>()
  for (const bucket of target.buckets.values()) {
    for (const stream of bucket.streams) {
      const key = streamId(stream)
      const known = leastUrgent.get(key)
      if (known === undefined || known.priority < bucket.priority) {
        leastUrgent.set(key, { stream, priority: bucket.priority })
      }
    }
  }
  return [...leastUrgent.values()].filter((entry) => entry.priority <= priority).map(({ stream }) => stream)
}

/** Names a stream with its parameters. */
export function streamId({ name, parameters }: StreamKey): string {
  return `${name} ${parameters}`
}

function errorsOf(streams: readonly StreamEntry[], requested: readonly StreamKey[]): Map<string, string[]> {
  const errors = new Map<string, string[]>()
  for (const { name, errors: told } of streams) {
    for (const { subscription, message } of told) {
      const stream = subscription === 'default' ? { name, parameters: 'null' } : requested[subscription]
      if (stream === undefined) continue
      const id = streamId(stream)
      errors.set(id, [...(errors.get(id) ?? []), message])
    }
  }
  return errors
}

function toBucket(entry: BucketEntry, streams: readonly StreamEntry[], requested: readonly StreamKey[]): TargetBucket {
  const reasons = entry.subscriptions.flatMap((reason): StreamKey[] => {
    if (reason.kind === 'subscription') {
      const stream = requested[reason.subscription]
      return stream === undefined ? [] : [stream]
    }
    const stream = streams[reason.stream]
    return stream === undefined ? [] : [{ name: stream.name, parameters: 'null' }]
  })
  return { priority: entry.priority, streams: reasons }
}
