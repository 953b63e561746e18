import { expect, test } from 'vitest'
import { readAuthorization } from './authorization-header.ts'

test.each([
  ['Token abc.def', 'abc.def'],
  ['Bearer abc.def', 'abc.def'],
  [undefined, undefined],
  ['', undefined],
  ['abc.def', undefined],
  ['bearer abc', undefined],
  ['TOKEN abc', undefined],
  ['Basic abc', undefined],
  ['Bearer', undefined],
  ['Bearer ', undefined],
  ['Bearer  abc', undefined],
  ['Bearer a b', undefined],
])('the header %j holds the token %j', (header, token) => {
  expect(readAuthorization(header)).toBe(token)
})
