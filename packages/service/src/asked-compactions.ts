import { HeadwaterError } from '@headwater/protocol'
import type { Compaction, Operator } from './http/operator.ts'
import type { Log } from './observe/log.ts'
import { type CompactionFigures, figuresSince } from './storage/compaction-figures.ts'
import type { BucketStorage, StorageFigures } from './storage/storage.ts'

export type AskedCompactionsParts = {
  readonly storage: Pick<BucketStorage, 'readStatus' | 'compact'>
  readonly log: Pick<Log, 'warn'>
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

type Asked = {
  readonly startedAtMs: number
  /** Just before it began. */
  readonly before: StorageFigures
  end: { readonly atMs: number; readonly figures: CompactionFigures } | undefined
}

/** Compactions that operators ask for, one at a time; how the last one stands can be read. */
export function createAskedCompactions(parts: AskedCompactionsParts): Pick<Operator, 'compact' | 'readCompaction'> {
  const { storage, log, nowMs } = parts
  let last: Asked | undefined

  const finish = async (asked: Asked): Promise<void> => {
    let figures: CompactionFigures
    try {
      figures = await storage.compact()
    } catch (error) {
      log.warn('storage-compact-failed', { error })
      figures = { ...figuresSince(asked.before.compaction, asked.before.compaction), failures: 1 }
    }
    asked.end = { atMs: nowMs(), figures }
  }
  const describe = async (asked: Asked): Promise<Compaction> => {
    const { startedAtMs, before, end } = asked
    const figures = end?.figures ?? figuresSince(before.compaction, (await storage.readStatus()).compaction)
    const { moved, cleared, bytesFreed, failures, bucketsLeft } = figures
    return {
      started_at: new Date(startedAtMs).toISOString(),
      running: end === undefined,
      took_ms: (end?.atMs ?? nowMs()) - startedAtMs,
      buckets: before.buckets,
      buckets_done: end === undefined ? Math.max(0, before.buckets - bucketsLeft) : before.buckets,
      operations_before: before.operations,
      operations_after: before.operations - cleared,
      moved,
      cleared,
      bytes_freed: bytesFreed,
      failures,
    }
  }

  return {
    compact: async ({ wait }) => {
      const before = await storage.readStatus()
      // Nothing is awaited from here until it has begun, so that of two calls one is refused.
      if (last !== undefined && last.end === undefined) throw running(last, before.compaction)
      const asked: Asked = { startedAtMs: nowMs(), before, end: undefined }
      last = asked
      const finished = finish(asked)
      if (wait) await finished
      return describe(asked)
    },
    readCompaction: async () => (last === undefined ? undefined : describe(last)),
  }
}

function running({ startedAtMs, before }: Asked, { bucketsLeft }: CompactionFigures): HeadwaterError {
  const begun = new Date(startedAtMs).toISOString()
  return new HeadwaterError(
    'compaction-running',
    `Cannot compact: a compaction that was asked for at ${begun} is at work, and has ${bucketsLeft} of ${before.buckets} buckets left. Ask again when it has ended.`,
  )
}
