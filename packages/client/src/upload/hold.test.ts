import { describe, expect, test } from 'vitest'
import { awaitedNumber, countsAnew, mayAdopt, mayPublish, needsWriteCheckpoint, TARGET_UNKNOWN } from './hold.ts'

describe('downloaded data may be shown', () => {
  const free = { writesPending: false, target: undefined, seen: undefined }

  test('when nothing was ever written here', () => {
    expect(mayPublish(free, undefined)).toBe(true)
  })
  test('not while writes wait for their upload', () => {
    expect(mayPublish({ ...free, writesPending: true }, undefined)).toBe(false)
    expect(mayPublish({ ...free, writesPending: true }, 1)).toBe(false)
  })
  test('not before the write checkpoint of the writes is known', () => {
    expect(mayPublish({ ...free, target: TARGET_UNKNOWN, seen: 99n }, undefined)).toBe(false)
  })
  test('once the write checkpoint has come, not before', () => {
    expect(mayPublish({ ...free, target: 3n }, undefined)).toBe(false)
    expect(mayPublish({ ...free, target: 3n, seen: 2n }, undefined)).toBe(false)
    expect(mayPublish({ ...free, target: 3n, seen: 3n }, undefined)).toBe(true)
    expect(mayPublish({ ...free, target: 3n, seen: 4n }, 2)).toBe(true)
  })
  test('at priority 0 whatever is pending', () => {
    expect(mayPublish({ writesPending: true, target: TARGET_UNKNOWN, seen: undefined }, 0)).toBe(true)
  })
})

describe('a write checkpoint', () => {
  const drained = { head: undefined, target: TARGET_UNKNOWN, seen: undefined, lastQueued: 5n, asked: 2n }

  test('is asked for once the queue is empty, if none is known', () => {
    expect(needsWriteCheckpoint(drained)).toBe(true)
    expect(needsWriteCheckpoint({ ...drained, head: 6n })).toBe(false)
    expect(needsWriteCheckpoint({ ...drained, target: 5n })).toBe(false)
    expect(needsWriteCheckpoint({ ...drained, target: undefined })).toBe(false)
  })
  test('does not count when something was written meanwhile, even if that is uploaded already', () => {
    expect(mayAdopt(drained, drained)).toBe(true)
    expect(mayAdopt(drained, { ...drained, head: 6n, lastQueued: 6n })).toBe(false)
    expect(mayAdopt(drained, { ...drained, lastQueued: 6n })).toBe(false)
  })
  test('is awaited from the time it is the target until it is announced', () => {
    expect(awaitedNumber(drained)).toBeUndefined()
    expect(awaitedNumber({ ...drained, target: 2n })).toBe(2n)
    expect(awaitedNumber({ ...drained, target: 2n, seen: 1n })).toBe(2n)
    expect(awaitedNumber({ ...drained, target: 2n, seen: 2n })).toBeUndefined()
  })
  test('that the backend chose is none of the service, which must not be asked to note it', () => {
    expect(awaitedNumber({ ...drained, target: 7n, asked: undefined })).toBeUndefined()
    expect(awaitedNumber({ ...drained, target: undefined, asked: undefined })).toBeUndefined()
  })
  test('that is no greater than one before comes from a service that counts anew', () => {
    expect(countsAnew({ ...drained, asked: 2n, seen: 1n }, 3n)).toBe(false)
    expect(countsAnew({ ...drained, asked: 2n, seen: 1n }, 2n)).toBe(true)
    expect(countsAnew({ ...drained, asked: undefined, seen: 9n }, 1n)).toBe(true)
    expect(countsAnew({ ...drained, asked: undefined }, 1n)).toBe(false)
  })
})
