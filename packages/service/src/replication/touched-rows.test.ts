import { expect, test } from 'vitest'
import type { RowKey } from '../storage/delta.ts'
import { createTouchedRows } from './touched-rows.ts'
import { parseVisibility } from './visibility.ts'

const key = (text: string): RowKey => text as RowKey
const sees20 = parseVisibility('20:20:')

test('a row is newer than a snapshot that cannot see its last change', () => {
  const touched = createTouchedRows()
  touched.touch(key('a'), 19)
  touched.touch(key('b'), 19)
  touched.touch(key('b'), 20)
  expect(touched.isNewer(key('a'), sees20)).toBe(false)
  expect(touched.isNewer(key('b'), sees20)).toBe(true)
  expect(touched.isNewer(key('c'), sees20)).toBe(false)
})

test('what a snapshot could see is forgotten, the rest is kept', () => {
  const touched = createTouchedRows()
  touched.touch(key('a'), 19)
  touched.touch(key('b'), 21)
  touched.forget(sees20)
  const older = parseVisibility('15:15:')
  expect(touched.isNewer(key('a'), older)).toBe(false)
  expect(touched.isNewer(key('b'), older)).toBe(true)
})

test('nothing read before a truncation counts', () => {
  const touched = createTouchedRows()
  touched.touchAll(20)
  expect(touched.mayUse(sees20)).toBe(false)
  expect(touched.mayUse(parseVisibility('21:21:'))).toBe(true)
})

test('when too many rows are touched, what was read before is not used at all', () => {
  const touched = createTouchedRows(2)
  for (const name of ['a', 'b', 'c']) touched.touch(key(name), 20)
  expect(touched.mayUse(sees20)).toBe(false)
  touched.forget(parseVisibility('21:21:'))
  expect(touched.mayUse(sees20)).toBe(true)
})

test('what cannot see how removed rows were touched is not used at all', () => {
  const touched = createTouchedRows()
  touched.touch(key('a'), 20)
  touched.requireAll()
  expect(touched.mayUse(sees20)).toBe(false)
  expect(touched.mayUse(parseVisibility('21:21:'))).toBe(true)
})
