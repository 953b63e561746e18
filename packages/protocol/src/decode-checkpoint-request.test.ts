import { expect, test } from 'vitest'
import { decodeCheckpointRequest } from './decode-checkpoint-request.ts'
import { writeCheckpointKey } from './write-checkpoint-key.ts'

test.each([
  ['1', 1n],
  ['9223372036854775807', 9_223_372_036_854_775_807n],
  [1, 1n],
  [9_007_199_254_740_991, 9_007_199_254_740_991n],
])('[protocol 78] the number of a checkpoint request may be %j', (given, number) => {
  const request = decodeCheckpointRequest({ client_id: 'c-01', checkpoint_request_id: given, later: true })
  expect(request).toEqual({ clientId: 'c-01', number })
})

test.each([
  ['0'],
  [0],
  ['-1'],
  [-1],
  ['9223372036854775808'],
  [1.5],
  ['1.0'],
  ['x'],
  [''],
  [null],
  [undefined],
  [true],
])('[protocol 78] the number of a checkpoint request may not be %j', (given) => {
  const fields = given === undefined ? {} : { checkpoint_request_id: given }
  expect(() => decodeCheckpointRequest({ client_id: 'c-01', ...fields })).toThrow('checkpoint_request_id: expected')
})

test('a checkpoint request needs the name of its client, of a thousand characters at most', () => {
  for (const client_id of [undefined, null, 5, 'c'.repeat(1_001)]) {
    const fields = client_id === undefined ? {} : { client_id }
    expect(() => decodeCheckpointRequest({ ...fields, checkpoint_request_id: 1 })).toThrow('client_id: expected')
  }
})

test('[protocol 73] the key is the user, or the user and the client, and no two pairs have the same', () => {
  expect(writeCheckpointKey('u1', undefined)).toBe('u1')
  expect(writeCheckpointKey('u1', 'c-01')).toBe('u1/c-01')
  const pairs = [['a/b'], ['a', 'b'], ['a%2Fb'], ['a/b', 'c'], ['a', 'b/c'], [''], ['', ''], ['%']] as const
  const keys = pairs.map(([userId, clientId]) => writeCheckpointKey(userId, clientId))
  expect(new Set(keys).size).toBe(pairs.length)
  expect(keys).not.toContain('')
})
