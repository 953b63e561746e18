import { expect, test } from 'vitest'
import { createCopyTextSplitter } from './copy-text.ts'

/** Feeds the bytes in pieces of the given size. */
function split(text: string, pieceBytes: number): readonly (readonly (string | null)[])[] {
  const splitter = createCopyTextSplitter()
  const bytes = Buffer.from(text)
  const rows: (readonly (string | null)[])[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) rows.push(...splitter.push(bytes.subarray(at, at + pieceBytes)))
  return rows
}

test.each([1, 2, 3, 7, 1000])('rows come out whole, however the bytes are cut: every %i', (pieceBytes) => {
  const text = '1\thé\\nllo\t\\N\n2\t\t\\\\N\n3\ttab\\there\ta\\\\\\\\b\\r\n4\t😀\t\\b\\f\\v\n'
  expect(split(text, pieceBytes)).toEqual([
    ['1', 'hé\nllo', null],
    ['2', '', '\\N'],
    ['3', 'tab\there', 'a\\\\b\r'],
    ['4', '😀', '\b\f\v'],
  ])
})

test('a row of one empty text is a row', () => {
  expect(split('\n\n', 1000)).toEqual([[''], ['']])
})
