import { expect, test } from 'vitest'
import { isVisible, parseVisibility, widenXid } from './visibility.ts'

test('a transaction is visible when it was over before the snapshot', () => {
  const visibility = parseVisibility('10:20:12,15')
  expect([9, 10, 11, 13, 19].every((xid) => isVisible(visibility, xid))).toBe(true)
  expect([12, 15, 20, 25].some((xid) => isVisible(visibility, xid))).toBe(false)
})

test('a transaction that the log delivered before others could see it is not visible', () => {
  // Seen with a standby that did not answer: the log had delivered 1253.
  expect(isVisible(parseVisibility('1253:1253:'), 1253)).toBe(false)
})

test('ids of 32 bits are compared across the wrap', () => {
  const epoch = 3n << 32n
  expect(widenXid(5, epoch + 10n)).toBe(epoch + 5n)
  expect(widenXid(0xffff_fff0, epoch + 10n)).toBe(epoch - 16n)
  expect(widenXid(7, epoch - 3n)).toBe(epoch + 7n)
  expect(widenXid(3, 10n)).toBe(3n)
  const visibility = parseVisibility(`${epoch + 2n}:${epoch + 4n}:${epoch + 3n}`)
  expect(isVisible(visibility, 0xffff_ffff)).toBe(true)
  expect(isVisible(visibility, 3)).toBe(false)
  expect(isVisible(visibility, 4)).toBe(false)
})
