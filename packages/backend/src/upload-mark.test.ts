import { describe, expect, test } from 'vitest'

import { findPending, LATE_REQUEST_MS, moveMark } from './upload-mark.ts'
import type { UploadMark } from './upload-mark.ts'
import type { UploadEntry } from './upload-request.ts'

const EMPTY: UploadMark = { lastOpId: -1, recent: {}, rejections: [], ageMs: 0 }

function put(opId: number, title = 'milk'): UploadEntry {
  return { opId, op: 'PUT', type: 'todos', id: `row-${opId}`, data: { title } }
}

describe('what an upload has to apply', () => {
  test('everything of a client never seen before', () => {
    expect(findPending(EMPTY, [put(1), put(2)])).toEqual([put(1), put(2)])
  })

  test('nothing of an upload that is sent again, however late', () => {
    const mark = moveMark(EMPTY, [put(1), put(2)], [], 1)
    expect(findPending({ ...mark, ageMs: 10 * LATE_REQUEST_MS }, [put(1), put(2)])).toEqual([])
  })

  test('only what is new, when the upload sent again has grown', () => {
    const mark = moveMark(EMPTY, [put(1), put(2)], [], 1)
    expect(findPending(mark, [put(1), put(2), put(3)])).toEqual([put(3)])
  })

  test('a number used before with other content, as a device restored from a backup sends it', () => {
    const mark = moveMark(EMPTY, [put(1), put(2)], [], 1)
    expect(findPending(mark, [put(2, 'bread')])).toEqual([put(2, 'bread')])
  })

  test('a forgotten number is asked for again while a stuck request could still arrive, and is new after that', () => {
    const mark = moveMark(moveMark(EMPTY, [put(1)], [], 1), [put(2)], [], 2)

    expect(findPending(mark, [put(1)])).toBe('ask-again')
    expect(findPending({ ...mark, ageMs: LATE_REQUEST_MS }, [put(1)])).toEqual([put(1)])
  })
})

describe('the mark', () => {
  test('forgets what lies before the request, as the client has the answers', () => {
    const refusal = { opId: 1, code: 'refused-by-rule', message: 'no' } as const
    const first = moveMark(EMPTY, [put(1)], [refusal], 1)

    const second = moveMark(first, [put(2)], [], 2)

    expect(first.rejections).toEqual([refusal])
    expect(second).toMatchObject({ lastOpId: 2, rejections: [] })
    expect(Object.keys(second.recent)).toEqual(['2'])
  })

  test('keeps what earlier transactions of the same request settled', () => {
    const refusal = { opId: 1, code: 'refused-by-rule', message: 'no' } as const
    const mark = moveMark(moveMark(EMPTY, [put(1)], [refusal], 1), [put(2)], [], 1)

    expect(Object.keys(mark.recent)).toEqual(['1', '2'])
    expect(mark.rejections).toEqual([refusal])
  })
})
