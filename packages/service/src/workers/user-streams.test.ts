import { HeadwaterError } from '@headwater/protocol'
import { expect, test } from 'vitest'
import type { LimitName } from '../observe/limit-watch.ts'
import { askForPlaces, UserStreams } from './user-streams.ts'

const MAX = 3

test('streams of a user are counted over all workers; those of others are not among them', () => {
  const { streams, reached } = open()
  const [first, second] = [streams.ofWorker(), streams.ofWorker()]
  // Each worker has numbers of its own.
  first.take(1, 'ann')
  first.take(2, 'ann')
  second.take(1, 'ann')
  expect(() => second.take(2, 'ann')).toThrow(expect.objectContaining({ code: 'too-many-user-connections' }))
  expect(() => first.take(3, 'ann')).toThrow(HeadwaterError)
  expect(reached).toEqual(['user-connections', 'user-connections'])
  second.take(3, 'bob')
})

test('a place that is given back is free for a stream in any worker, once', () => {
  const { streams } = open()
  const [first, second] = [streams.ofWorker(), streams.ofWorker()]
  for (const place of [1, 2, 3]) first.take(place, 'ann')
  first.giveBack(2)
  first.giveBack(2)
  second.take(1, 'ann')
  expect(() => second.take(2, 'ann')).toThrow(HeadwaterError)
  // It was never granted.
  second.giveBack(2)
  expect(() => second.take(3, 'ann')).toThrow(HeadwaterError)
})

test('a worker that dies gives all of its places back, and what it said before takes none', () => {
  const { streams } = open()
  const [first, second] = [streams.ofWorker(), streams.ofWorker()]
  for (const place of [1, 2, 3]) first.take(place, 'ann')
  first.end()
  first.take(4, 'ann')
  first.giveBack(1)
  for (const place of [1, 2, 3]) second.take(place, 'ann')
  expect(() => second.take(4, 'ann')).toThrow(HeadwaterError)
})

test('a worker gives back also what it never heard of, under the number that it had asked with', async () => {
  const sent: string[] = []
  const takePlace = askForPlaces({
    take: async (place, userId) => {
      sent.push(`take ${place} ${userId}`)
      throw new HeadwaterError('main-process-silent', 'no answer')
    },
    giveBack: (place) => void sent.push(`give back ${place}`),
  })
  const [first, second] = [takePlace('ann'), takePlace('bob')]
  first.giveBack()
  await expect(second.granted).rejects.toMatchObject({ code: 'main-process-silent' })
  second.giveBack()
  expect(sent).toEqual(['take 1 ann', 'take 2 bob', 'give back 1', 'give back 2'])
})

function open(): { readonly streams: UserStreams; readonly reached: readonly LimitName[] } {
  const reached: LimitName[] = []
  const watch = { reached: (limit: LimitName) => void reached.push(limit), noteUse: () => {} }
  return { streams: new UserStreams(watch, MAX), reached }
}
