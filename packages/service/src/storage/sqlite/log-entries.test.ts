import { formatOperation, toChecksum, toOpId, type UnnumberedOperation } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { readEntries } from './log-entries.ts'
import { readRun, RunBuilder } from './run.ts'

const put = (type: string, id: string, subkey: string, data: string): UnnumberedOperation => {
  return { kind: 'put', checksum: toChecksum(data.length), type, id, subkey, data }
}

test('kind, id, checksum, row and target of each operation are read from a run', () => {
  const entries = entriesOf([
    [7, put('todos', 'T1', 's/1', '{}')],
    [123_456_789, { kind: 'move', checksum: toChecksum(4_294_967_295) }, 123_456_999],
    [123_456_790, { kind: 'remove', checksum: toChecksum(5), type: 'todos', id: 'T1', subkey: 's/1' }],
    [9_007_199_254_740_991, { kind: 'clear', checksum: toChecksum(0) }],
  ])
  expect(entries).toEqual([
    { kind: 'put', opId: 7, checksum: 2, row: entries[2]?.kind === 'remove' ? entries[2].row : '' },
    { kind: 'move', opId: 123_456_789, checksum: 4_294_967_295, target: 123_456_999 },
    { kind: 'remove', opId: 123_456_790, checksum: 5, row: expect.any(String) },
    { kind: 'clear', opId: 9_007_199_254_740_991, checksum: 0, target: 0 },
  ])
})

test('rows are told apart whatever characters their names have', () => {
  const names = [
    '',
    'a',
    '"',
    '\\',
    '\\"',
    'a","object_id":"b',
    'ü',
    '🛒',
    '\u2028',
    '\n',
    ',"subkey":"',
    '1,"checksum":5',
  ]
  const rows = names.flatMap((type) => names.flatMap((id) => names.map((subkey) => [type, id, subkey] as const)))
  const twice = [...rows, ...rows].map(([type, id, subkey], n) => [n + 1, put(type, id, subkey, id + subkey)] as const)
  const keys = entriesOf(twice).map((entry) => ('row' in entry ? entry.row : ''))
  expect(new Set(keys).size).toBe(rows.length)
  expect(keys.slice(rows.length)).toEqual(keys.slice(0, rows.length))
})

function entriesOf(operations: readonly (readonly [opId: number, UnnumberedOperation, target?: number])[]) {
  const builder = new RunBuilder()
  for (const [opId, operation, target] of operations) {
    builder.add(opId, operation.checksum, formatOperation(operation, toOpId(BigInt(opId)), 'ndjson'), target)
  }
  return readEntries(readRun(Uint8Array.from(builder.finish(1)), 0))
}
