import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { BucketName } from '@headwater/protocol'
import type { LookupKey } from '@headwater/sync-config'
import type { Lsn } from '../../postgres/lsn.ts'
import type { BucketStorage } from '../storage.ts'
import { BucketReader } from './bucket-reader.ts'
import { PackedBuckets } from './bucket-table.ts'
import { ChunkReader } from './chunk-table.ts'
import { CommitWatch } from './commit-watch.ts'
import { closeConnections, openConnections, translateSqliteError } from './connection.ts'
import { LookupReader } from './lookup-table.ts'
import { lockDirectory } from './process-lock.ts'
import { SqliteWriter } from './sqlite-writer.ts'
import { WriteCheckpointReader } from './write-checkpoint-table.ts'

export type SqliteStorageOptions = {
  /** A directory; created when missing. One process at a time. */
  readonly path: string
  readonly log: StorageLog
}

export type StorageLog = {
  readonly warn: (event: string, fields?: { readonly [name: string]: unknown }) => void
}

/**
 * Opens bucket storage in a directory of its own: one SQLite database, laid out as a log.
 * Throws `storage-locked` when another process uses it, `storage-full`, `storage-failed`.
 */
export async function openSqliteStorage({ path, log }: SqliteStorageOptions): Promise<BucketStorage> {
  mkdirSync(path, { recursive: true })
  const lock = lockDirectory(path)
  try {
    return open(join(path, 'storage.sqlite'), lock, log)
  } catch (error) {
    lock[Symbol.dispose]()
    throw translateSqliteError(error, `open the storage in ${path}`)
  }
}

function open(file: string, lock: Disposable, log: StorageLog): BucketStorage {
  const connections = openConnections(file)
  const { reader } = connections
  const watch = new CommitWatch()
  const packed = new PackedBuckets(reader)
  const chunks = new ChunkReader(reader)
  const lookups = new LookupReader(reader)
  const writeCheckpoints = new WriteCheckpointReader(reader)
  const writer = new SqliteWriter({
    database: connections.writer,
    log,
    onCommit: (commit) => watch.publish(commit),
    onPacked: () => packed.forgetCached(),
    onReloaded: () => {
      packed.forgetCached()
      chunks.forgetCached()
      buckets.forgetCached()
    },
  })
  const buckets = new BucketReader(packed, chunks, writer.tail)
  const countBuckets = reader.prepare('SELECT COUNT(*) AS count FROM bucket')

  return {
    readResume: async () => writer.readResume(),
    readRowStates: async (keys) => writer.rowStates.read(keys),
    readRowStatesOf: (prefix) => writer.rowStates.readAll(prefix),
    append: async (delta) => writer.append(delta),
    rollback: async () => writer.rollback(),
    skipTo: async (resume: Lsn) => writer.skipTo(resume),
    startGeneration: async (origin) => writer.startGeneration(origin),

    readHead: async () => writer.head,
    watchCommits: (signal) => watch.watch(signal),
    readSums: async (names: readonly BucketName[], upTo) => names.map((name) => buckets.readSum(name, upTo)),
    readBucket: async (read) => buckets.read(read),
    readLookups: async (keys: readonly LookupKey[], upTo) => lookups.read(keys, Number(upTo)),
    readWriteCheckpoint: async (key) => writeCheckpoints.find(key),

    readStatus: async () => ({
      ...writer.readFigures(),
      buckets: Number(countBuckets.get()?.['count'] ?? 0),
      bytes: fileBytes(file) + fileBytes(`${file}-wal`),
    }),
    [Symbol.asyncDispose]: async () => {
      writer.close()
      closeConnections(connections)
      lock[Symbol.dispose]()
    },
  }
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
