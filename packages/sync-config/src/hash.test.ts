import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { sha256Hex } from './hash.ts'

test('the hash is SHA-256 of the UTF-8 text, at every length around a block', () => {
  for (let length = 0; length < 200; length++) {
    const text = 'é'.repeat(length % 7) + 'a'.repeat(length)
    expect(sha256Hex(text)).toBe(createHash('sha256').update(text).digest('hex'))
  }
})
