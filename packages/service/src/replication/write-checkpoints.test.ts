import { HeadwaterError } from '@headwater/protocol'
import { expect, test } from 'vitest'
import type { Marker } from '../postgres/marker.ts'
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
  const times = [10, 3, 20]
  const checkpoints = open({ nowMs: () => times.shift() ?? 0 })
  const numbers = [await checkpoints.request('a'), await checkpoints.request('a'), await checkpoints.request('a')]
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
    readStored: async (key) => (key === 'stored' ? 7n : 0n),
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
  let stored = 0n
  const checkpoints = open({ caughtUp: () => caughtUp.promise, readStored: async () => stored })
  const answer = checkpoints.requestNumber('a', 8n)
  stored = 9n
  caughtUp.resolve()
  expect(await answer).toBe(9n)
})

test('what storage has by now is not held', async () => {
  const stored = new Map<string, bigint>()
  const reads: string[] = []
  const checkpoints = open({
    readStored: async (key) => {
      reads.push(key)
      return stored.get(key) ?? 0n
    },
  })
  for (let index = 0; index < 100; index += 1) {
    const key = `k${index}`
    stored.set(key, await checkpoints.request(key))
  }
  reads.length = 0
  await checkpoints.request('last')
  expect(reads.length).toBeLessThanOrEqual(3)
  expect(reads).not.toContain('k0')
})

function open(parts: Partial<WriteCheckpointParts> = {}): WriteCheckpoints {
  return createWriteCheckpoints({
    slot: 's',
    emit: async () => undefined,
    readStored: async () => 0n,
    caughtUp: async () => undefined,
    nowMs: () => 5,
    ...parts,
  })
}
