import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { HeadwaterError, OP_ID_ZERO, type OpId } from '@headwater/protocol'
import type { Plan } from '@headwater/sync-config'
import { CheckpointPins } from '../checkpoint-pins.ts'
import type { StoredCheckpoint } from '../delta.ts'
import type { Commit, Head, SyncStorage } from '../storage.ts'
import { BucketReader } from './bucket-reader.ts'
import { PackedBuckets } from './bucket-table.ts'
import { ChunkReader } from './chunk-table.ts'
import { CommitWatch, unnamedCommit } from './commit-watch.ts'
import { openReader } from './connection.ts'
import { findOpenGeneration, generationPath } from './generation-file.ts'
import { LookupReader } from './lookup-table.ts'
import { PositionTable } from './position-table.ts'
import { TailCopy } from './tail-copy.ts'
import { translateOpenError } from './storage-error.ts'
import { WriteCheckpointReader } from './write-checkpoint-table.ts'

/** Bucket storage that another process on this machine writes. */
export type SqliteReader = SyncStorage &
  Disposable & {
    /** The writer has stored this: hands it to whoever watches commits. */
    readonly noteCommit: (commit: Commit) => void
    /**
     * Looks by itself for what was stored, as a notice may be lost. To be called every now and then: what was there at
     * the last call and is not told of at this one counts as a commit that touches everything.
     */
    readonly findMissed: () => void
    /** The oldest checkpoint that is pinned here, for the writer to pin it too: only then is it out of the way. */
    readonly oldestPinned: () => OpId | undefined
  }

const OPEN_ATTEMPTS = 50
const OPEN_PAUSE_MS = 100

/**
 * Opens storage that is open in the process that writes it. Each read sees the newest state. Nothing is held between
 * two reads, so that SQLite's log of the writer can start over however many readers there are. Throws `storage-failed`.
 */
export async function openSqliteReader(directory: string): Promise<SqliteReader> {
  for (let attempt = 1; ; attempt++) {
    try {
      const generation = openNewest(directory)
      if (generation !== undefined) return readFrom(directory, generation)
    } catch (error) {
      // It may have made place for another one just now.
      if (attempt >= OPEN_ATTEMPTS) throw translateOpenError(error, directory)
    }
    if (attempt >= OPEN_ATTEMPTS) throw notOpen(directory)
    await setTimeout(OPEN_PAUSE_MS)
  }
}

function readFrom(directory: string, first: ReadGeneration): SqliteReader {
  const watch = new CommitWatch()
  const pins = new CheckpointPins(() => performance.now())
  let current = first
  /** What watchers were told of last. */
  let told = first.readPlace()
  /** What was stored at the last look. */
  let found = told

  const followGeneration = (): void => {
    if (findOpenGeneration(directory) === current.number) return
    const next = openNewest(directory)
    if (next === undefined) return
    current.close()
    current = next
  }
  const tell = (commit: Commit): void => {
    told = { generation: commit.generation, opId: commit.checkpoint?.opId ?? OP_ID_ZERO }
    watch.publish(commit)
  }

  return {
    readHead: async () => current.read(() => current.head),
    watchCommits: (signal) => watch.watch(signal),
    pinCheckpoint: (checkpoint) => pins.pin(checkpoint),
    readSums: async (names, upTo) => current.read(({ buckets }) => names.map((name) => buckets.readSum(name, upTo))),
    readBucket: async (read) => current.read(({ buckets }) => buckets.read(read)),
    readLookupPage: async (read) => current.read(({ lookups }) => lookups.readPage(read)),
    readWriteCheckpoint: async (key) => current.read(({ writeCheckpoints }) => writeCheckpoints.find(key)),
    noteCommit: (commit) => {
      if (commit.generation !== current.number) followGeneration()
      // Else it has gone already, and a later notice, or a look, tells what is there instead.
      if (commit.generation === current.number) tell(commit)
    },
    findMissed: () => {
      followGeneration()
      const isMissed = isAfter(found, told)
      found = current.readPlace()
      if (isMissed) tell(unnamedCommit(current.number, current.head?.checkpoint))
    },
    oldestPinned: () => pins.oldest(),
    [Symbol.dispose]: () => {
      current.close()
    },
  }
}

type Place = { readonly generation: number; readonly opId: OpId }

function isAfter(a: Place, b: Place): boolean {
  return a.generation > b.generation || (a.generation === b.generation && a.opId > b.opId)
}

/** Undefined while the writer opens another one. */
function openNewest(directory: string): ReadGeneration | undefined {
  const number = findOpenGeneration(directory)
  return number === undefined ? undefined : new ReadGeneration(directory, number)
}

type Readers = {
  readonly buckets: BucketReader
  readonly lookups: LookupReader
  readonly writeCheckpoints: WriteCheckpointReader
}

/** The file of one generation, open for reading. */
class ReadGeneration {
  readonly number: number
  readonly #database: DatabaseSync
  readonly #readVersion: StatementSync
  readonly #positions: PositionTable
  readonly #packed: PackedBuckets
  readonly #tail: TailCopy
  readonly #readers: Readers
  readonly #plan: Plan | undefined
  #version: unknown
  #checkpoint: StoredCheckpoint | undefined

  constructor(directory: string, number: number) {
    this.number = number
    this.#database = openReader(generationPath(directory, number))
    try {
      this.#readVersion = this.#database.prepare('PRAGMA data_version')
      this.#positions = new PositionTable(this.#database)
      this.#packed = new PackedBuckets(this.#database)
      this.#tail = new TailCopy(this.#database, this.#packed)
      const origin = this.#positions.readGeneration()?.origin
      this.#plan = origin?.plan
      this.#readers = {
        buckets: new BucketReader(this.#packed, new ChunkReader(this.#database), this.#tail),
        lookups: new LookupReader(this.#database),
        writeCheckpoints: new WriteCheckpointReader(this.#database, origin),
      }
      this.read(() => undefined)
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  /** As of the last read. */
  get head(): Head | undefined {
    if (this.#plan === undefined || this.#checkpoint === undefined) return undefined
    return { generation: this.number, plan: this.#plan, checkpoint: this.#checkpoint }
  }

  readPlace(): Place {
    return this.read(() => ({ generation: this.number, opId: this.#checkpoint?.opId ?? OP_ID_ZERO }))
  }

  /** All that `body` reads is one state, at least as new as anything read before. */
  read<Result>(body: (readers: Readers) => Result): Result {
    this.#database.exec('BEGIN')
    try {
      this.#catchUp()
      return body(this.#readers)
    } finally {
      this.#database.exec('COMMIT')
    }
  }

  close(): void {
    this.#database.close()
  }

  #catchUp(): void {
    const version = this.#readVersion.get()?.['data_version']
    if (version === this.#version) return
    this.#packed.forgetCached()
    this.#tail.readNewer()
    this.#checkpoint = this.#positions.read().shown
    this.#version = version
  }
}

function notOpen(directory: string): HeadwaterError {
  return new HeadwaterError(
    'storage-failed',
    `Cannot read the storage in ${directory}: no process has it open for writing. Start the service that owns it`,
  )
}
