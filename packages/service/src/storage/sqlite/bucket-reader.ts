import { strict as assert } from 'node:assert'
import {
  type BucketName,
  CHECKSUM_ZERO,
  documentsOf,
  encodeBsonElements,
  type OperationBytes,
  type OpId,
  toChecksum,
  toOpId,
} from '@headwater/protocol'
import { NO_TARGET } from '../compact.ts'
import type { BucketRead, BucketSum, EncodedOperations } from '../storage.ts'
import type { PackedBucket, PackedBuckets, Totals } from './bucket-table.ts'
import type { ChunkReader } from './chunk-table.ts'
import { countUpTo, type Run } from './run.ts'
import { countEndingUpTo, type ReadableTail } from './tail.ts'
import { Transcoder } from './transcode.ts'

/** Part of a run, in the format that is asked for. */
type Piece = { readonly encoded: OperationBytes; readonly run: Run; readonly from: number; readonly to: number }

/** A stored run and the name it has in caches. */
type NamedRun = { readonly run: Run; readonly key: string }

/** Reads sums and operations of buckets, from chunks and the tail, at any op id. */
export class BucketReader {
  readonly #packed: PackedBuckets
  readonly #chunks: ChunkReader
  readonly #tail: ReadableTail
  readonly #transcoder = new Transcoder()

  constructor(packed: PackedBuckets, chunks: ChunkReader, tail: ReadableTail) {
    this.#packed = packed
    this.#chunks = chunks
    this.#tail = tail
  }

  /** Undefined when operations up to `upTo` went into a CLEAR that comes after it. */
  readSum(name: BucketName, upTo: OpId): BucketSum | undefined {
    const bucket = this.#packed.find(name)
    if (bucket === undefined) return { checksum: CHECKSUM_ZERO, count: 0 }
    if (Number(upTo) < bucket.floorOp) return undefined
    const { count, sum } = this.#totalsAt(bucket, Number(upTo))
    return { checksum: toChecksum(sum), count: count - bucket.clearedCount }
  }

  /** See `SyncStorage.readBucket`. */
  read(read: BucketRead): EncodedOperations {
    const bucket = this.#packed.find(read.bucket)
    if (bucket === undefined) return join([], read, false)
    if (read.upTo < bucket.floorOp && read.after < read.upTo) {
      return { ...join([], read, true), completeFrom: toOpId(BigInt(bucket.floorOp)) }
    }
    const pieces: Piece[] = []
    const upTo = Number(read.upTo)
    let position = Number(read.after)
    let operationsLeft = read.operationsMax
    let bytesLeft = read.bytesMax
    let hasMore = false
    for (const { run, key } of this.#runsAfter(bucket, position, upTo)) {
      const { firstOp, lastOp, count } = run.header
      const first = firstOp > position ? 0 : countUpTo(run.index, position)
      const end = lastOp <= upTo ? count : countUpTo(run.index, upTo)
      if (first === end) continue
      const taken = read.operationsMax - operationsLeft
      if (operationsLeft <= 0 || bytesLeft <= 0 || (read.format === 'bson' && taken >= BSON_ALONE_FROM)) {
        hasMore = true
        break
      }
      const encoded = this.#transcoder.encode(run, key, read.format)
      const fitsWhole = first === 0 && end === count && count <= operationsLeft && encoded.bytes.length <= bytesLeft
      const room = { from: first, to: end, operationsLeft, bytesLeft, isFirst: pieces.length === 0 }
      const to = fitsWhole ? count : fitting(encoded.ends, room)
      if (to > first) pieces.push({ encoded, run, from: first, to })
      if (to < end) {
        hasMore = true
        break
      }
      operationsLeft -= to - first
      bytesLeft -= endOf(encoded, to, count) - endOf(encoded, first, count)
      position = lastOp
    }
    return join(pieces, read, hasMore)
  }

  forgetCached(): void {
    this.#transcoder.forgetCached()
  }

  #totalsAt(bucket: PackedBucket, upTo: number): Totals {
    const segments = this.#tail.committedSegmentsOf(bucket)
    const whole = countEndingUpTo(segments, upTo)
    const next = segments[whole]
    const before = segments[whole - 1]?.after
    if (next !== undefined && next.firstOp <= upTo) {
      return addPart(before ?? bucket, this.#tail.readSegment(next), upTo)
    }
    if (before !== undefined) return before
    if (bucket.opId <= upTo) return bucket
    const chunk = this.#chunks.findEndingAfter(bucket.id, upTo)
    assert(chunk !== undefined, `Bucket ${bucket.id} is packed up to ${bucket.opId}, but has no chunk after ${upTo}`)
    return chunk.firstOp > upTo ? chunk.before : addPart(chunk.before, this.#chunks.read(chunk), upTo)
  }

  /** Runs that have operations with `after` < id ≤ `upTo`, in order. */
  *#runsAfter(bucket: PackedBucket, after: number, upTo: number): Generator<NamedRun> {
    let position = after
    while (position < bucket.opId) {
      const chunk = this.#chunks.findEndingAfter(bucket.id, position)
      if (chunk === undefined || chunk.firstOp > upTo) break
      yield { run: this.#chunks.read(chunk), key: `chunk ${chunk.id}` }
      position = chunk.lastOp
    }
    const segments = this.#tail.committedSegmentsOf(bucket)
    for (let n = countEndingUpTo(segments, position); n < segments.length; n++) {
      const segment = segments[n]
      if (segment === undefined || segment.firstOp > upTo) return
      yield { run: this.#tail.readSegment(segment), key: `tail ${segment.seq} ${segment.offset}` }
    }
  }
}

function addPart(before: Totals, run: Run, upTo: number): Totals {
  const count = countUpTo(run.index, upTo)
  const sum = count === 0 ? 0 : (run.index.sums[count - 1] ?? 0)
  return { opId: upTo, count: before.count + count, sum: (before.sum + sum) >>> 0 }
}

/** Where the first `operations` of `count` end. */
function endOf(encoded: OperationBytes, operations: number, count: number): number {
  if (operations === 0) return 0
  return operations === count ? encoded.bytes.length : (encoded.ends[operations - 1] ?? 0)
}

/**
 * A piece of so many operations is not joined with others in BSON: they would have to be copied behind other keys, and
 * another line costs less.
 */
const BSON_ALONE_FROM = 100

type Room = {
  readonly from: number
  readonly to: number
  readonly operationsLeft: number
  readonly bytesLeft: number
  /** Nothing was taken yet: one operation is taken however large it is. */
  readonly isFirst: boolean
}

/** Up to which operation (excluded) the limits reach. */
function fitting(ends: Uint32Array, room: Room): number {
  const { from, isFirst, bytesLeft } = room
  const last = Math.min(room.to, from + room.operationsLeft)
  const start = from === 0 ? 0 : (ends[from - 1] ?? 0)
  let to = last
  while (to > from && (ends[to - 1] ?? 0) - start > bytesLeft) to--
  return to === from && isFirst ? from + 1 : to
}

function join(pieces: readonly Piece[], read: BucketRead, hasMore: boolean): EncodedOperations {
  const body: Uint8Array[] = []
  let count = 0
  let nextAfter = read.after
  let completeFrom = NO_TARGET
  for (const piece of pieces) {
    const { encoded, run, from, to } = piece
    const { header } = run
    body.push(
      read.format === 'bson' && (from > 0 || count > 0)
        ? encodeBsonElements(documentsOf(encoded, from, to), count)
        : encoded.bytes.subarray(endOf(encoded, from, header.count), endOf(encoded, to, header.count)),
    )
    count += to - from
    nextAfter = toOpId(BigInt(to === header.count ? header.lastOp : (run.index.opIds[to - 1] ?? 0)))
    if (header.hasTargets) completeFrom = Math.max(completeFrom, highestTarget(piece))
  }
  const last = body.at(-1)
  // Each operation is stored with a comma behind it; the last one goes.
  if (read.format !== 'bson' && last !== undefined) body[body.length - 1] = last.subarray(0, -1)
  return { body, count, nextAfter, hasMore, completeFrom: toOpId(BigInt(completeFrom)) }
}

function highestTarget({ run, from, to }: Piece): number {
  let highest = NO_TARGET
  for (const target of run.index.targets?.subarray(from, to) ?? []) if (target > highest) highest = target
  return highest
}
