import { toBucketName } from '@headwater/protocol'
import { expect, test } from 'vitest'
import type { RowKey, RowState } from '../delta.ts'
import { lookup } from '../example-data.contract.ts'
import { ByteWriter } from './bytes.ts'
import { decodeRowState, encodeRowState, type RowStateNames } from './row-state-codec.ts'

const KEY = '16384:6f9619ff-8b86-d011-b42d-00cf4fc964ff' as RowKey

test('a usual row state takes a few bytes', () => {
  const bytes = encode({
    memberships: [membership('6f9619ff-8b86-d011-b42d-00cf4fc964ff', '0123456789abcdef')],
    lookups: [],
    toasted: {},
  })
  expect(bytes.length).toBe(16)
})

test.each([
  ['an id that is not in the key', 'other', '00ff'],
  ['an empty id', '', '00ff'],
  ['an id beyond ASCII', 'zwölf 🛒', '00ff'],
  ['a hash in capitals', 'x', '00FF'],
  ['a hash of odd length', 'x', 'abc'],
  ['a hash in base 64', 'x', '+/Zz=='],
  ['an empty hash', 'x', ''],
])('%s comes back as it was', (_, id, dataHash) => {
  const state = {
    memberships: [membership(id, dataHash)],
    lookups: [lookup('k', '["v"]')],
    toasted: { body: 'x'.repeat(300), ünï: '' },
  }
  expect(decodeRowState(encode(state), KEY, names())).toEqual(state)
})

function membership(id: string, dataHash: string) {
  return { bucket: toBucketName('one'), type: 'todos', id, dataHash }
}

function encode(state: RowState): Uint8Array {
  const writer = new ByteWriter()
  encodeRowState(writer, KEY, state, names())
  return writer.copy()
}

function names(): RowStateNames {
  return {
    buckets: { idOf: () => 5, nameOf: () => toBucketName('one') },
    types: { idOf: () => 1, nameOf: () => 'todos' },
  }
}
