import { expect, test } from 'vitest'
import { readSeed, readSeeds, seededRandom } from './random.ts'

test('the same seed gives the same numbers, another seed gives others', () => {
  const draw = (seed: number): number[] => {
    const random = seededRandom(seed)
    return Array.from({ length: 20 }, () => random.integer(1_000_000))
  }

  expect(draw(7)).toEqual(draw(7))
  expect(draw(7)).not.toEqual(draw(8))
})

test('what a fork draws does not change what its parent draws next', () => {
  const quiet = seededRandom(3)
  quiet.fork()
  const busy = seededRandom(3)
  const fork = busy.fork()
  for (let drawn = 0; drawn < 10; drawn++) fork.fraction()

  expect(busy.fraction()).toBe(quiet.fraction())
})

test('integers cover their whole range and never leave it', () => {
  const random = seededRandom(1)
  const seen = new Set(Array.from({ length: 500 }, () => random.between(2, 5)))

  expect([...seen].sort((a, b) => a - b)).toEqual([2, 3, 4, 5])
})

test('weights decide how often a name comes up', () => {
  const random = seededRandom(5)
  let rare = 0
  for (let drawn = 0; drawn < 2_000; drawn++) {
    if (random.weighted({ rare: 1, common: 9, never: 0 }) === 'rare') rare++
  }

  expect(rare).toBeGreaterThan(130)
  expect(rare).toBeLessThan(280)
})

test('uuids look like version 4 and do not repeat', () => {
  const random = seededRandom(11)
  const uuids = Array.from({ length: 100 }, () => random.uuid())

  for (const uuid of uuids) expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(new Set(uuids).size).toBe(100)
})

test('seeds are read from the environment', () => {
  expect(readSeeds({ SEED: '7', SEEDS: '3' }, 1)).toEqual([7, 8, 9])
  expect(readSeeds({ SEED: '7' }, 2)).toEqual([7, 8])
  expect(readSeed({ SEED: '7' })).toBe(7)
  expect(() => readSeeds({ SEED: 'x' }, 1)).toThrow('SEED')
  expect(() => readSeeds({ SEEDS: '0' }, 1)).toThrow('SEEDS')
})
