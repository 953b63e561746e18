import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { PackedBucket, PackedBuckets } from './bucket-table.ts'
import { type Run, readRun, readRunHeader, type RunHeader } from './run.ts'
import { countEndingUpTo, type ReadableTail, type Segment } from './tail.ts'

/** When so much was added, rows that the writer has deleted are looked for. */
const ADDED_BYTES_MAX = 4_194_304
const ADDED_ROWS_MAX = 4_096

type CopiedRow = { readonly body: Uint8Array; readonly buckets: readonly number[] }

/**
 * The tail as a process sees it that only reads: what is committed, copied into memory. A row stays for a while after
 * the writer has packed and deleted it; its operations are the same ones that the chunks then have.
 *
 * Bounded by what the writer's tail may have, and what is added between two looks for deleted rows.
 */
export class TailCopy implements ReadableTail {
  readonly #rows = new Map<number, CopiedRow>()
  readonly #segments = new Map<number, Segment[]>()
  readonly #packed: PackedBuckets
  readonly #readAfter: StatementSync
  readonly #readSeqs: StatementSync
  #lastSeq = 0
  #addedBytes = 0
  #addedRows = 0

  constructor(reader: DatabaseSync, packed: PackedBuckets) {
    this.#packed = packed
    this.#readAfter = reader.prepare('SELECT seq, body FROM tail WHERE seq > ? ORDER BY seq')
    this.#readSeqs = reader.prepare('SELECT seq FROM tail')
  }

  get rowCount(): number {
    return this.#rows.size
  }

  /** Takes in what was committed since the last time. In the transaction in which buckets are then read. */
  readNewer(): void {
    for (const row of this.#readAfter.iterate(this.#lastSeq)) {
      const body = row['body']
      assert(body instanceof Uint8Array)
      this.#take(Number(row['seq']), body)
    }
    if (this.#addedBytes >= ADDED_BYTES_MAX || this.#addedRows >= ADDED_ROWS_MAX) this.#forgetDeleted()
  }

  committedSegmentsOf({ id, opId }: PackedBucket): readonly Segment[] {
    const segments = this.#segments.get(id) ?? []
    const packed = countEndingUpTo(segments, opId)
    return packed === 0 ? segments : segments.slice(packed)
  }

  readSegment(segment: Segment): Run {
    const row = this.#rows.get(segment.seq)
    assert(row !== undefined, `Tail row ${segment.seq} is gone from the copy`)
    return readRun(row.body, segment.offset)
  }

  #take(seq: number, body: Uint8Array): void {
    const buckets: number[] = []
    for (let at = 0; at < body.length;) {
      const header = readRunHeader(body, at)
      if (this.#takeRun(seq, at, header)) buckets.push(header.bucket)
      at = header.end
    }
    this.#lastSeq = seq
    this.#rows.set(seq, { body, buckets })
    this.#addedBytes += body.length
    this.#addedRows += 1
  }

  /** False for a run of a bucket that was packed since, while another bucket keeps the row. */
  #takeRun(seq: number, offset: number, header: RunHeader): boolean {
    const { bucket, firstOp, lastOp, count, sum } = header
    const segments = this.#segments.get(bucket)
    const packed = this.#packed.totalsOf(bucket)
    const last = segments?.at(-1)?.after
    const before = last !== undefined && last.opId > packed.opId ? last : packed
    if (lastOp <= before.opId) return false
    const after = { opId: lastOp, count: before.count + count, sum: (before.sum + sum) >>> 0 }
    const segment = { seq, offset, bytes: header.end - offset, firstOp, lastOp, after }
    if (segments === undefined) this.#segments.set(bucket, [segment])
    else segments.push(segment)
    return true
  }

  #forgetDeleted(): void {
    this.#addedBytes = 0
    this.#addedRows = 0
    const left = new Set(this.#readSeqs.all().map((row) => Number(row['seq'])))
    const touched = new Set<number>()
    for (const [seq, { buckets }] of this.#rows) {
      if (left.has(seq)) continue
      this.#rows.delete(seq)
      for (const bucket of buckets) touched.add(bucket)
    }
    for (const bucket of touched) {
      const segments = this.#segments.get(bucket)?.filter(({ seq }) => this.#rows.has(seq)) ?? []
      if (segments.length === 0) this.#segments.delete(bucket)
      else this.#segments.set(bucket, segments)
    }
  }
}
