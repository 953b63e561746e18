import { formatOperation, toChecksum } from '@headwater/protocol'
import {
  type Cleared,
  extendCleared,
  findSuperseding,
  isDue,
  isWorthClearing,
  type LogEntry,
  NewestOfRows,
  NO_TARGET,
  NOTHING_CLEARED,
} from '../compact.ts'
import { FrontSearch, type LiveRow, type Stretch } from '../defragment.ts'
import type { BucketTable } from './bucket-table.ts'
import type { Chunk, ChunkWriter } from './chunk-table.ts'
import type { Defragmenter } from './defragmenter.ts'
import { readEntries } from './log-entries.ts'
import { type Run, RunBuilder } from './run.ts'

/** Memory for the rows of one bucket. A bucket with more rows, about 300,000, keeps some superseded operations. */
const ROWS_BYTES_MAX = 33_554_432

/** A chunk is written anew when so much of it goes; less is not worth it, unless nothing of it would be left. */
const SAVED_SHARE_MIN = 0.2

/** About what a MOVE takes in a run. */
const MOVE_BYTES = 60

export const NOTHING_DONE: CompactionStep = { moved: 0, cleared: 0, bytesFreed: 0 }

/** What one step has done, in the transaction that is open. */
export type CompactionStep = {
  /** Operations that became MOVEs. */
  readonly moved: number
  /** Operations fewer than before. */
  readonly cleared: number
  /** At least 0: a few small operations may compress worse than what they became. */
  readonly bytesFreed: number
}

export type BucketCompactionParts = {
  readonly chunks: ChunkWriter
  readonly buckets: BucketTable
  readonly defragmenter: Pick<Defragmenter, 'limits' | 'isMovable' | 'needOf' | 'plan'>
}

/** `blocked`: what has grown is still above what may be compacted. */
export type BucketNeed = 'none' | 'blocked' | 'due'

/** How a bucket stands that may be compacted up to `upTo`; `isAsked`: however little has grown. */
export function readNeed(parts: BucketCompactionParts, bucket: number, upTo: number, isAsked: boolean): BucketNeed {
  const needOfFront = parts.defragmenter.needOf(bucket, upTo)
  if (needOfFront !== undefined) return needOfFront
  const { packedCount, clearedCount, compactedCount: compacted, liveCount: live } = parts.buckets.readCompacted(bucket)
  // What compaction has left without a row may pay for a defragmentation since.
  if (isAsked && packedCount - clearedCount - live >= parts.defragmenter.limits.deadMin) return 'due'
  const needs = (reachable: number): boolean =>
    isAsked ? reachable > compacted : isDue({ reachable, compacted, live })
  if (!needs(packedCount)) return 'none'
  return needs(countReachable(parts, bucket, upTo, packedCount)) ? 'due' : 'blocked'
}

/**
 * Compacts what is packed of a bucket and not above `upTo`, in steps of one chunk or two; after each the bucket is whole,
 * so that a transaction may end there. Holds no cursor between steps: other chunks may be packed meanwhile.
 */
export function* compactBucket(
  parts: BucketCompactionParts,
  bucket: number,
  upTo: number,
): Generator<CompactionStep, void, undefined> {
  const { chunks, buckets, defragmenter } = parts
  const compactedCount = countReachable(parts, bucket, upTo, buckets.readCompacted(bucket).packedCount)
  const newest = new NewestOfRows(ROWS_BYTES_MAX)
  const builder = new RunBuilder()
  const search = new FrontSearch(defragmenter.limits, (row) => defragmenter.isMovable(row))
  let liveCount = 0
  let next = chunks.findEndingBefore(bucket, Number.MAX_SAFE_INTEGER)
  // What comes behind it is not packed yet, and not looked at, whether or not it is above `upTo`.
  const seenTo = Math.min(next?.lastOp ?? 0, upTo)
  while (next !== undefined) {
    const chunk = next
    if (chunk.firstOp <= upTo) {
      const { live, step } = moveSuperseded(chunks, chunk, { bucket, upTo, newest, builder, search })
      liveCount += live
      yield step
    }
    next = chunks.findEndingBefore(bucket, chunk.firstOp)
  }
  for (let isDone = false; !isDone;) {
    const { step, ...outcome } = clearFront(parts, { bucket, upTo, builder })
    isDone = outcome.isDone
    yield step
  }
  buckets.writeCompacted(bucket, { compactedCount, liveCount })
  // Where rows were forgotten, a PUT that seems the newest of its row may not be.
  const front = newest.hasForgotten ? undefined : search.finish()
  if (front !== undefined) for (const _ of defragmenter.plan(bucket, front, seenTo)) yield NOTHING_DONE
  yield NOTHING_DONE
}

/** Operations in chunks that are not above `upTo`, counted from the bucket's beginning. */
function countReachable({ chunks }: BucketCompactionParts, bucket: number, upTo: number, packedCount: number): number {
  return chunks.findEndingAfter(bucket, upTo)?.before.count ?? packedCount
}

type Scope = { readonly bucket: number; readonly upTo: number; readonly builder: RunBuilder }

/** Superseded operations of one chunk become MOVEs, if that is worth it. */
function moveSuperseded(
  chunks: ChunkWriter,
  chunk: Chunk,
  { bucket, upTo, builder, newest, search }: Scope & { readonly newest: NewestOfRows; readonly search: FrontSearch },
): { readonly live: number; readonly step: CompactionStep } {
  const { run, storedBytes } = chunks.read(chunk)
  const entries = readEntries(run)
  const targets = findSuperseding(entries, newest, upTo)
  search.addOlder(describeStretch(run, { entries, targets, upTo }))
  const puts = entries.filter(({ kind }) => kind === 'put').length
  const superseded = describeSuperseded(run, entries, targets)
  const livePuts = puts - superseded.puts
  const isWorth =
    superseded.count > 0 && (livePuts === 0 || superseded.bytesSaved >= run.payload.length * SAVED_SHARE_MIN)
  if (!isWorth) return { live: puts, step: NOTHING_DONE }
  let kept = 0
  for (const [n, target] of targets.entries()) {
    const entry = entries[n]
    if (target === NO_TARGET || entry === undefined) continue
    if (n > kept) builder.addFrom(run, kept, n)
    addWithoutRow(builder, 'move', { ...entry, target })
    kept = n + 1
  }
  if (kept < entries.length) builder.addFrom(run, kept, entries.length)
  const bytes = chunks.replace([chunk], builder.finish(bucket), chunk.before)
  return { live: livePuts, step: { moved: superseded.count, cleared: 0, bytesFreed: Math.max(0, storedBytes - bytes) } }
}

type Seen = { readonly entries: readonly LogEntry[]; readonly targets: readonly number[]; readonly upTo: number }

function describeStretch(run: Run, { entries, targets, upTo }: Seen): Stretch {
  const { ends } = run.index
  const live: LiveRow[] = []
  let dead = 0
  let deadFirst = 0
  for (const [n, entry] of entries.entries()) {
    if (entry.opId > upTo) break
    if (entry.kind !== 'put' || targets[n] !== NO_TARGET) {
      dead += 1
      if (live.length === 0) deadFirst = dead
    } else {
      live.push({ row: entry.row, opId: entry.opId, bytes: (ends[n] ?? 0) - (ends[n - 1] ?? 0) })
    }
  }
  return { dead, deadFirst, live }
}

function describeSuperseded(
  run: Run,
  entries: readonly LogEntry[],
  targets: readonly number[],
): { readonly count: number; readonly puts: number; readonly bytesSaved: number } {
  const { ends } = run.index
  let count = 0
  let puts = 0
  let bytesSaved = 0
  for (const [n, target] of targets.entries()) {
    if (target === NO_TARGET) continue
    count += 1
    if (entries[n]?.kind === 'put') puts += 1
    bytesSaved += (ends[n] ?? 0) - (ends[n - 1] ?? 0) - MOVE_BYTES
  }
  return { count, puts, bytesSaved }
}

/** What the bucket begins with becomes a CLEAR, as far as its first chunk or the first two go. */
function clearFront(
  { chunks, buckets }: BucketCompactionParts,
  { bucket, upTo, builder }: Scope,
): { readonly isDone: boolean; readonly step: CompactionStep } {
  const first = chunks.findFirst(bucket)
  const second = first === undefined ? undefined : chunks.findEndingAfter(bucket, first.lastOp)
  let cleared: Cleared = NOTHING_CLEARED
  let storedBytes = 0
  const replaced: Chunk[] = []
  let rest: { readonly run: Run; readonly from: number } | undefined
  for (const chunk of [first, second]) {
    if (chunk === undefined) break
    const stored = chunks.read(chunk)
    const extended = extendCleared(cleared, readEntries(stored.run), upTo)
    const from = extended.count - cleared.count
    if (from === 0) break
    cleared = extended
    storedBytes += stored.storedBytes
    replaced.push(chunk)
    rest = from < chunk.count ? { run: stored.run, from } : undefined
    if (rest !== undefined) break
  }
  const isDone = rest !== undefined || replaced.length < 2
  if (!isWorthClearing(cleared)) return { isDone, step: NOTHING_DONE }
  addWithoutRow(builder, 'clear', cleared)
  if (rest !== undefined) builder.addFrom(rest.run, rest.from, rest.run.header.count)
  const clearedCount = buckets.readCompacted(bucket).clearedCount + cleared.count - 1
  const bytes = chunks.replace(replaced, builder.finish(bucket), { count: clearedCount, sum: 0 })
  buckets.writeCleared(bucket, { floorOp: cleared.opId, clearedCount })
  return { isDone, step: { moved: 0, cleared: cleared.count - 1, bytesFreed: Math.max(0, storedBytes - bytes) } }
}

type WithoutRow = { readonly opId: number; readonly checksum: number; readonly target: number }

function addWithoutRow(builder: RunBuilder, kind: 'move' | 'clear', { opId, checksum, target }: WithoutRow): void {
  builder.add(opId, checksum, formatOperation({ kind, checksum: toChecksum(checksum) }, opId, 'ndjson'), target)
}
