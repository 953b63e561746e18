import { HeadwaterError } from '@headwater/protocol'
import { expect, test } from 'vitest'
import type { Marker } from '../postgres/marker.ts'
import { createWriteCheckpoints } from './write-checkpoints.ts'

test('requests that come while a marker is being written share the next one', async () => {
  const markers: Marker[] = []
  const first = Promise.withResolvers<void>()
  const checkpoints = createWriteCheckpoints(
    's',
    async (marker) => {
      markers.push(marker)
      if (markers.length === 1) await first.promise
    },
    () => 5,
  )
  const requests = ['a', 'b', 'c'].map((key) => checkpoints.request(key))
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

test('numbers grow even when the clock goes back', async () => {
  const times = [10, 3, 20]
  const checkpoints = createWriteCheckpoints(
    's',
    async () => {},
    () => times.shift() ?? 0,
  )
  const numbers = [await checkpoints.request('a'), await checkpoints.request('a'), await checkpoints.request('a')]
  expect(numbers).toEqual([10_000n, 10_001n, 20_000n])
})

test('a marker that cannot be written fails those who asked, and nobody after them', async () => {
  let isBroken = true
  const checkpoints = createWriteCheckpoints(
    's',
    async () => {
      if (isBroken) throw new HeadwaterError('source-unreachable', 'gone')
    },
    () => 1,
  )
  await expect(checkpoints.request('a')).rejects.toThrow('gone')
  isBroken = false
  await expect(checkpoints.request('a')).resolves.toBe(1_001n)
})

test('numbers stay above those of an earlier process, whatever the clock says', async () => {
  const checkpoints = createWriteCheckpoints(
    's',
    async () => undefined,
    () => 5,
  )
  checkpoints.startAbove(9_000n)
  expect(await checkpoints.request('a')).toBe(9_001n)
})
