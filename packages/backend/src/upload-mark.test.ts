import { expect, test } from 'vitest'

import { fingerprintOf, findPending, LATE_REQUEST_MS } from './upload-mark.ts'
import type { UploadEntry } from './upload-request.ts'

const NEVER_SEEN = { lastOpId: -1, ageMs: 0 }

function put(opId: number, title = 'milk'): UploadEntry {
  return { opId, op: 'PUT', type: 'todos', id: `row-${opId}`, data: { title } }
}

function settled(...entries: UploadEntry[]) {
  return entries.map((entry) => ({ opId: entry.opId, fingerprint: fingerprintOf(entry), rejection: undefined }))
}

test('everything of a client never seen before has to be applied', () => {
  expect(findPending(NEVER_SEEN, [], [put(1), put(2)])).toEqual([put(1), put(2)])
})

test('nothing has to be applied of an upload that is sent again, however late', () => {
  const mark = { lastOpId: 2, ageMs: 10 * LATE_REQUEST_MS }
  expect(findPending(mark, settled(put(1), put(2)), [put(1), put(2)])).toEqual([])
})

test('only what is new has to be applied when an upload sent again has grown', () => {
  const mark = { lastOpId: 2, ageMs: 0 }
  expect(findPending(mark, settled(put(1), put(2)), [put(1), put(2), put(3)])).toEqual([put(3)])
})

test('a position used before with other content is new, as a device restored from a backup sends it', () => {
  const mark = { lastOpId: 2, ageMs: 0 }
  expect(findPending(mark, settled(put(1), put(2)), [put(2, 'bread')])).toEqual([put(2, 'bread')])
})

test('a forgotten position is asked for again while a stuck request could still arrive, and is new after that', () => {
  expect(findPending({ lastOpId: 2, ageMs: 0 }, settled(put(2)), [put(1)])).toBe('ask-again')
  expect(findPending({ lastOpId: 2, ageMs: LATE_REQUEST_MS }, settled(put(2)), [put(1)])).toEqual([put(1)])
})

test('what an older life of a restored device left above the mark does not hide new writes', () => {
  const mark = { lastOpId: 2, ageMs: 0 }
  expect(findPending(mark, settled(put(3)), [put(3)])).toEqual([put(3)])
})
