import { expect, test } from 'vitest'
import { countItems, describeCount, itemsOf, TITLE_PATTERN } from './conformance-count.ts'

const INSIDE = 'packages/sync-config/src/a.test.ts'
const OUTSIDE = 'packages/service/src/a.test.ts'

test('a title names items in one form inside the package and in another elsewhere', () => {
  expect(itemsOf({ file: INSIDE, title: '[1] a' })).toEqual([1])
  expect(itemsOf({ file: INSIDE, title: '[1, 12, 144] a' })).toEqual([1, 12, 144])
  expect(itemsOf({ file: OUTSIDE, title: '[sync-config 7, 9] a' })).toEqual([7, 9])
  expect(itemsOf({ file: OUTSIDE, title: '[7] a' })).toEqual([])
  expect(itemsOf({ file: INSIDE, title: '[sync-config 7] a' })).toEqual([])
  for (const title of ['a [1] b', '[1]', '[x] a', '[1,2] a', 'a']) expect(itemsOf({ file: INSIDE, title })).toEqual([])
  expect(TITLE_PATTERN.test('group [1, 2] a')).toBe(true)
})

test('an item passes when a test names it and none that names it fails', () => {
  const count = countItems(
    [
      { file: INSIDE, title: '[1] a', hasPassed: true },
      { file: INSIDE, title: '[1, 2] b', hasPassed: true },
      { file: OUTSIDE, title: '[sync-config 2] c', hasPassed: false },
    ],
    3,
  )
  expect(count).toEqual({ passed: [1], failed: [{ item: 2, titles: ['[sync-config 2] c'] }], missing: [3] })
  expect(describeCount(count, 3)).toBe(
    'item 2 failed:\n    [sync-config 2] c\nno test ran for: 3\nfailed: 2\npassed 1 of 3',
  )
})
