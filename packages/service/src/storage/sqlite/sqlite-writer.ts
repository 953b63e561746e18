import type { DatabaseSync } from 'node:sqlite'
import { type BucketName, toOpId } from '@headwater/protocol'
import type { Lsn } from '../../postgres/lsn.ts'
import type { Delta } from '../delta.ts'
import type { CheckpointPins } from '../checkpoint-pins.ts'
import { type CompactionFigures, figuresSince } from '../compaction-figures.ts'
import type { DefragmentationLimits } from '../defragment.ts'
import type { Commit, GenerationOrigin, Head, ResumePoint, StorageFigures } from '../storage.ts'
import { BucketTable } from './bucket-table.ts'
import { ByteWriter } from './bytes.ts'
import { ChunkWriter } from './chunk-table.ts'
import { Touched } from './commit-watch.ts'
import { type CompactionRun, Compactor } from './compactor.ts'
import { transact } from './connection.ts'
import { CopyTable } from './copy-table.ts'
import { type DefragmentationRun, Defragmenter } from './defragmenter.ts'
import { encodeRuns, estimateBytes, groupByBucket } from './encode-operations.ts'
import { EndedLookups, LookupWriter } from './lookup-table.ts'
import { ObjectTypeTable } from './object-type-table.ts'
import { Packer } from './packer.ts'
import { type Generation, type Position, PositionTable } from './position-table.ts'
import { RowStateStore } from './row-states.ts'
import { readRun, RunBuilder } from './run.ts'
import type { StorageLog } from './sqlite-storage.ts'
import { Tail } from './tail.ts'
import { kindShown, type NumberKind, type Retention, WriteCheckpointWriters } from './write-checkpoint-table.ts'
import { translateStorageError } from './storage-error.ts'

/** A bucket that gets so much in one commit is packed at once: nothing is gained by writing it to the tail first. */
const PACK_AT_ONCE_BYTES = 65_536

/** A position that only skips transactions is written this often at most. */
const SKIP_WRITE_MS = 1_000

export type SqliteWriterParts = {
  readonly database: DatabaseSync
  readonly log: StorageLog
  readonly pins: CheckpointPins
  readonly retention: Retention
  readonly onCommit: (commit: Commit) => void
  readonly onCompacted: (run: CompactionRun) => void
  readonly onDefragmented: (run: DefragmentationRun) => void
  readonly defragmentation: DefragmentationLimits
  readonly monotonicMs: () => number
  /** Totals of buckets were committed. */
  readonly onPacked: () => void
  /** Something was undone: what was cached may be wrong. */
  readonly onUndone: () => void
}

/**
 * The one writer of the storage. All of its work is synchronous, so nothing comes between the statements of a commit;
 * only a transaction that comes in slices stays open between calls.
 */
export class SqliteWriter {
  readonly tail: Tail
  readonly rowStates: RowStateStore
  readonly #parts: SqliteWriterParts
  readonly #positions: PositionTable
  readonly #buckets: BucketTable
  readonly #types: ObjectTypeTable
  readonly #chunks: ChunkWriter
  readonly #lookups: LookupWriter
  readonly #writeCheckpoints: WriteCheckpointWriters
  readonly #copies: CopyTable
  readonly #packer: Packer
  readonly #defragmenter: Defragmenter
  readonly #compactor: Compactor
  readonly #builder = new RunBuilder()
  readonly #body = new ByteWriter(65_536)
  readonly #unshown = new Touched()
  #generation: Generation | undefined
  /** Whose write checkpoints clients see. */
  #kindShown: NumberKind = 'asked'
  /** As stored. */
  #position: Position
  /** With the slices of the transaction that is open. */
  #open: Position | undefined
  /** Something was packed in the transaction that is open. */
  #packedAny = false
  #skippedTo: Lsn | undefined
  #skipWrittenAtMs = 0
  readonly #ended = new EndedLookups()

  constructor(parts: SqliteWriterParts) {
    const { database } = parts
    this.#parts = parts
    this.#positions = new PositionTable(database)
    this.#buckets = new BucketTable(database)
    this.#types = new ObjectTypeTable(database)
    this.#chunks = new ChunkWriter(database)
    this.tail = new Tail(database, (bucket) => this.#buckets.packedTotals(bucket))
    this.rowStates = new RowStateStore(database, { buckets: this.#buckets, types: this.#types })
    this.#lookups = new LookupWriter(database)
    this.#writeCheckpoints = new WriteCheckpointWriters(database, parts.retention)
    this.#copies = new CopyTable(database)
    this.#defragmenter = new Defragmenter({
      chunks: this.#chunks,
      buckets: this.#buckets,
      tail: this.tail,
      limits: parts.defragmentation,
      monotonicMs: parts.monotonicMs,
      onFinished: (bucket) => this.#compactor.noteGrown(bucket),
      onRunEnded: parts.onDefragmented,
    })
    this.#compactor = new Compactor({
      writer: database,
      chunks: this.#chunks,
      buckets: this.#buckets,
      defragmenter: this.#defragmenter,
      lookups: this.#lookups,
      readLimit: () => this.#readLimit(),
      onCleared: (operations) => this.#noteCleared(operations),
      onCommitted: (hasCleared) => hasCleared && parts.onPacked(),
      onFailed: (error) => {
        this.#reload()
        parts.log.warn('storage-compact-failed', { error })
      },
      onRunEnded: parts.onCompacted,
    })
    this.#packer = new Packer({
      writer: database,
      tail: this.tail,
      buckets: this.#buckets,
      chunks: this.#chunks,
      onGrown: (bucket) => this.#compactor.noteGrown(bucket),
      onPacked: () => this.#notePacked(),
      onFailed: (error) => {
        this.#reload()
        parts.log.warn('storage-pack-failed', { error })
      },
    })
    this.#position = this.#positions.read()
    // What was stored but not shown before the start is not named any more; it belongs to the next state that is.
    if (this.#position.headOp > Number(this.#position.shown?.opId ?? 0)) this.#unshown.add([], [], true)
    this.#load()
    this.#packer.wake()
    this.#compactor.wake()
  }

  get origin(): GenerationOrigin | undefined {
    return this.#generation?.origin
  }

  get head(): Head | undefined {
    if (this.#generation === undefined || this.#position.shown === undefined) return undefined
    const { number, origin } = this.#generation
    return { generation: number, plan: origin.plan, checkpoint: this.#position.shown }
  }

  readResume(): ResumePoint | undefined {
    if (this.#generation === undefined) return undefined
    const { number, origin } = this.#generation
    return {
      generation: number,
      origin,
      resume: this.#position.resume,
      copies: this.#copies.read(),
      highestWriteCheckpoint: this.#writeCheckpoints.asked.readHighest(),
      coversEveryClient: this.#writeCheckpoints.asked.coversEveryClient(),
    }
  }

  readFigures(): Omit<StorageFigures, 'buckets' | 'bytes' | 'writeCheckpointsPending'> {
    return {
      generation: this.#generation?.number ?? 0,
      checkpoint: this.#position.shown,
      operations: this.#position.operationCount,
      copies: this.#copies.read(),
      rowErrors: this.#copies.readErrors(),
      compaction: this.#readCompaction(),
    }
  }

  /** See `StorageUpkeep.compact`. */
  async compact(): Promise<CompactionFigures> {
    const before = this.#readCompaction()
    const packed = this.#packer.drain()
    this.#compactor.dropLookups(this.#readLimit())
    await this.#compactor.compactAll(packed)
    return figuresSince(before, this.#readCompaction())
  }

  #readCompaction(): CompactionFigures {
    return { ...this.#compactor.figures, reappended: this.#defragmenter.reappended }
  }

  append(delta: Delta): Commit {
    const { database, onCommit } = this.#parts
    const { resume } = this.#position
    if (delta.resume !== undefined && resume !== undefined && delta.resume <= resume) {
      this.rollback()
      return this.#nothingChanged()
    }
    try {
      this.#makeRoom()
      if (!database.isTransaction) database.exec('BEGIN IMMEDIATE')
      const position = this.#store(delta, this.#open ?? this.#defragment(delta))
      if (delta.resume === undefined) {
        this.#open = position
        return this.#nothingChanged()
      }
      const commit = this.#commit(delta, delta.resume, position)
      if (delta.show) onCommit(commit)
      return commit
    } catch (error) {
      // It may have been stored all the same, when only its end was not reported.
      this.#unshown.add([], [], true)
      this.#undo()
      throw translateStorageError(error, 'store replicated changes')
    }
  }

  rollback(): void {
    if (this.#parts.database.isTransaction) this.#undo()
  }

  skipTo(resume: Lsn): Lsn {
    const stored = this.#position.resume
    if (stored !== undefined && resume <= (this.#skippedTo ?? stored)) return stored
    this.#skippedTo = resume
    const isDue = stored === undefined || performance.now() - this.#skipWrittenAtMs >= SKIP_WRITE_MS
    if (!isDue || this.#parts.database.isTransaction) return stored ?? resume
    this.#writeSkipped()
    return this.#position.resume ?? resume
  }

  /** What readers are told when this generation has taken the place of another. */
  wholeChange(): Commit {
    return { ...this.#nothingChanged(), touchesAll: true }
  }

  close(): void {
    this.stop()
    if (this.#skippedTo !== undefined) this.#writeSkipped()
  }

  /** For a generation that is not used any more. */
  stop(): void {
    this.#packer.stop()
    this.#compactor.stop()
    this.rollback()
  }

  #makeRoom(): void {
    if (!this.#packer.mustPackNow) return
    if (this.#parts.database.isTransaction) {
      this.#packer.packAll()
      this.#packedAny = true
      return
    }
    transact(this.#parts.database, () => this.#packer.packAll())
    this.#notePacked()
  }

  /** What was packed is committed. */
  #notePacked(): void {
    this.tail.noteCommitted()
    this.#parts.onPacked()
    this.#compactor.wake()
  }

  /** What compaction may touch: what clients may see already, and none of them is being brought to an older state. */
  #readLimit(): number {
    const shown = Number(this.#position.shown?.opId ?? 0)
    const pinned = this.#parts.pins.oldest()
    return pinned === undefined ? shown : Math.min(shown, Number(pinned))
  }

  #noteCleared(operations: number): void {
    this.#position = { ...this.#position, operationCount: this.#position.operationCount - operations }
    this.#positions.write(this.#position)
  }

  /**
   * Stores a portion of what is to be defragmented in front of a whole transaction that clients are shown, in the
   * transaction that is open; returns the position it leads to.
   */
  #defragment({ resume, show, soleSources }: Delta): Position {
    const before = this.#position
    if (resume === undefined || !show) return before
    const { operations, buckets } = this.#defragmenter.append(before.headOp, soleSources)
    if (operations === 0) return before
    this.#unshown.add(buckets, [], false)
    return { ...before, headOp: before.headOp + operations, operationCount: before.operationCount + operations }
  }

  /** Everything but the position, in the transaction that is open; returns the position it leads to. */
  #store(delta: Delta, before: Position): Position {
    const buckets = this.#storeOperations(delta, before.headOp)
    const operations = delta.operations.length
    // Lookups are read as of an op id, so a change of them takes one even where no operation does.
    const opIds = operations === 0 && delta.lookups.length > 0 ? 1 : operations
    const headOp = before.headOp + opIds
    const lookups = this.#lookups.write(delta.lookups, headOp)
    this.rowStates.write(delta.rowStates)
    this.#writeCheckpoints.write(delta)
    this.#copies.write(delta.copies)
    this.#copies.writeErrors(delta.rowErrors)
    this.#unshown.add(buckets, lookups, false)
    return { ...before, headOp, operationCount: before.operationCount + operations }
  }

  #storeOperations(delta: Delta, headOp: number): Iterable<BucketName> {
    const groups = groupByBucket(delta.operations, headOp)
    const body = this.#body
    body.reset()
    for (const [name, group] of groups) {
      const bucket = this.#buckets.idOf(name)
      const isLarge = estimateBytes(group) >= PACK_AT_ONCE_BYTES
      for (const bytes of encodeRuns(this.#builder, bucket, group)) {
        this.#defragmenter.noteStored(bucket, bytes)
        if (isLarge) this.#packer.packBucket(bucket, [readRun(bytes, 0)])
        else body.raw(bytes)
      }
      this.#packedAny ||= isLarge
    }
    if (body.length > 0) this.tail.append(body.copy())
    return groups.keys()
  }

  #commit(delta: Delta, resume: Lsn, position: Position): Commit {
    const { database } = this.#parts
    const next: Position = {
      ...position,
      resume,
      shown: delta.show ? { opId: toOpId(BigInt(position.headOp)), lsn: resume } : position.shown,
    }
    const writeCheckpoints = delta.show
      ? this.#writeCheckpoints.showPending(this.#kindShown)
      : new Map<string, bigint>()
    this.#positions.write(next)
    this.#defragmenter.beforeCommit()
    database.exec('COMMIT')
    this.#position = next
    this.#open = undefined
    this.#skippedTo = undefined
    this.tail.noteCommitted()
    if (this.#packedAny) {
      this.#parts.onPacked()
      this.#compactor.wake()
    }
    this.#packedAny = false
    if (this.#defragmenter.noteCommitted()) this.#packer.packSoon()
    else this.#packer.wake()
    if (!delta.show) return this.#nothingChanged()
    const ended = this.#ended.pass(position.headOp, performance.now())
    if (ended !== undefined) this.#compactor.dropLookups(Math.min(ended, this.#readLimit()))
    return { generation: this.#generationNumber, checkpoint: next.shown, writeCheckpoints, ...this.#unshown.take() }
  }

  #writeSkipped(): void {
    const next = { ...this.#position, resume: this.#skippedTo }
    try {
      this.#positions.write(next)
    } catch (error) {
      throw translateStorageError(error, 'store the replication position')
    }
    this.#position = next
    this.#skippedTo = undefined
    this.#skipWrittenAtMs = performance.now()
  }

  #undo(): void {
    const { database } = this.#parts
    if (database.isTransaction) database.exec('ROLLBACK')
    this.#reload()
  }

  /** After a transaction was undone: what is in memory is read from storage again. */
  #reload(): void {
    this.#position = this.#positions.read()
    this.#buckets.forgetCached()
    this.#types.forgetCached()
    this.#load()
    this.#parts.onUndone()
  }

  #load(): void {
    this.#open = undefined
    this.#packedAny = false
    this.#defragmenter.forget()
    this.#generation = this.#positions.readGeneration()
    this.#kindShown = kindShown(this.#generation?.origin)
    this.#chunks.load()
    this.tail.load()
    this.rowStates.load()
  }

  get #generationNumber(): number {
    return this.#generation?.number ?? 0
  }

  #nothingChanged(): Commit {
    return {
      generation: this.#generationNumber,
      checkpoint: this.#position.shown,
      buckets: new Set(),
      lookups: new Set(),
      writeCheckpoints: new Map(),
      touchesAll: false,
    }
  }
}
