import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { PackedBucket, Totals } from './bucket-table.ts'
import { type Run, type RunHeader, readRun, readRunHeader } from './run.ts'

/** One run in the tail, and the totals of its bucket after it. */
export type Segment = {
  readonly seq: number
  /** Of the run, in the body of the row `seq`. */
  readonly offset: number
  readonly bytes: number
  readonly firstOp: number
  readonly lastOp: number
  readonly after: Totals
}

/** What readers of buckets need of the tail. */
export interface ReadableTail {
  /** What follows the packed operations of the bucket, in the order of op ids. */
  readonly committedSegmentsOf: (bucket: PackedBucket) => readonly Segment[]
  readonly readSegment: (segment: Segment) => Run
}

type TailRow = { readonly body: Uint8Array; readonly buckets: readonly number[]; runsLeft: number }

/**
 * The operations that are not packed yet. The rows are in SQLite, to be found after a crash, and in memory, from where
 * connected clients are served.
 *
 * Invariant: the segments of a bucket are in the order of op ids, and all of them come after what is packed of it.
 * Bounded by the packer, which keeps `bytes` below `TAIL_BYTES_MAX`; what readers still need of rows that were packed
 * in a transaction that is open comes on top.
 */
export class Tail implements ReadableTail {
  readonly #rows = new Map<number, TailRow>()
  readonly #segments = new Map<number, Segment[]>()
  /** The last row that is committed. */
  #committedSeq = 0
  /** Packed, but not committed: readers, who do not see the chunks yet, find these as they were before. */
  readonly #droppedRows = new Map<number, TailRow>()
  readonly #droppedSegments = new Map<number, readonly Segment[]>()
  readonly #insert: StatementSync
  readonly #delete: StatementSync
  readonly #readAll: StatementSync
  readonly #packedTotals: (bucket: number) => Totals
  #nextSeq = 1
  bytes = 0

  constructor(writer: DatabaseSync, packedTotals: (bucket: number) => Totals) {
    this.#packedTotals = packedTotals
    this.#insert = writer.prepare('INSERT INTO tail (seq, body) VALUES (?, ?)')
    this.#delete = writer.prepare('DELETE FROM tail WHERE seq = ?')
    this.#readAll = writer.prepare('SELECT seq, body FROM tail ORDER BY seq')
  }

  get rowCount(): number {
    return this.#rows.size
  }

  /** Forgets what is in memory and reads it from SQLite again; runs that were packed already are left out. */
  load(): void {
    this.#rows.clear()
    this.#segments.clear()
    this.bytes = 0
    for (const row of this.#readAll.iterate()) {
      const body = row['body']
      assert(body instanceof Uint8Array)
      this.#take(Number(row['seq']), body)
    }
    this.noteCommitted()
  }

  /** Stores runs back to back as the next row. */
  append(body: Uint8Array): void {
    const seq = this.#nextSeq
    this.#insert.run(seq, body)
    this.#take(seq, body)
  }

  /** In the order of op ids; as of the last commit, and what the open transaction added unless it packed the bucket. */
  committedSegmentsOf({ id }: PackedBucket): readonly Segment[] {
    return this.#droppedSegments.get(id) ?? this.segmentsOf(id)
  }

  /** In the order of op ids. */
  segmentsOf(bucket: number): readonly Segment[] {
    return this.#segments.get(bucket) ?? NO_SEGMENTS
  }

  /** Totals of the bucket with all that was ever stored in it. */
  totalsOf(bucket: number): Totals {
    return this.#segments.get(bucket)?.at(-1)?.after ?? this.#packedTotals(bucket)
  }

  readSegment(segment: Segment): Run {
    const row = this.#rows.get(segment.seq) ?? this.#droppedRows.get(segment.seq)
    assert(row !== undefined, `Tail row ${segment.seq} is gone`)
    return readRun(row.body, segment.offset)
  }

  /** Buckets with operations in the oldest row; empty when the tail is. */
  oldestBuckets(): readonly number[] {
    for (const row of this.#rows.values()) return row.buckets
    return []
  }

  /**
   * All segments of the bucket are packed: rows without any other are deleted. Those that readers may need stay in
   * memory until `noteCommitted`.
   */
  drop(bucket: number): void {
    const segments = this.segmentsOf(bucket)
    const isCommitted = (segments[0]?.seq ?? Infinity) <= this.#committedSeq
    if (isCommitted && !this.#droppedSegments.has(bucket)) this.#droppedSegments.set(bucket, segments)
    for (const { seq } of segments) {
      const row = this.#rows.get(seq)
      assert(row !== undefined, `A segment of bucket ${bucket} points to tail row ${seq}, which is gone`)
      row.runsLeft -= 1
      if (row.runsLeft === 0) this.#deleteRow(seq, row)
    }
    this.#segments.delete(bucket)
  }

  /** Everything up to here is committed, and readers see what was packed. */
  noteCommitted(): void {
    this.#committedSeq = this.#nextSeq - 1
    this.#droppedRows.clear()
    this.#droppedSegments.clear()
  }

  #deleteRow(seq: number, row: TailRow): void {
    this.#delete.run(seq)
    this.#rows.delete(seq)
    if (seq <= this.#committedSeq) this.#droppedRows.set(seq, row)
    this.bytes -= row.body.length
  }

  #take(seq: number, body: Uint8Array): void {
    const buckets: number[] = []
    for (let at = 0; at < body.length;) {
      const header = readRunHeader(body, at)
      if (this.#takeRun(seq, at, header)) buckets.push(header.bucket)
      at = header.end
    }
    // Never the number of a row that was there before: other processes read on from the last one they know.
    this.#nextSeq = Math.max(this.#nextSeq, seq + 1)
    this.#rows.set(seq, { body, buckets, runsLeft: buckets.length })
    this.bytes += body.length
  }

  #takeRun(seq: number, offset: number, header: RunHeader): boolean {
    const { bucket, firstOp, lastOp, count, sum } = header
    const before = this.totalsOf(bucket)
    if (lastOp <= before.opId) return false
    const segment = {
      seq,
      offset,
      bytes: header.end - offset,
      firstOp,
      lastOp,
      after: { opId: lastOp, count: before.count + count, sum: (before.sum + sum) >>> 0 },
    }
    const segments = this.#segments.get(bucket)
    if (segments === undefined) this.#segments.set(bucket, [segment])
    else segments.push(segment)
    return true
  }
}

const NO_SEGMENTS: readonly Segment[] = []

/** How many of the segments end at or before `opId`. */
export function countEndingUpTo(segments: readonly Segment[], opId: number): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((segments[middle]?.lastOp ?? 0) <= opId) low = middle + 1
    else high = middle
  }
  return low
}
