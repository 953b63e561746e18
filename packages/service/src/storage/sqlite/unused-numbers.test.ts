import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FORGOTTEN_CLIENTS } from '../delta.ts'
import { deltaAt, origin } from '../example-data.contract.ts'
import type { BucketStorage } from '../storage.ts'
import { openSqliteStorage } from './sqlite-storage.ts'

const DAY_MS = 86_400_000

/** Storage whose days pass by hand. */
async function open() {
  const path = await mkdtemp(join(tmpdir(), 'headwater-storage-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  let nowMs = Date.UTC(2030, 0, 1)
  const log = { warn: () => {} }
  const reopen = (): Promise<BucketStorage> =>
    openSqliteStorage({ path, log, writeCheckpointDays: 10, nowMs: () => nowMs })
  return { storage: await reopen(), reopen, pass: (days: number) => (nowMs += days * DAY_MS) }
}

const number = (key: string, value: bigint) => ({ writeCheckpoints: [{ key, number: value }] })

test('a number that nobody has used for long is forgotten, and its client told one that is above it', async () => {
  const { storage, reopen, pass } = await open()
  await storage.startGeneration(origin())
  await storage.append(deltaAt(10, number('old', 70n)))
  pass(6)
  await storage.append(deltaAt(20, number('used', 80n)))
  pass(4)
  expect(await storage.hasUnusedWriteCheckpoints()).toBe(false)
  pass(1)
  expect(await storage.hasUnusedWriteCheckpoints()).toBe(true)
  await storage.append(deltaAt(30, { ...number(FORGOTTEN_CLIENTS, 90n), show: false }))
  expect(await storage.readWriteCheckpoint('old')).toBe(70n)
  await storage.append(deltaAt(40, {}))

  expect(await storage.hasUnusedWriteCheckpoints()).toBe(false)
  expect(await storage.readWriteCheckpoint('old')).toBe(90n)
  expect(await storage.readStoredWriteCheckpoint('old')).toEqual({ own: undefined, highest: 90n, isStale: false })
  expect(await storage.readWriteCheckpoint('used')).toBe(80n)
  expect(await storage.readStoredWriteCheckpoint('used')).toEqual({ own: 80n, highest: 80n, isStale: true })
  expect(await storage.readResume()).toMatchObject({ highestWriteCheckpoint: 90n })

  // One that asks again has a number of its own, seen no earlier than what it stands for.
  await storage.append(deltaAt(50, { ...number('old', 95n), show: false }))
  expect(await storage.readWriteCheckpoint('old')).toBeUndefined()
  await storage.append(deltaAt(60, {}))
  expect(await storage.readWriteCheckpoint('old')).toBe(95n)

  await storage.startGeneration(origin())
  await storage[Symbol.asyncDispose]()
  await using again = await reopen()
  expect(await again.readWriteCheckpoint('nobody')).toBe(90n)
})

test('a use makes a number young again', async () => {
  const { storage, pass } = await open()
  await using _ = storage
  await storage.startGeneration(origin())
  await storage.append(deltaAt(10, number('ann', 70n)))
  pass(0.5)
  expect(await storage.readStoredWriteCheckpoint('ann')).toMatchObject({ isStale: false })
  pass(1)
  expect(await storage.readStoredWriteCheckpoint('ann')).toMatchObject({ isStale: true })
  await storage.append(deltaAt(20, number('ann', 70n)))
  expect(await storage.readStoredWriteCheckpoint('ann')).toMatchObject({ own: 70n, isStale: false })
})

test('thousands of unused numbers go in several commits, and what stands for others stays', async () => {
  const { storage, pass } = await open()
  await using _ = storage
  await storage.startGeneration(origin())
  const writeCheckpoints = Array.from({ length: 7_000 }, (_, n) => ({ key: `k${n}`, number: BigInt(n) + 1n }))
  await storage.append(deltaAt(10, { writeCheckpoints: [...writeCheckpoints, { key: '', number: 5n }] }))
  pass(11)
  for (const at of [20, 30]) {
    expect(await storage.hasUnusedWriteCheckpoints()).toBe(true)
    await storage.append(deltaAt(at, number(FORGOTTEN_CLIENTS, 8_000n + BigInt(at))))
  }
  expect(await storage.hasUnusedWriteCheckpoints()).toBe(false)
  expect(await storage.readWriteCheckpoint('k6999')).toBe(8_030n)
  pass(11)
  expect(await storage.hasUnusedWriteCheckpoints()).toBe(false)
})

test('of numbers of the backend the newest hundred thousand are kept, however old they are', async () => {
  const { storage, pass } = await open()
  await using _ = storage
  const body = { events: [{ name: 'write_checkpoints' }] }
  await storage.startGeneration({ ...origin(), plan: { ...origin().plan, body } })
  const some = (prefix: string, length: number) => ({
    customWriteCheckpoints: Array.from({ length }, (_, n) => ({ key: `${prefix}${n}`, number: 1n })),
  })
  await storage.append(deltaAt(10, some('a', 1_000)))
  pass(11)
  expect(await storage.hasUnusedWriteCheckpoints()).toBe(false)
  await storage.append(deltaAt(20, some('b', 100_000)))
  expect(await storage.hasUnusedWriteCheckpoints()).toBe(false)
  await storage.append(deltaAt(30, some('c', 1)))
  expect(await storage.hasUnusedWriteCheckpoints()).toBe(true)
  await storage.append(deltaAt(40, number(FORGOTTEN_CLIENTS, 9n)))
  expect(await storage.readWriteCheckpoint('a0')).toBeUndefined()
  expect(await storage.readWriteCheckpoint('b0')).toBe(1n)
})
