import type { BucketEntry, BucketName, OpId } from '@headwater/protocol'
import type { GrantedBucket, Turn } from '@headwater/sync-config'
import type { SyncStorage } from '../storage/storage.ts'
import type { BucketTotal } from './plan-send.ts'

/** Buckets asked for at once; others run in between. */
const BUCKETS_PER_READ = 100

/**
 * Sum and count of each bucket up to a checkpoint, in the order of `buckets`. Undefined when compaction has gone past it.
 */
export async function readTotals(
  storage: SyncStorage,
  buckets: readonly BucketName[],
  checkpoint: OpId,
  turn: Turn,
): Promise<BucketTotal[] | undefined> {
  const totals: BucketTotal[] = []
  for (let at = 0; at < buckets.length; at += BUCKETS_PER_READ) {
    if (turn.isOver) await turn.next()
    const some = buckets.slice(at, at + BUCKETS_PER_READ)
    const sums = await storage.readSums(some, checkpoint)
    for (const [n, bucket] of some.entries()) {
      const sum = sums[n]
      if (sum === undefined) return undefined
      totals.push({ bucket, checksum: sum.checksum, count: sum.count })
    }
  }
  return totals
}

/** Entries of a checkpoint line for the buckets that a client is granted; undefined as above. */
export async function readEntries(
  storage: SyncStorage,
  granted: readonly GrantedBucket[],
  checkpoint: OpId,
  turn: Turn,
): Promise<BucketEntry[] | undefined> {
  const entries: BucketEntry[] = []
  for (let at = 0; at < granted.length; at += BUCKETS_PER_READ) {
    if (turn.isOver) await turn.next()
    const some = granted.slice(at, at + BUCKETS_PER_READ)
    const sums = await storage.readSums(
      some.map(({ bucket }) => bucket),
      checkpoint,
    )
    for (const [n, { bucket, priority, reasons }] of some.entries()) {
      const sum = sums[n]
      if (sum === undefined) return undefined
      entries.push({ bucket, checksum: sum.checksum, count: sum.count, priority, subscriptions: reasons })
    }
  }
  return entries
}
