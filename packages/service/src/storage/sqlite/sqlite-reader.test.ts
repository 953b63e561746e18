import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { readSeeds, seededRandom } from '@headwater/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { bucket, deltaAt, idsIn, origin, put, type StorageUnderTest } from '../example-data.contract.ts'
import type { StoredCheckpoint } from '../delta.ts'
import type { BucketStorage, BucketSum, Commit } from '../storage.ts'
import { storageContract } from '../storage.contract.ts'
import { unnamedCommit } from './commit-watch.ts'
import { generationPath } from './generation-file.ts'
import {
  heldIn,
  holdAfter,
  type ModelOperation,
  modelUpTo,
  NOTHING_HELD,
  readBetween,
} from './random-deltas.contract.ts'
import { openSqliteReader, type SqliteReader } from './sqlite-reader.ts'
import { openSqliteStorage } from './sqlite-storage.ts'

storageContract('SQLite storage that is read beside its writer', openBeside)

test(
  'what another process writes is read as each state that it shows, whatever it packs meanwhile',
  { timeout: 60_000 },
  async () => {
    const [seed = 1] = readSeeds(process.env, 1)
    const random = seededRandom(seed)
    const path = await temporaryDirectory()
    const entry = join(import.meta.dirname, 'crash-writer.contract.ts')
    const writer = spawn(process.execPath, ['--conditions=@headwater/source', entry, path, String(seed)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const closed = once(writer, 'close')
    onTestFinished(async () => {
      writer.kill('SIGKILL')
      await closed
    })
    await once(
      writer.stdout.on('data', () => undefined),
      'data',
    )
    using reader = await openSqliteReader(path)
    const names = Array.from({ length: 40 }, (_, n) => bucket(`bucket-${n}`))
    const seen: Seen[] = []
    while (seen.length < 10) {
      const head = (await reader.readHead())?.checkpoint
      if (head === undefined || head.opId === seen.at(-1)?.head.opId) {
        await setImmediate()
        continue
      }
      const sums = await reader.readSums(names, head.opId)
      const reads = []
      for (const name of names)
        reads.push(await readBetween(reader, name, { after: 0, upTo: Number(head.opId) }, random))
      // Some of it may have been compacted together with what is newer.
      const isServed = !sums.includes(undefined) && reads.every(({ completeFrom }) => completeFrom <= Number(head.opId))
      if (isServed) seen.push({ head, sums, operations: reads.map(({ operations }) => operations) })
    }
    writer.kill('SIGKILL')

    const model = modelUpTo(seed, Number(seen.at(-1)?.head.lsn))
    for (const { head, operations, sums } of seen) {
      const expected = heldIn(model, Number(head.opId))
      for (const [n, name] of names.entries()) {
        const { rows, sum } = expected.get(name) ?? NOTHING_HELD
        expect(holdAfter(NOTHING_HELD, operations[n] ?? []), `seed ${seed} at ${head.lsn}`).toEqual({ rows, sum })
        expect(sums[n]?.checksum, `seed ${seed} at ${head.lsn}`).toBe(sum)
      }
    }
  },
)

test('the number that is read of a client belongs to the head that is read after it, or to one before', async () => {
  const { storage, reader } = await openBoth()
  for (let n = 1; n <= 20; n++) {
    await storage.append(deltaAt(n, { writeCheckpoints: [{ key: 'ann', number: BigInt(n) }] }))
    const number = await reader.readWriteCheckpoint('ann')
    expect((await reader.readHead())?.checkpoint.lsn).toBeGreaterThanOrEqual(number ?? 0n)
    expect(number).toBe(BigInt(n))
  }
})

test('a commit of which no notice has come is found at the second look, and touches everything', async () => {
  const { storage, reader } = await openBoth()
  const commits = reader.watchCommits(new AbortController().signal)[Symbol.asyncIterator]()
  reader.noteCommit(await storage.append(deltaAt(10, { operations: [put('a', '1')] })))
  expect((await commits.next()).value).toMatchObject({ touchesAll: false, buckets: new Set([bucket('a')]) })

  const lost = await storage.append(deltaAt(20, { operations: [put('b', '2')] }))
  const next = commits.next()
  reader.findMissed()
  reader.findMissed()
  expect((await next).value).toEqual(unnamedCommit(lost.generation, lost.checkpoint))
  expect(await idsIn(beside(storage, reader), 'b')).toEqual(['2'])
})

test('looks find nothing while notices come, however late they are read', async () => {
  const { storage, reader } = await openBoth()
  const stop = new AbortController()
  const commits = reader.watchCommits(stop.signal)[Symbol.asyncIterator]()
  const late = await storage.append(deltaAt(10, { operations: [put('a', '1')] }))
  reader.findMissed()
  reader.noteCommit(late)
  reader.findMissed()
  reader.findMissed()
  expect((await commits.next()).value).toMatchObject({ touchesAll: false })
  const end = commits.next()
  stop.abort()
  expect((await end).done).toBe(true)
})

test('a new generation is read from its notice on, and without one from the second look on', async () => {
  const { storage, reader } = await openBoth()
  await storage.append(deltaAt(10, { operations: [put('a', 'old')] }))
  expect(await idsIn(beside(storage, reader), 'a')).toEqual(['old'])
  const commits = reader.watchCommits(new AbortController().signal)[Symbol.asyncIterator]()

  const second = await storage.startGeneration(origin())
  reader.noteCommit(unnamedCommit(second, undefined))
  expect((await commits.next()).value).toMatchObject({ generation: second, checkpoint: undefined })
  expect(await reader.readHead()).toBeUndefined()

  const third = await storage.startGeneration(origin())
  await storage.append(deltaAt(10, { operations: [put('a', 'new')] }))
  const next = commits.next()
  reader.findMissed()
  reader.findMissed()
  expect((await next).value).toMatchObject({ generation: third, touchesAll: true, checkpoint: { lsn: 10n } })
  expect(await idsIn(beside(storage, reader), 'a')).toEqual(['new'])
})

test('a notice of a generation that has gone already is left out', async () => {
  const { storage, reader } = await openBoth()
  const commits = reader.watchCommits(new AbortController().signal)[Symbol.asyncIterator]()
  const gone = await storage.startGeneration(origin())
  const last = await storage.startGeneration(origin())
  reader.noteCommit(unnamedCommit(gone, undefined))
  reader.noteCommit(unnamedCommit(last, undefined))
  expect((await commits.next()).value).toMatchObject({ generation: last })
})

test('an open reader holds nothing of the log of SQLite between two reads', async () => {
  const { path, storage, reader } = await openBoth()
  const commit = await storage.append(deltaAt(10, { operations: [put('a', '1')] }))
  expect((await reader.readHead())?.checkpoint).toEqual(commit.checkpoint)
  using other = new DatabaseSync(generationPath(path, commit.generation))
  expect(other.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()).toEqual({ busy: 0, log: 0, checkpointed: 0 })
})

test('storage that nobody has open for writing is refused', { timeout: 20_000 }, async () => {
  await expect(openSqliteReader(await temporaryDirectory())).rejects.toMatchObject({ code: 'storage-failed' })
})

type Seen = {
  readonly head: StoredCheckpoint
  readonly sums: readonly (BucketSum | undefined)[]
  /** By bucket. */
  readonly operations: readonly (readonly ModelOperation[])[]
}

type Both = { readonly path: string; readonly storage: BucketStorage; readonly reader: SqliteReader }

const log = { warn: () => {} }

async function openBoth(): Promise<Both> {
  const path = await temporaryDirectory()
  const storage = await openSqliteStorage({ path, log })
  await storage.startGeneration(origin())
  const reader = await openSqliteReader(path)
  onTestFinished(async () => {
    reader[Symbol.dispose]()
    await storage[Symbol.asyncDispose]()
  })
  return { path, storage, reader }
}

/** Written by the one, read by the other, which gets a notice of each commit. */
function beside(storage: BucketStorage, reader: SqliteReader): BucketStorage {
  const note = (commit: Commit): Commit => {
    if (commit.checkpoint !== undefined) reader.noteCommit(commit)
    return commit
  }
  return {
    ...storage,
    ...reader,
    append: async (delta) => (delta.show ? note(await storage.append(delta)) : storage.append(delta)),
    startGeneration: async (start) => {
      const number = await storage.startGeneration(start)
      reader.noteCommit(unnamedCommit(number, undefined))
      return number
    },
  }
}

async function openBeside(): Promise<StorageUnderTest> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-storage-'))
  let storage = await openSqliteStorage({ path, log })
  let reader = await openSqliteReader(path)
  const close = async (): Promise<void> => {
    reader[Symbol.dispose]()
    await storage[Symbol.asyncDispose]()
  }
  return {
    storage: beside(storage, reader),
    reopen: async () => {
      await close()
      storage = await openSqliteStorage({ path, log })
      reader = await openSqliteReader(path)
      return beside(storage, reader)
    },
    [Symbol.asyncDispose]: async () => {
      await close()
      await rm(path, { recursive: true })
    },
  }
}

async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-storage-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}
