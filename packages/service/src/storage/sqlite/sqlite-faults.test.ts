import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import type { BucketName } from '@headwater/protocol'
import { type Random, readSeeds, seededRandom } from '@headwater/testkit'
import { expect, test } from 'vitest'
import type { BucketStorage } from '../storage.ts'
import { bucket, deltaAt, opId, origin, put } from '../example-data.contract.ts'
import {
  EAGER,
  heldIn,
  holdAfter,
  type ModelOperation,
  modelUpTo,
  NEVER,
  NOTHING_HELD,
  readBetween,
  readHeld,
  transactionAt,
} from './random-deltas.contract.ts'
import { openSqliteStorage } from './sqlite-storage.ts'

const log = { warn: () => {} }

test('a directory that is in use is refused, with the process that uses it', async () => {
  await using directory = await temporaryDirectory()
  const storage = await openSqliteStorage({ path: directory.path, log })
  const second = openSqliteStorage({ path: directory.path, log })
  await expect(second).rejects.toMatchObject({
    code: 'storage-locked',
    message: expect.stringContaining(`process ${process.pid} `) as unknown,
  })
  await storage[Symbol.asyncDispose]()
  const third = await openSqliteStorage({ path: directory.path, log })
  await third[Symbol.asyncDispose]()
})

test.each([
  { named: 'nothing was put into a bucket once more', defragmentation: NEVER },
  { named: 'all the time', defragmentation: EAGER },
])(
  'a process that was killed, also while it compacted, left everything that it had stored, once, and nothing else ($named)',
  { timeout: 60_000 },
  async ({ defragmentation }) => {
    const [seed = 1] = readSeeds(process.env, 1)
    const random = seededRandom(seed)
    await using directory = await temporaryDirectory()
    for (let round = 0; round < 5; round++) {
      const writer = startWriter(directory.path, seed, defragmentation === EAGER)
      const printed = await killAfter(writer, random.between(200, 900))
      const storage = await openSqliteStorage({ path: directory.path, log, defragmentation })
      const resume = Number((await storage.readResume())?.resume ?? 0)
      expect(resume, `seed ${seed}`).toBeGreaterThanOrEqual(printed)
      const model = modelUpTo(seed, resume)
      await expectModel(storage, { model, isExact: defragmentation === NEVER, random })
      await storage.compact()
      await expectModel(storage, { model, isExact: defragmentation === NEVER, random })
      await storage[Symbol.asyncDispose]()
    }
  },
)

test.each([
  { named: 'packed and compacted', defragmentation: NEVER },
  { named: 'packed, compacted and defragmented', defragmentation: EAGER },
])(
  'random transactions, rolled back, repeated, $named, always give what the model says',
  { timeout: 60_000 },
  async ({ defragmentation }) => {
    const [seed = 1] = readSeeds(process.env, 1)
    const random = seededRandom(seed)
    await using directory = await temporaryDirectory()
    const open = () => openSqliteStorage({ path: directory.path, log, defragmentation })
    let storage = await open()
    await storage.startGeneration(origin())
    const last = 150
    let reappended = 0
    for (let position = 1; position <= last; position++) {
      const transaction = transactionAt(seed, position)
      if (random.chance(0.2)) {
        for (const delta of transaction.slice(0, -1)) await storage.append(delta)
        await storage.rollback()
      }
      for (const delta of transaction) await storage.append(delta)
      if (random.chance(0.1))
        for (const delta of transactionAt(seed, random.between(1, position))) await storage.append(delta)
      if (position % 10 === 0 || random.chance(0.05)) await storage.compact()
      if (random.chance(0.05)) {
        reappended += (await storage.readStatus()).compaction.reappended
        await storage[Symbol.asyncDispose]()
        storage = await open()
      }
    }
    await expectModel(storage, { model: modelUpTo(seed, last), isExact: defragmentation === NEVER, random })
    reappended += (await storage.readStatus()).compaction.reappended
    if (defragmentation === EAGER) expect(reappended, `seed ${seed}`).toBeGreaterThan(100)
    await storage[Symbol.asyncDispose]()
  },
)

test('on a full disk an append fails as a whole, reads go on, and work resumes when there is space again', async () => {
  await using disk = await smallDisk(6)
  const storage = await openSqliteStorage({ path: disk.path, log })
  await storage.startGeneration(origin())
  let stored = 0
  const rows = (position: number) =>
    deltaAt(position, {
      operations: Array.from({ length: 500 }, (_, n) => ({
        ...put('a', `${position}-${n}`),
        data: JSON.stringify({ noise: random.text(300) }),
      })),
    })
  const random = seededRandom(1)
  const fill = async () => {
    for (;;) {
      await storage.append(rows(stored + 1))
      stored += 1
    }
  }
  await expect(fill()).rejects.toMatchObject({ code: 'storage-full' })
  expect(stored).toBeGreaterThan(0)
  expect((await storage.readSums([bucket('a')], opId(1_000_000)))[0]?.count).toBe(stored * 500)
  expect(Number((await storage.readResume())?.resume)).toBe(stored)

  disk.grow(64)
  await storage.append(rows(stored + 1))
  expect((await storage.readSums([bucket('a')], opId(1_000_000)))[0]?.count).toBe((stored + 1) * 500)
  await storage[Symbol.asyncDispose]()
})

test('on a full disk no new generation begins, and the old one stays as it was', async () => {
  await using disk = await smallDisk(6)
  const storage = await openSqliteStorage({ path: disk.path, log })
  const first = await storage.startGeneration(origin())
  await storage.append(deltaAt(1, { operations: [put('a', '1')] }))
  const filler = join(disk.path, 'filler')
  await expect(writeFile(filler, new Uint8Array(8_388_608))).rejects.toMatchObject({ code: 'ENOSPC' })

  await expect(storage.startGeneration(origin())).rejects.toMatchObject({ code: 'storage-full' })
  expect((await storage.readResume())?.generation).toBe(first)
  expect((await storage.readSums([bucket('a')], opId(10)))[0]?.count).toBe(1)

  await rm(filler)
  await storage.append(deltaAt(2, { operations: [put('a', '2')] }))
  expect(await storage.startGeneration(origin())).toBe(first + 1)
  await storage[Symbol.asyncDispose]()
})

test('a disk that is full at the start is said with the remedy, and nothing holds the directory afterwards', async () => {
  await using disk = await smallDisk(1)
  const filler = join(disk.path, 'filler')
  await expect(writeFile(filler, new Uint8Array(2_097_152))).rejects.toMatchObject({ code: 'ENOSPC' })

  for (const path of [disk.path, join(disk.path, 'not', 'yet')]) {
    await expect(openSqliteStorage({ path, log })).rejects.toMatchObject({
      code: 'storage-full',
      message: expect.stringMatching(
        /the disk is full\. Free some space and start again, or give .*--storage/,
      ) as unknown,
    })
  }

  await rm(filler)
  disk.grow(16)
  const storage = await openSqliteStorage({ path: disk.path, log })
  await storage[Symbol.asyncDispose]()
})

test('what is stored on a disk that is full by now is still opened, or the disk is said to be full', async () => {
  await using disk = await smallDisk(4)
  const storage = await openSqliteStorage({ path: disk.path, log })
  await storage.startGeneration(origin())
  await storage[Symbol.asyncDispose]()
  await expect(writeFile(join(disk.path, 'filler'), new Uint8Array(8_388_608))).rejects.toThrow()

  const again = await openSqliteStorage({ path: disk.path, log }).catch((error: unknown) => error)
  if (again instanceof Error) expect(again).toMatchObject({ code: 'storage-full' })
  else await (again as BucketStorage)[Symbol.asyncDispose]()
})

test('a file where the directory should be, or above it, is refused with the remedy', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'file')
  await writeFile(file, '')
  for (const path of [file, join(file, 'below')]) {
    await expect(openSqliteStorage({ path, log })).rejects.toMatchObject({
      code: 'storage-failed',
      message: expect.stringMatching(/move the file away, or give another directory with --storage/) as unknown,
    })
  }
})

test('a place where no directory can be made is refused with the remedy', async () => {
  await expect(openSqliteStorage({ path: '/proc/headwater', log })).rejects.toMatchObject({
    code: 'storage-failed',
    message: expect.stringMatching(/\/proc\/headwater: no directory can be made there .*--storage/) as unknown,
  })
})

test('a directory that this user may not write to is refused with the remedy', async () => {
  await using directory = await temporaryDirectory()
  await chmod(directory.path, 0o555)
  await asNobody(async () => {
    for (const path of [directory.path, join(directory.path, 'below')]) {
      await expect(openSqliteStorage({ path, log })).rejects.toMatchObject({
        code: 'storage-failed',
        message: expect.stringMatching(/Let the user that runs Headwater write there/) as unknown,
      })
    }
  })
})

test('a new generation gives the space of the old one back', async () => {
  await using directory = await temporaryDirectory()
  const storage = await openSqliteStorage({ path: directory.path, log })
  await storage.startGeneration(origin())
  const files = (await readdir(directory.path)).filter((name) => name.startsWith('generation-'))
  await storage.startGeneration(origin())
  const next = await readdir(directory.path)
  expect(next).toContain('generation-2.sqlite')
  expect(next.filter((name) => files.includes(name))).toEqual([])
  await storage[Symbol.asyncDispose]()
})

test('the start of a generation that was interrupted leaves the old one in use, or the new one', async () => {
  await using directory = await temporaryDirectory()
  const storage = await openSqliteStorage({ path: directory.path, log })
  await storage.startGeneration(origin())
  await storage.append(deltaAt(1, { operations: [put('a', '1')] }))
  await storage[Symbol.asyncDispose]()
  const file = (name: string): string => join(directory.path, name)
  await writeFile(file('generation-unfinished.sqlite'), 'half of it')
  await writeFile(file('generation-unfinished.sqlite-journal'), 'of a half')
  await writeFile(file('generation-0.sqlite'), 'the one before')

  const again = await openSqliteStorage({ path: directory.path, log })
  expect((await again.readResume())?.generation).toBe(1)
  expect((await again.readSums([bucket('a')], opId(10)))[0]?.count).toBe(1)
  await again[Symbol.asyncDispose]()
  const left = (await readdir(directory.path)).filter((name) => name.startsWith('generation-'))
  expect(left).toEqual(['generation-1.sqlite'])
})

test('a database of a newer version is refused', async () => {
  await using directory = await temporaryDirectory()
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(join(directory.path, 'generation-0.sqlite'))
  database.exec('PRAGMA user_version = 999')
  database.close()
  await expect(openSqliteStorage({ path: directory.path, log })).rejects.toMatchObject({ code: 'storage-failed' })
})

test('a file that is no database is refused with what SQLite says', async () => {
  await using directory = await temporaryDirectory()
  await writeFile(
    join(directory.path, 'generation-0.sqlite'),
    'not a database at all, but long enough to be looked at '.repeat(20),
  )
  await expect(openSqliteStorage({ path: directory.path, log })).rejects.toMatchObject({ code: 'storage-failed' })
})

type Expected = {
  readonly model: ReadonlyMap<BucketName, readonly ModelOperation[]>
  /** Nothing was put once more: ids and sums are those of the model. Else each row must be there as it was put last. */
  readonly isExact: boolean
  readonly random: Random
}

async function expectModel(storage: BucketStorage, { model, isExact, random }: Expected): Promise<void> {
  const held = await readHeld(storage, model.keys(), random)
  if (isExact) {
    expect(held).toEqual(heldIn(model))
    await expectSums(storage, model, random)
    return
  }
  const sums = await storage.readSums([...model.keys()], opId(Number.MAX_SAFE_INTEGER))
  expect(sums.map((sum) => sum?.checksum)).toEqual([...model.keys()].map((name) => held.get(name)?.sum))
  for (const [name, operations] of model) {
    const { rows } = holdAfter(NOTHING_HELD, operations)
    const checksums = new Map(operations.map(({ opId: id, checksum }) => [id, checksum]))
    const expected = new Map(Array.from(rows, ([row, id]) => [row, checksums.get(id)]))
    const everything = { after: 0, upTo: Number.MAX_SAFE_INTEGER }
    const found = new Map<string | undefined, number>()
    for (const { op, row, checksum } of (await readBetween(storage, name, everything, random)).operations) {
      if (op === 'CLEAR') found.clear()
      else if (op === 'PUT') found.set(row, checksum)
      else if (op === 'REMOVE') found.delete(row)
    }
    expect(found, name).toEqual(expected)
  }
}

async function expectSums(storage: BucketStorage, model: Expected['model'], random: Random): Promise<void> {
  for (const [name, operations] of model) {
    const last = operations.at(-1)?.opId ?? 0
    for (const upTo of [last, random.integer(last + 2)]) {
      const checksum = operations
        .filter((operation) => operation.opId <= upTo)
        .reduce((sum, operation) => (sum + operation.checksum) >>> 0, 0)
      const [sum] = await storage.readSums([name], opId(upTo))
      // Before the CLEAR that compaction made, nothing is known.
      if (sum !== undefined || upTo === last) expect(sum?.checksum).toBe(checksum)
    }
  }
}

function startWriter(path: string, seed: number, isEager: boolean): ChildProcess {
  const entry = join(import.meta.dirname, 'crash-writer.contract.ts')
  return spawn(process.execPath, ['--conditions=@headwater/source', entry, path, String(seed), String(isEager)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** Kills the process some time after its first line; returns the last position that it printed. */
async function killAfter(child: ChildProcess, delayMs: number): Promise<number> {
  let last = 0
  if (child.stdout === null) throw new Error('The writer has no output')
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => {
    last = Number(line)
  })
  await once(lines, 'line')
  await setTimeout(delayMs)
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
  return last
}

async function temporaryDirectory() {
  const path = await mkdtemp(join(tmpdir(), 'headwater-storage-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

/** To root no directory is closed. */
async function asNobody(body: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    await body()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

/** A file system in memory, of so many MiB. */
async function smallDisk(sizeMib: number) {
  const directory = await temporaryDirectory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'headwater-test', directory.path])
  return {
    path: directory.path,
    grow: (mib: number) => execFileSync('mount', ['-o', `remount,size=${mib}m`, directory.path]),
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', ['-l', directory.path])
      await directory[Symbol.asyncDispose]()
    },
  }
}
