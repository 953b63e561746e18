import { expect, test } from 'vitest'
import { dataHash, putChecksum, removeChecksum } from './operation-checksum.ts'

test('the same operation always has the same checksum, and others another', () => {
  const all = [
    putChecksum('todos', '1', 'k', 'h1'),
    putChecksum('todos', '1', 'k', 'h2'),
    putChecksum('todos', '2', 'k', 'h1'),
    putChecksum('lists', '1', 'k', 'h1'),
    putChecksum('todos', '1', 'l', 'h1'),
    removeChecksum('todos', '1', 'k'),
  ]
  expect(new Set(all).size).toBe(all.length)
  expect(putChecksum('todos', '1', 'k', 'h1')).toBe(all[0])
  expect(all.every((sum) => Number.isInteger(sum) && sum >= 0 && sum <= 0xffff_ffff)).toBe(true)
})

test('data that differs has another hash of 96 bits', () => {
  expect(dataHash('a')).toHaveLength(16)
  expect(dataHash('a')).not.toBe(dataHash('b'))
})
