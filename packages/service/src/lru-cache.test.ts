import { expect, test } from 'vitest'
import { LruCache } from './lru-cache.ts'

test('what is used stays while others come and go', () => {
  const cache = new LruCache<number, string>(20)
  for (let key = 0; key < 100; key++) {
    cache.keep(key, `value ${key}`, 1)
    expect(cache.find(0)).toBe('value 0')
  }
  expect(cache.find(50)).toBeUndefined()
  expect(cache.find(99)).toBe('value 99')
})

test('no more is kept than the weight allows', () => {
  const cache = new LruCache<number, string>(20)
  for (let key = 0; key < 100; key++) cache.keep(key, 'value', (key % 4) + 1)
  const kept = Array.from({ length: 100 }, (_, key) => key).filter((key) => cache.find(key) !== undefined)
  expect(kept.reduce((weight, key) => weight + (key % 4) + 1, 0)).toBeLessThanOrEqual(20)
  cache.keep(200, 'too heavy', 21)
  expect(cache.find(200)).toBeUndefined()
})

test('what is forgotten or replaced is not found any more', () => {
  const cache = new LruCache<string, string>(4)
  cache.keep('a', 'old', 1)
  for (const key of ['b', 'c']) cache.keep(key, key, 1)
  cache.keep('a', 'new', 1)
  expect(cache.find('a')).toBe('new')
  cache.forget('a')
  expect(cache.find('a')).toBeUndefined()
  cache.clear()
  expect(cache.find('c')).toBeUndefined()
})
