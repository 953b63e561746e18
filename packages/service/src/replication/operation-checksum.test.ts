import { expect, test } from 'vitest'
import { dataHash, putChecksum, removeChecksum } from './operation-checksum.ts'

test('the same operation always has the same checksum, and others another', () => {
  const all = [
    putChecksum('todos', '1', 'k', 'h1'),
    putChecksum('todos', '1', 'k', 'h2'),
    putChecksum('todos', '2', 'k', 'h1'),
    putChecksum('lists', '1', 'k', 'h1'),
    putChecksum('todos', '1', 'l', 'h1'),
    putChecksum('todos', '1k', '', 'h1'),
    removeChecksum('todos', '1', 'k'),
    removeChecksum('todos1', '', 'k'),
  ]
  expect(new Set(all).size).toBe(all.length)
  expect(putChecksum('todos', '1', 'k', 'h1')).toBe(all[0])
  expect(all.every((sum) => Number.isInteger(sum) && sum >= 0 && sum <= 0xffff_ffff)).toBe(true)
})

test('checksums of neighbouring rows are spread over all 32 bits', () => {
  const rows = 100_000
  const sums = Array.from({ length: rows }, (_, n) => putChecksum('todos', String(n), `16384:${n}`, 'h'))
  // By chance two of them are equal about once.
  expect(new Set(sums).size).toBeGreaterThan(rows - 10)
  for (let bit = 0; bit < 32; bit++) {
    const set = sums.filter((sum) => ((sum >>> bit) & 1) === 1).length
    expect(Math.abs(set - rows / 2), `bit ${bit}`).toBeLessThan(rows / 50)
  }
})

test('data that differs has another hash of 96 bits', () => {
  expect(dataHash('a')).toMatch(/^[0-9a-f]{24}$/)
  expect(dataHash('a')).not.toBe(dataHash('b'))
})
