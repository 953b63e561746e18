import { expect, test } from 'vitest'
import {
  type ChunkOutcome,
  continuesCopy,
  type CopyState,
  decodeCopy,
  encodeCopy,
  firstCopy,
  holdsCheckpoints,
  isRewritten,
  refreshCopy,
  stepCopy,
} from './copy-state.ts'

const table = { relationOid: 1, label: 'public.t', identityText: 'i', columnsText: 'c', rowsEstimated: 50 }
const fresh = firstCopy(table, false)

function chunk(overrides: Partial<ChunkOutcome> = {}): ChunkOutcome {
  return { rows: 10, bytes: 1_000, fileNode: 'f', pages: 100, part: 'p', firstPage: 0, endPage: 32, ...overrides }
}

test('a copy goes from chunk to chunk and ends with the one that reaches the end of the table', () => {
  const second = stepCopy(fresh, chunk(), ['p'])
  expect(second).toMatchObject({ isDone: false, nextPage: 32, part: 'p', fileNode: 'f', rowsCopied: 10 })
  expect(continuesCopy(second, chunk({ firstPage: 32 }))).toBe(true)
  expect(stepCopy(second, chunk({ firstPage: 32, endPage: undefined }), ['p'])).toMatchObject({
    isDone: true,
    rowsCopied: 20,
  })
})

test('every partition is copied, one after the other', () => {
  const second = stepCopy(fresh, chunk({ endPage: undefined }), ['p', 'q'])
  expect(second).toMatchObject({ isDone: false, part: 'q', nextPage: 0, fileNode: undefined })
  expect(stepCopy(second, chunk({ part: 'q', fileNode: 'g', endPage: undefined }), ['p', 'q']).isDone).toBe(true)
})

test('a chunk that does not follow is thrown away', () => {
  const second = stepCopy(fresh, chunk(), ['p'])
  expect(continuesCopy(second, chunk())).toBe(false)
  expect(continuesCopy(second, chunk({ firstPage: 64 }))).toBe(false)
  expect(continuesCopy({ ...second, waitsForRemoval: true }, chunk({ firstPage: 32 }))).toBe(false)
})

test('a table that was rewritten has other pages', () => {
  const second = stepCopy(fresh, chunk(), ['p'])
  expect(isRewritten(second, chunk({ firstPage: 32, fileNode: 'g' }))).toBe(true)
  expect(continuesCopy(second, chunk({ firstPage: 32, fileNode: 'g' }))).toBe(false)
})

test('chunks grow towards their size in bytes, step by step', () => {
  const small = stepCopy(fresh, chunk({ bytes: 1_000 }), ['p'])
  expect(small.pagesPerChunk).toBe(4 * fresh.pagesPerChunk)
  expect(stepCopy(fresh, chunk({ bytes: 320 * 1024 * 1024 }), ['p']).pagesPerChunk).toBe(1)
})

test('a pass in which rows stayed incomplete is followed by another', () => {
  const again = stepCopy({ ...fresh, needsAnotherPass: true }, chunk({ endPage: undefined }), ['p'])
  expect(again).toMatchObject({ isDone: false, part: undefined, nextPage: 0, isUntouched: false })
})

test('clients wait for first copies and for missing rows, not for a refresh', () => {
  const done: CopyState = { ...fresh, isDone: true }
  expect(holdsCheckpoints(fresh)).toBe(true)
  expect(holdsCheckpoints(done)).toBe(false)
  expect(holdsCheckpoints(refreshCopy(done, table, false))).toBe(false)
  expect(holdsCheckpoints(refreshCopy(done, table, true))).toBe(true)
  expect(holdsCheckpoints(refreshCopy(fresh, table, false))).toBe(true)
})

test('a copy is stored and read back as it was', () => {
  const state = stepCopy(fresh, chunk(), ['p'])
  expect(decodeCopy(encodeCopy(state))).toEqual(state)
  expect(decodeCopy({ ...encodeCopy(state), cursor: '{"version":0}' })).toBeUndefined()
})
