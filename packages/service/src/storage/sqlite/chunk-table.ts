import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Totals } from './bucket-table.ts'
import { LruCache } from '../../lru-cache.ts'
import { type Run, RunBuilder, readRun, readRunHeader } from './run.ts'

/** A chunk is what one data line carries at most, so that serving it is one copy. */
export const CHUNK_OPERATIONS_MAX = 1000
export const CHUNK_BYTES_MAX = 262_144

/** Runs smaller than this are stored as they are: the frame of zstd would eat what it saves. */
const COMPRESS_BYTES_MIN = 256

/** Level 1 takes 0.7 µs an operation of 380 bytes and leaves about a fifth; higher levels cost more and save nothing. */
const ZSTD_LEVEL = 1

/** So many times smaller than its content is a usual chunk, at least; where it is not, zstd is called once more. */
const EXPECTED_COMPRESSION = 3

/** Without room to spare Node asks zstd once more whether there is anything left. */
const ZSTD_ROOM_BYTES = 128

/** A chunk of this size stays as it is: larger ones compress no better, and to rewrite it costs more than to find it. */
const LARGE_CHUNK_BYTES = 32_768

/** Decompressed chunks kept for the next reader. */
const CACHE_BYTES_MAX = 33_554_432

const RAW = 0
const ZSTD = 1

export type Chunk = {
  readonly id: number
  readonly firstOp: number
  readonly lastOp: number
  readonly count: number
  readonly bytes: number
  /** Of the bucket before this chunk; `opId` is 0 when that is not known here. */
  readonly before: Totals
}

/** A chunk's run, and the bytes it takes in storage. */
export type StoredRun = { readonly run: Run; readonly storedBytes: number }

/** The writer's side of the table `chunk`. */
export class ChunkWriter {
  readonly #builder = new RunBuilder()
  readonly #findLast: StatementSync
  readonly #findFirst: StatementSync
  readonly #findEndingBefore: StatementSync
  readonly #findEndingAfter: StatementSync
  readonly #readBody: StatementSync
  readonly #insert: StatementSync
  readonly #delete: StatementSync
  readonly #maxId: StatementSync
  /** Ids are never used twice in one process, so that caches may trust them. */
  #nextId = 0

  constructor(writer: DatabaseSync) {
    const prepareFind = (where: string): StatementSync => writer.prepare(findStatement(where))
    this.#findLast = prepareFind('bucket = ? ORDER BY last_op DESC')
    this.#findFirst = prepareFind('bucket = ? ORDER BY last_op')
    this.#findEndingBefore = prepareFind('bucket = ? AND last_op < ? ORDER BY last_op DESC')
    this.#findEndingAfter = prepareFind('bucket = ? AND last_op > ? ORDER BY last_op')
    this.#readBody = writer.prepare('SELECT body FROM chunk WHERE id = ?')
    this.#insert = writer.prepare(
      `INSERT INTO chunk (id, bucket, first_op, last_op, count, cum_count, cum_sum, bytes, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#delete = writer.prepare('DELETE FROM chunk WHERE id = ?')
    this.#maxId = writer.prepare('SELECT MAX(id) AS id FROM chunk')
  }

  load(): void {
    this.#nextId = Math.max(this.#nextId, Number(this.#maxId.get()?.['id'] ?? 0) + 1)
  }

  /**
   * Puts runs behind the packed operations of a bucket, whose totals are `packed`, and returns the new totals.
   * Small chunks at the end are taken up while they are less than twice as large as what follows them: a bucket that
   * grows by single operations then has a logarithmic number of small chunks, and each operation is rewritten as often.
   */
  append(bucket: number, packed: Totals, runs: readonly Run[]): Totals {
    const all = [...runs]
    let before = packed
    let bytes = runs.reduce((sum, run) => sum + run.payload.length, 0)
    let count = runs.reduce((sum, { header }) => sum + header.count, 0)
    for (;;) {
      const last = before.count === 0 ? undefined : toFound(this.#findLast.get(bucket))
      if (last === undefined || last.bytes >= Math.min(2 * bytes, LARGE_CHUNK_BYTES)) break
      if (last.bytes + bytes > CHUNK_BYTES_MAX || last.count + count > CHUNK_OPERATIONS_MAX) break
      all.unshift(this.read(last).run)
      this.#delete.run(last.id)
      before = last.before
      bytes += last.bytes
      count += last.count
    }
    let totals = before
    for (const run of all) totals = this.#addRun(bucket, totals, run)
    return this.#flush(bucket, totals)
  }

  findFirst(bucket: number): Chunk | undefined {
    return toFound(this.#findFirst.get(bucket))
  }

  /** The last chunk of the bucket that ends before `opId`. */
  findEndingBefore(bucket: number, opId: number): Chunk | undefined {
    return toFound(this.#findEndingBefore.get(bucket, opId))
  }

  /** The first chunk of the bucket that ends after `opId`. */
  findEndingAfter(bucket: number, opId: number): Chunk | undefined {
    return toFound(this.#findEndingAfter.get(bucket, opId))
  }

  read(chunk: Chunk): StoredRun {
    const body = this.#readBody.get(chunk.id)?.['body']
    return { run: readChunkBody(body, chunk.bytes), storedBytes: body instanceof Uint8Array ? body.length : 0 }
  }

  /** Puts one run where chunks were that follow each other; returns the bytes that it takes. */
  replace(chunks: readonly Chunk[], run: Uint8Array, before: Pick<Totals, 'count' | 'sum'>): number {
    for (const { id } of chunks) this.#delete.run(id)
    return this.#store(run, { opId: 0, ...before })
  }

  #addRun(bucket: number, totals: Totals, run: Run): Totals {
    const builder = this.#builder
    const { count } = run.header
    const fits =
      builder.payloadBytes + run.payload.length <= CHUNK_BYTES_MAX && builder.count + count <= CHUNK_OPERATIONS_MAX
    if (fits) {
      builder.addWhole(run)
      return totals
    }
    const { ends } = run.index
    let written = totals
    let from = 0
    while (from < count) {
      const start = from === 0 ? 0 : (ends[from - 1] ?? 0)
      const room = CHUNK_BYTES_MAX - builder.payloadBytes
      let to = from
      while (to < count && builder.count + (to - from) < CHUNK_OPERATIONS_MAX && (ends[to] ?? 0) - start <= room) to++
      // An operation that fits into no chunk gets one of its own.
      if (to === from && builder.count === 0) to++
      if (to > from) builder.addFrom(run, from, to)
      if (to < count) written = this.#flush(bucket, written)
      from = to
    }
    return written
  }

  #flush(bucket: number, totals: Totals): Totals {
    if (this.#builder.count === 0) return totals
    const bytes = this.#builder.finish(bucket)
    this.#store(bytes, totals)
    const { lastOp, count, sum } = readRunHeader(bytes, 0)
    return { opId: lastOp, count: totals.count + count, sum: (totals.sum + sum) >>> 0 }
  }

  /** Returns the bytes of the body. */
  #store(run: Uint8Array, before: Totals): number {
    const { bucket, firstOp, lastOp, count } = readRunHeader(run, 0)
    const body = toChunkBody(run)
    this.#insert.run(this.#nextId, bucket, firstOp, lastOp, count, before.count, before.sum, run.length, body)
    this.#nextId += 1
    return body.length
  }
}

/** The readers' side. */
export class ChunkReader {
  readonly #cache = new LruCache<number, Run>(CACHE_BYTES_MAX)
  readonly #findEndingAfter: StatementSync
  readonly #readBody: StatementSync

  constructor(reader: DatabaseSync) {
    this.#findEndingAfter = reader.prepare(findStatement('bucket = ? AND last_op > ? ORDER BY last_op'))
    this.#readBody = reader.prepare('SELECT body FROM chunk WHERE id = ?')
  }

  /** The first chunk of the bucket that ends after `opId`. */
  findEndingAfter(bucket: number, opId: number): Chunk | undefined {
    return toFound(this.#findEndingAfter.get(bucket, opId))
  }

  read(chunk: Chunk): Run {
    const known = this.#cache.find(chunk.id)
    if (known !== undefined) return known
    const run = readChunkBody(this.#readBody.get(chunk.id)?.['body'], chunk.bytes)
    this.#cache.keep(chunk.id, run, chunk.bytes)
    return run
  }

  forgetCached(): void {
    this.#cache.clear()
  }
}

function findStatement(where: string): string {
  return `SELECT id, first_op, last_op, count, cum_count, cum_sum, bytes FROM chunk WHERE ${where} LIMIT 1`
}

function toFound(row: Record<string, unknown> | undefined): Chunk | undefined {
  if (row === undefined) return undefined
  return {
    id: Number(row['id']),
    firstOp: Number(row['first_op']),
    lastOp: Number(row['last_op']),
    count: Number(row['count']),
    bytes: Number(row['bytes']),
    before: { opId: 0, count: Number(row['cum_count']), sum: Number(row['cum_sum']) },
  }
}

function toChunkBody(run: Uint8Array): Uint8Array {
  if (run.length >= COMPRESS_BYTES_MIN) {
    const compressed = zstdCompressSync(run, {
      params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
      // A frame that says how large its content is can be decompressed without a window to copy from.
      pledgedSrcSize: run.length,
      chunkSize: Math.ceil(run.length / EXPECTED_COMPRESSION) + ZSTD_ROOM_BYTES,
    })
    if (compressed.length < run.length) return toBody(ZSTD, compressed)
  }
  return toBody(RAW, run)
}

function toBody(encoding: number, content: Uint8Array): Uint8Array {
  const body = Buffer.allocUnsafe(1 + content.length)
  body[0] = encoding
  body.set(content, 1)
  return body
}

/** `bytes`: size of the run. */
function readChunkBody(body: unknown, bytes: number): Run {
  assert(body instanceof Uint8Array, 'A chunk is gone from storage')
  const content = body.subarray(1)
  if (body[0] !== ZSTD) return readRun(content, 0)
  return readRun(zstdDecompressSync(content, { chunkSize: bytes + ZSTD_ROOM_BYTES }), 0)
}
