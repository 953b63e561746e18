import { toBucketName, toChecksum, toOpId, type Line, type Operation } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { applyRawLine, emptyRawStore, readRawRows, type RawStore } from './raw-store.ts'

test('puts of a completed checkpoint are the rows', () => {
  const store = follow([
    checkpoint(2, { b: 30 }),
    data('b', [put(1, 'a', 10, '{"v":1}'), put(2, 'c', 20, '{"v":2}')]),
    complete(2),
  ])

  expect(rowsOf(store)).toEqual({ t: { a: '{"v":1}', c: '{"v":2}' } })
  expect(store.completed?.lastOpId).toBe(2n)
})

test('a put supersedes the one before, a remove takes it away, and the sums still agree', () => {
  const store = follow([
    checkpoint(1, { b: 10 }),
    data('b', [put(1, 'a', 10, '{"v":1}')]),
    complete(1),
    checkpoint(3, { b: 10 + 4_000_000_000 + 7 }),
    data('b', [put(2, 'a', 4_000_000_000, '{"v":2}'), remove(3, 'a', 7)]),
    complete(3),
  ])

  expect(rowsOf(store)).toEqual({})
})

test('of two copies of a row in two buckets the newest counts', () => {
  const store = follow([
    checkpoint(2, { one: 1, two: 2 }),
    data('two', [put(2, 'a', 2, '{"v":"new"}')]),
    data('one', [put(1, 'a', 1, '{"v":"old"}')]),
    complete(2),
  ])

  expect(rowsOf(store)).toEqual({ t: { a: '{"v":"new"}' } })
})

test('a clear replaces everything before it', () => {
  const store = follow([
    checkpoint(1, { b: 10 }),
    data('b', [put(1, 'a', 10, '{}')]),
    complete(1),
    checkpoint(3, { b: 15 }),
    data('b', [{ kind: 'clear', opId: toOpId(2n), checksum: toChecksum(10) }, put(3, 'z', 5, '{}')]),
    complete(3),
  ])

  expect(rowsOf(store)).toEqual({ t: { z: '{}' } })
})

test.each<readonly [string, readonly Line[], string]>([
  ['a wrong sum', [checkpoint(1, { b: 11 }), data('b', [put(1, 'a', 10, '{}')]), complete(1)], 'checksum'],
  ['data that was not announced', [checkpoint(1, {}), data('b', [put(1, 'a', 10, '{}')])], 'not announced'],
  ['an operation above the checkpoint', [checkpoint(1, { b: 0 }), data('b', [put(2, 'a', 1, '{}')])], 'up to 1'],
  ['a checkpoint that goes back', [checkpoint(2, {}), checkpoint(1, {})], 'went back'],
  ['a completion of another checkpoint', [checkpoint(2, {}), complete(1)], 'is for 1'],
])('%s is refused', (_, lines, message) => {
  expect(() => follow(lines)).toThrow(message)
})

function follow(lines: readonly Line[]): RawStore {
  const store = emptyRawStore()
  for (const line of lines) applyRawLine(store, line)
  return store
}

function rowsOf(store: RawStore): Record<string, Record<string, string>> {
  return Object.fromEntries([...readRawRows(store)].map(([type, rows]) => [type, Object.fromEntries(rows)]))
}

function checkpoint(lastOpId: number, sums: Record<string, number>): Line {
  const buckets = Object.entries(sums).map(([bucket, sum]) => ({
    bucket: toBucketName(bucket),
    checksum: toChecksum(sum),
    count: 0,
    priority: 3,
    subscriptions: [],
  }))
  return {
    kind: 'checkpoint',
    checkpoint: { lastOpId: toOpId(BigInt(lastOpId)), writeCheckpoint: undefined, buckets, streams: [] },
  }
}

function data(bucket: string, operations: readonly Operation[]): Line {
  const ids = operations.map(({ opId }) => opId)
  return {
    kind: 'data',
    batch: {
      bucket: toBucketName(bucket),
      after: toOpId(0n),
      nextAfter: ids.at(-1) ?? toOpId(0n),
      hasMore: false,
      operations,
    },
  }
}

function put(opId: number, id: string, checksum: number, text: string): Operation {
  const row = { type: 't', id, subkey: id, data: text }
  return { kind: 'put', opId: toOpId(BigInt(opId)), checksum: toChecksum(checksum), ...row }
}

function remove(opId: number, id: string, checksum: number): Operation {
  const row = { type: 't', id, subkey: id }
  return { kind: 'remove', opId: toOpId(BigInt(opId)), checksum: toChecksum(checksum), ...row }
}

function complete(lastOpId: number): Line {
  return { kind: 'checkpoint-complete', lastOpId: toOpId(BigInt(lastOpId)) }
}
