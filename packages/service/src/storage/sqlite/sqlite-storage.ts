import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { BucketName } from '@headwater/protocol'
import type { Lsn } from '../../postgres/lsn.ts'
import { CheckpointPins } from '../checkpoint-pins.ts'
import { DEFRAGMENTATION_LIMITS, type DefragmentationLimits } from '../defragment.ts'
import type { BucketStorage, Commit, GenerationOrigin, StorageFigures } from '../storage.ts'
import { BucketReader } from './bucket-reader.ts'
import { PackedBuckets } from './bucket-table.ts'
import { ChunkReader } from './chunk-table.ts'
import { CommitWatch } from './commit-watch.ts'
import type { CompactionRun } from './compactor.ts'
import type { DefragmentationRun } from './defragmenter.ts'
import { closeConnections, openConnections } from './connection.ts'
import { createGeneration, findGeneration, generationPath, removeGeneration } from './generation-file.ts'
import { LookupReader } from './lookup-table.ts'
import { lockDirectory } from './process-lock.ts'
import { openRevocationFile } from './revocation-file.ts'
import { SqliteWriter, type SqliteWriterParts } from './sqlite-writer.ts'
import { keepsCustomNumbers, type Retention, StoredNumbers, WriteCheckpointReader } from './write-checkpoint-table.ts'
import { translateOpenError, translateStorageError } from './storage-error.ts'

export type SqliteStorageOptions = {
  /** A directory; created when missing. One process at a time. */
  readonly path: string
  readonly log: StorageLog
  /** Told whenever compaction has nothing left to do and did something. */
  readonly onCompacted?: (run: CompactionRun) => void
  /** Told whenever defragmentation has nothing left to do and did something. */
  readonly onDefragmented?: (run: DefragmentationRun) => void
  /** Absent: the usual ones. */
  readonly defragmentation?: DefragmentationLimits
  /** Write checkpoints that nobody has used for so long are forgotten; absent: 30 days. */
  readonly writeCheckpointDays?: number
  /** Of the clock, in milliseconds since 1970; absent: that of the process. */
  readonly nowMs?: () => number
  /** Of any clock that only goes forward; absent: that of the process. */
  readonly monotonicMs?: () => number
}

export type StorageLog = {
  readonly warn: (event: string, fields?: { readonly [name: string]: unknown }) => void
}

/**
 * Opens bucket storage in a directory of its own: one SQLite database, laid out as a log.
 * Throws `storage-locked` when another process uses it, `storage-full`, `storage-failed`.
 */
export async function openSqliteStorage(options: SqliteStorageOptions): Promise<BucketStorage> {
  const { path } = options
  try {
    makeDirectory(resolve(path))
    const lock = lockDirectory(path)
    try {
      return openLocked(options, lock)
    } catch (error) {
      lock[Symbol.dispose]()
      throw error
    }
  } catch (error) {
    throw translateOpenError(error, path)
  }
}

/** With those above it. Node's own way of doing that never returns in /proc, where nothing can be made. */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return
  if (!existsSync(dirname(path))) makeDirectory(dirname(path))
  mkdirSync(path)
}

function openLocked(options: SqliteStorageOptions, lock: Disposable): BucketStorage {
  const { path: directory, log, monotonicMs = () => performance.now() } = options
  const { onCompacted = () => {}, onDefragmented = () => {}, defragmentation = DEFRAGMENTATION_LIMITS } = options
  const retention: Retention = { days: options.writeCheckpointDays ?? 30, nowMs: options.nowMs ?? Date.now }
  const watch = new CommitWatch()
  const revocations = openRevocationFile(directory)
  const pins = new CheckpointPins(monotonicMs)
  const onCommit = (commit: Commit): void => watch.publish(commit)
  const given = { log, pins, retention, monotonicMs, defragmentation, onCommit, onCompacted, onDefragmented }
  const openFile = (number: number): GenerationStorage => openGeneration(generationPath(directory, number), given)
  let current = openFile(findGeneration(directory))

  const startGeneration = (origin: GenerationOrigin): number => {
    const previous = current
    previous.writer.rollback()
    const previousNumber = previous.writer.readFigures().generation
    const number = previousNumber + 1
    try {
      const keepsCustom = keepsCustomNumbers(previous.writer.origin, origin)
      createGeneration(directory, { number, origin }, { path: previous.path, keepsCustom })
      current = openFile(number)
    } catch (error) {
      removeGeneration(directory, number)
      throw translateStorageError(error, 'start a new generation')
    }
    previous.discard()
    removeGeneration(directory, previousNumber)
    watch.publish(current.writer.wholeChange())
    return number
  }

  return {
    readResume: async () => current.writer.readResume(),
    readRowStates: async (keys) => current.writer.rowStates.read(keys),
    readRowStatesOf: (prefix) => current.writer.rowStates.readAll(prefix),
    append: async (delta) => current.writer.append(delta),
    readStoredWriteCheckpoint: async (key) => current.storedNumbers.find(key),
    hasUnusedWriteCheckpoints: async () => current.storedNumbers.hasUnused(),
    rollback: async () => current.writer.rollback(),
    skipTo: async (resume: Lsn) => current.writer.skipTo(resume),
    startGeneration: async (origin) => startGeneration(origin),

    readHead: async () => current.writer.head,
    watchCommits: (signal) => watch.watch(signal),
    pinCheckpoint: (checkpoint) => pins.pin(checkpoint),
    readSums: async (names: readonly BucketName[], upTo) => names.map((name) => current.buckets.readSum(name, upTo)),
    readBucket: async (read) => current.buckets.read(read),
    readLookupPage: async (read) => current.lookups.readPage(read),
    readWriteCheckpoint: async (key) => current.writeCheckpoints.find(key),

    readRevocations: revocations.readRevocations,
    writeRevocations: revocations.writeRevocations,

    readStatus: async () => current.readStatus(),
    compact: async () => current.writer.compact(),
    [Symbol.asyncDispose]: async () => {
      current.close()
      revocations[Symbol.dispose]()
      lock[Symbol.dispose]()
    },
  }
}

/** The file of one generation, open. */
type GenerationStorage = {
  readonly path: string
  readonly writer: SqliteWriter
  readonly buckets: BucketReader
  readonly lookups: LookupReader
  readonly writeCheckpoints: WriteCheckpointReader
  readonly storedNumbers: StoredNumbers
  readonly readStatus: () => StorageFigures
  readonly close: () => void
  /** As `close`, when the file is to be removed. */
  readonly discard: () => void
}

function openGeneration(
  path: string,
  given: Omit<SqliteWriterParts, 'database' | 'onPacked' | 'onUndone'>,
): GenerationStorage {
  const connections = openConnections(path)
  const { reader } = connections
  const packed = new PackedBuckets(reader)
  const chunks = new ChunkReader(reader)
  const writer = new SqliteWriter({
    database: connections.writer,
    ...given,
    onPacked: () => packed.forgetCached(),
    onUndone: () => {
      packed.forgetCached()
      chunks.forgetCached()
      buckets.forgetCached()
    },
  })
  const buckets = new BucketReader(packed, chunks, writer.tail)
  const storedNumbers = new StoredNumbers(reader, given.retention)
  const countBuckets = reader.prepare('SELECT COUNT(*) AS count FROM bucket')
  return {
    path,
    writer,
    buckets,
    lookups: new LookupReader(reader),
    writeCheckpoints: new WriteCheckpointReader(reader, writer.origin),
    storedNumbers,
    readStatus: () => ({
      ...writer.readFigures(),
      writeCheckpointsPending: storedNumbers.countPending(),
      buckets: Number(countBuckets.get()?.['count'] ?? 0),
      bytes: fileBytes(path) + fileBytes(`${path}-wal`),
    }),
    close: () => {
      writer.close()
      closeConnections(connections)
    },
    discard: () => {
      writer.stop()
      closeConnections(connections)
    },
  }
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
