import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type BucketName, toBucketName } from '@headwater/protocol'
import { LruCache } from '../../lru-cache.ts'

/** Totals of a bucket up to `opId`. */
export type Totals = { readonly opId: number; readonly count: number; readonly sum: number }

/** What is packed of a bucket, for readers. */
export type PackedBucket = Totals & {
  readonly id: number
  /** Nothing is known of the bucket below this op id. */
  readonly floorOp: number
  /** Operations that were counted once and are no longer stored. */
  readonly clearedCount: number
}

/** What compaction has to know of a bucket. */
export type CompactedBucket = {
  readonly packedCount: number
  readonly clearedCount: number
  readonly compactedCount: number
  readonly liveCount: number
}

/** Names remembered in each direction. */
const NAMES_MAX = 50_000

const FIND_PACKED = 'SELECT packed_op, packed_count, packed_sum FROM bucket WHERE id = ?'

/** The writer's view of the table `bucket`: numbers for names, and totals. */
export class BucketTable {
  readonly #ids = new LruCache<BucketName, number>(NAMES_MAX)
  readonly #names = new LruCache<number, BucketName>(NAMES_MAX)
  readonly #findId: StatementSync
  readonly #findName: StatementSync
  readonly #insert: StatementSync
  readonly #findPacked: StatementSync
  readonly #updatePacked: StatementSync
  readonly #findCompacted: StatementSync
  readonly #listPacked: StatementSync
  readonly #updateCleared: StatementSync
  readonly #updateCompacted: StatementSync
  readonly #maxId: StatementSync

  constructor(writer: DatabaseSync) {
    this.#findId = writer.prepare('SELECT id FROM bucket WHERE name = ?')
    this.#findName = writer.prepare('SELECT name FROM bucket WHERE id = ?')
    this.#insert = writer.prepare(
      'INSERT INTO bucket (name, packed_op, packed_count, packed_sum) VALUES (?, 0, 0, 0) RETURNING id',
    )
    this.#findPacked = writer.prepare(FIND_PACKED)
    this.#updatePacked = writer.prepare(
      'UPDATE bucket SET packed_op = ?, packed_count = ?, packed_sum = ? WHERE id = ?',
    )
    this.#findCompacted = writer.prepare(
      'SELECT packed_count, cleared_count, compacted_count, live_count FROM bucket WHERE id = ?',
    )
    this.#listPacked = writer.prepare(
      `SELECT id FROM bucket WHERE id > ? AND id <= ?
         AND (packed_count > compacted_count OR packed_count - cleared_count - live_count >= ?) ORDER BY id`,
    )
    this.#updateCleared = writer.prepare('UPDATE bucket SET floor_op = ?, cleared_count = ? WHERE id = ?')
    this.#updateCompacted = writer.prepare('UPDATE bucket SET compacted_count = ?, live_count = ? WHERE id = ?')
    this.#maxId = writer.prepare('SELECT MAX(id) AS id FROM bucket')
  }

  /** The number of a bucket, a new one if the name is new. */
  readonly idOf = (name: BucketName): number => {
    const known = this.#ids.find(name)
    if (known !== undefined) return known
    const id = Number((this.#findId.get(name) ?? this.#insert.get(name))?.['id'])
    this.#remember(id, name)
    return id
  }

  readonly nameOf = (id: number): BucketName => {
    const known = this.#names.find(id)
    if (known !== undefined) return known
    const row = this.#findName.get(id)
    assert(row !== undefined, `Bucket ${id} is named in storage but not in the table of buckets`)
    const name = toBucketName(String(row['name']))
    this.#remember(id, name)
    return name
  }

  packedTotals(id: number): Totals {
    const row = this.#findPacked.get(id)
    assert(row !== undefined, unnamed(id))
    return toTotals(row)
  }

  writePackedTotals(id: number, totals: Totals): void {
    this.#updatePacked.run(totals.opId, totals.count, totals.sum, id)
  }

  readCompacted(id: number): CompactedBucket {
    const row = this.#findCompacted.get(id)
    assert(row !== undefined, unnamed(id))
    return {
      packedCount: Number(row['packed_count']),
      clearedCount: Number(row['cleared_count']),
      compactedCount: Number(row['compacted_count']),
      liveCount: Number(row['live_count']),
    }
  }

  /**
   * Numbers after `after` and up to `last` of buckets with operations that compaction has not looked at, or of which it
   * has left so many without a row.
   */
  listUncompacted(after: number, last: number, deadMin: number): readonly number[] {
    return this.#listPacked.all(after, last, deadMin).map((row) => Number(row['id']))
  }

  /** The highest number given out. */
  lastId(): number {
    return Number(this.#maxId.get()?.['id'] ?? 0)
  }

  writeCleared(id: number, { floorOp, clearedCount }: Pick<PackedBucket, 'floorOp' | 'clearedCount'>): void {
    this.#updateCleared.run(floorOp, clearedCount, id)
  }

  writeCompacted(
    id: number,
    { compactedCount, liveCount }: Pick<CompactedBucket, 'compactedCount' | 'liveCount'>,
  ): void {
    this.#updateCompacted.run(compactedCount, liveCount, id)
  }

  /** After a rollback: numbers that were given to new names are not theirs any more. */
  forgetCached(): void {
    this.#ids.clear()
    this.#names.clear()
  }

  #remember(id: number, name: BucketName): void {
    this.#ids.keep(name, id, 1)
    this.#names.keep(id, name, 1)
  }
}

/** The readers' view: only what is committed. */
export class PackedBuckets {
  readonly #known = new LruCache<BucketName, PackedBucket>(NAMES_MAX)
  readonly #find: StatementSync
  readonly #findTotals: StatementSync

  constructor(reader: DatabaseSync) {
    this.#findTotals = reader.prepare(FIND_PACKED)
    this.#find = reader.prepare(
      'SELECT id, packed_op, packed_count, packed_sum, floor_op, cleared_count FROM bucket WHERE name = ?',
    )
  }

  find(name: BucketName): PackedBucket | undefined {
    const known = this.#known.find(name)
    if (known !== undefined) return known
    const row = this.#find.get(name)
    if (row === undefined) return undefined
    const bucket = {
      id: Number(row['id']),
      ...toTotals(row),
      floorOp: Number(row['floor_op']),
      clearedCount: Number(row['cleared_count']),
    }
    this.#known.keep(name, bucket, 1)
    return bucket
  }

  totalsOf(id: number): Totals {
    const row = this.#findTotals.get(id)
    assert(row !== undefined, unnamed(id))
    return toTotals(row)
  }

  /** To be called when totals were committed. */
  forgetCached(): void {
    this.#known.clear()
  }
}

function toTotals(row: Record<string, unknown>): Totals {
  return { opId: Number(row['packed_op']), count: Number(row['packed_count']), sum: Number(row['packed_sum']) }
}

function unnamed(id: number): string {
  return `Bucket ${id} has operations but is not in the table of buckets`
}
