import { HeadwaterError } from '@headwater/protocol'
import { expect, test } from 'vitest'
import type { Marker } from '../postgres/marker.ts'
import type { StoredWriteCheckpoint } from '../storage/storage.ts'
import { createWriteCheckpoints, type WriteCheckpointParts, type WriteCheckpoints } from './write-checkpoints.ts'

const GREATEST = 9_223_372_036_854_775_807n

test('requests that come while a marker is being written share the next one', async () => {
  const markers: Marker[] = []
  const first = Promise.withResolvers<void>()
  const checkpoints = open({
    emit: async (marker) => {
      markers.push(marker)
      if (markers.length === 1) await first.promise
    },
  })
  const requests = ['a', 'b', 'c'].map((key) => checkpoints.request(key))
  await expect.poll(() => markers.length).toBe(1)
  first.resolve()
  expect(await Promise.all(requests)).toEqual([5_000n, 5_001n, 5_002n])
  expect(markers).toEqual([
    { kind: 'write-checkpoints', slot: 's', entries: [['a', '5000']] },
    {
      kind: 'write-checkpoints',
      slot: 's',
      entries: [
        ['b', '5001'],
        ['c', '5002'],
      ],
    },
  ])
})

test('[protocol 72] numbers grow even when the clock goes back', async () => {
  let nowMs = 10
  const checkpoints = open({ nowMs: () => nowMs })
  const numbers: bigint[] = []
  for (nowMs of [10, 3, 20]) numbers.push(await checkpoints.request('a'))
  expect(numbers).toEqual([10_000n, 10_001n, 20_000n])
})

test('a marker that cannot be written fails those who asked, and nobody after them', async () => {
  let isBroken = true
  const checkpoints = open({
    emit: async () => {
      if (isBroken) throw new HeadwaterError('source-unreachable', 'gone')
    },
  })
  await expect(checkpoints.request('a')).rejects.toThrow('gone')
  await expect(checkpoints.requestNumber('a', 3n)).rejects.toThrow('gone')
  isBroken = false
  await expect(checkpoints.requestNumber('a', 3n)).resolves.toBe(3n)
  await expect(checkpoints.request('a')).resolves.toBe(5_001n)
})

test('numbers stay above those of an earlier process, whatever the clock says', async () => {
  const checkpoints = open()
  checkpoints.startAbove(9_000n)
  expect(await checkpoints.request('a')).toBe(9_001n)
})

test('a number that a client has chosen binds no other client, however large it is', async () => {
  const checkpoints = open()
  checkpoints.startAbove(GREATEST)
  await checkpoints.requestNumber('a', GREATEST - 1n)
  expect(await checkpoints.request('b')).toBe(5_000n)
  expect(await checkpoints.request('a')).toBe(GREATEST)
  await expect(checkpoints.request('a')).rejects.toMatchObject({ code: 'bad-request' })
})

test('[protocol 77] the number of a client is taken when it is larger than what is known, and else changes nothing', async () => {
  const entries: unknown[] = []
  const checkpoints = open({
    emit: async (marker) => void entries.push(...(marker.kind === 'write-checkpoints' ? marker.entries : [])),
    readStored: async (key) => storedAs(key === 'stored' ? 7n : undefined),
  })
  expect(await checkpoints.requestNumber('a', 1n)).toBe(1n)
  expect(await checkpoints.requestNumber('a', 4n)).toBe(4n)
  expect(await checkpoints.requestNumber('a', 4n)).toBe(4n)
  expect(await checkpoints.requestNumber('a', 2n)).toBe(4n)
  expect(await checkpoints.requestNumber('stored', 6n)).toBe(7n)
  expect(entries).toEqual([
    ['a', '1'],
    ['a', '4'],
  ])
})

test('a number of ours goes on from that of the client, and the client learns of ours', async () => {
  const checkpoints = open()
  await checkpoints.requestNumber('a', 6_000n)
  expect(await checkpoints.request('a')).toBe(6_001n)
  expect(await checkpoints.requestNumber('a', 6_001n)).toBe(6_001n)
  expect(await checkpoints.request('a')).toBe(6_002n)
})

test('the number of a client waits for the markers of an earlier process, whose numbers nobody knows yet', async () => {
  const caughtUp = Promise.withResolvers<void>()
  let stored: bigint | undefined
  const checkpoints = open({ caughtUp: () => caughtUp.promise, readStored: async () => storedAs(stored) })
  const answer = checkpoints.requestNumber('a', 8n)
  stored = 9n
  caughtUp.resolve()
  expect(await answer).toBe(9n)
})

test('what storage has by now is not held', async () => {
  const checkpoints = open()
  const first = await checkpoints.request('a')
  const second = await checkpoints.request('b')
  expect(checkpoints.readUnderWay()).toEqual({ count: 2, oldestMs: 5 })
  checkpoints.noteStored([{ key: 'a', number: first }], true)
  checkpoints.noteStored([{ key: 'b', number: second - 1n }], true)
  expect(checkpoints.readUnderWay()).toEqual({ count: 1, oldestMs: 5 })
  checkpoints.noteStored([{ key: 'b', number: second }], false)
  expect(checkpoints.readUnderWay()).toEqual({ count: 0, oldestMs: 5 })
  checkpoints.noteStored([], true)
  expect(checkpoints.readUnderWay()).toEqual({ count: 0, oldestMs: undefined })
})

test('what storage has before its marker is known to be written is not held either', async () => {
  const checkpoints = open({
    emit: async (marker) => {
      const entries = marker.kind === 'write-checkpoints' ? marker.entries : []
      checkpoints.noteStored(
        entries.map(([key, number]) => ({ key, number: BigInt(number) })),
        true,
      )
    },
  })
  await checkpoints.request('a')
  await checkpoints.forgetUnused()
  expect(checkpoints.readUnderWay()).toEqual({ count: 0, oldestMs: undefined })
})

test('a number of ours waits a moment for the markers of an earlier process, lest it be below them', async () => {
  const soon = Promise.withResolvers<void>()
  let stored: bigint | undefined
  const checkpoints = open({ caughtUpSoon: () => soon.promise, readStored: async () => storedAs(stored) })
  const answer = checkpoints.request('a')
  stored = 9_000n
  soon.resolve()
  expect(await answer).toBe(9_001n)
})

test('a number that was told to every client is told once more to one that asks for less, behind its own writes', async () => {
  const entries: unknown[] = []
  const checkpoints = open({
    emit: async (marker) => void entries.push(...(marker.kind === 'write-checkpoints' ? marker.entries : [])),
    readStored: async () => ({ own: 6n, highest: 80n, isStale: false }),
  })
  expect(await checkpoints.requestNumber('a', 6n)).toBe(80n)
  expect(entries).toEqual([])
  expect(await checkpoints.requestNumber('a', 7n)).toBe(80n)
  expect(await checkpoints.requestNumber('a', 81n)).toBe(81n)
  expect(entries).toEqual([
    ['a', '80'],
    ['a', '81'],
  ])
})

test('a number that is used again is kept, at the cost of one marker in a while', async () => {
  const entries: unknown[] = []
  const checkpoints = open({
    emit: async (marker) => void entries.push(...(marker.kind === 'write-checkpoints' ? marker.entries : [])),
    readStored: async (key) => ({ own: 6n, highest: 6n, isStale: key === 'stale' }),
  })
  expect(await checkpoints.requestNumber('fresh', 6n)).toBe(6n)
  expect(await checkpoints.requestNumber('stale', 5n)).toBe(6n)
  expect(entries).toEqual([['stale', '6']])
})

test('what is asked for after numbers were given up for forgotten is written behind that, and above it', async () => {
  const entries: (readonly [string, string])[] = []
  const first = Promise.withResolvers<void>()
  const checkpoints = open({
    emit: async (marker) => {
      if (marker.kind === 'write-checkpoints') entries.push(...marker.entries)
      await first.promise
    },
  })
  const before = checkpoints.requestNumber('a', 1n)
  await expect.poll(() => entries.length).toBe(1)
  const forgotten = checkpoints.forgetUnused()
  const after = [checkpoints.requestNumber('b', 2n), checkpoints.request('c')]
  first.resolve()
  await forgotten
  expect([await before, ...(await Promise.all(after))]).toEqual([1n, 5_000n, 5_001n])
  expect(entries).toEqual([
    ['a', '1'],
    ['%forgotten', '5000'],
    ['b', '5000'],
    ['c', '5001'],
  ])
})

function open(parts: Partial<WriteCheckpointParts> = {}): WriteCheckpoints {
  return createWriteCheckpoints({
    slot: 's',
    emit: async () => undefined,
    readStored: async () => storedAs(undefined),
    caughtUp: async () => undefined,
    caughtUpSoon: async () => undefined,
    nowMs: () => 5,
    ...parts,
  })
}

function storedAs(own: bigint | undefined): StoredWriteCheckpoint {
  return { own, highest: own ?? 0n, isStale: false }
}
