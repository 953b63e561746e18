import { expect, test } from 'vitest'
import {
  CONFORMANCE_LISTS,
  type ConformanceList,
  countItems,
  describeCount,
  itemsOf,
  titlePattern,
} from './conformance-count.ts'

const INSIDE = 'packages/sync-config/src/a.test.ts'
const OUTSIDE = 'packages/service/src/a.test.ts'

test('a title names items of a list in one form inside its own folder and in another elsewhere', () => {
  const list = listOf('sync-config')
  expect(itemsOf(list, { file: INSIDE, title: '[1] a' })).toEqual([1])
  expect(itemsOf(list, { file: INSIDE, title: '[1, 12, 144] a' })).toEqual([1, 12, 144])
  expect(itemsOf(list, { file: OUTSIDE, title: '[sync-config 7, 9] a' })).toEqual([7, 9])
  expect(itemsOf(list, { file: OUTSIDE, title: '[7] a' })).toEqual([])
  expect(itemsOf(list, { file: OUTSIDE, title: '[protocol 7] a' })).toEqual([])
  expect(itemsOf(list, { file: INSIDE, title: '[sync-config 7] a' })).toEqual([])
  for (const title of ['a [1] b', '[1]', '[x] a', '[1,2] a', 'a']) {
    expect(itemsOf(list, { file: INSIDE, title })).toEqual([])
  }
  expect(titlePattern(list).test('group [1, 2] a')).toBe(true)
  expect(titlePattern(list).test('group [protocol 1, 2] a')).toBe(false)
})

test('a list without a folder of its own is named in every title', () => {
  const list = listOf('protocol')
  expect(itemsOf(list, { file: OUTSIDE, title: '[protocol 79, 80] a' })).toEqual([79, 80])
  for (const title of ['[79] a', '[sync-config 79] a']) expect(itemsOf(list, { file: OUTSIDE, title })).toEqual([])
  expect(titlePattern(list).test('group [protocol 1, 2] a')).toBe(true)
  expect(titlePattern(list).test('group [1, 2] a')).toBe(false)
})

test('an item passes when a test names it and none that names it fails', () => {
  const list = { ...listOf('sync-config'), itemsCount: 3 }
  const count = countItems(
    [
      { file: INSIDE, title: '[1] a', hasPassed: true },
      { file: INSIDE, title: '[1, 2] b', hasPassed: true },
      { file: OUTSIDE, title: '[sync-config 2] c', hasPassed: false },
    ],
    list,
  )
  expect(count).toEqual({ passed: [1], failed: [{ item: 2, titles: ['[sync-config 2] c'] }], missing: [3] })
  expect(describeCount(count, list)).toBe(
    'item 2 failed:\n    [sync-config 2] c\nno test ran for: 3\nfailed: 2\npassed 1 of 3',
  )
})

function listOf(name: string): ConformanceList {
  const list = CONFORMANCE_LISTS.find((candidate) => candidate.name === name)
  if (list === undefined) throw new Error(`no list ${name}`)
  return list
}
