import { expect, test } from 'vitest'

import { decodeUploadRequest } from './upload-request.ts'

const ENTRY = { op_id: 1, op: 'PUT', type: 'todos', id: 'a', data: { title: 'milk' } }

function decode(body: unknown, entriesMax = 100) {
  return decodeUploadRequest(JSON.stringify(body), entriesMax)
}

test('an upload is read with its transactions and entries', () => {
  expect(decode({ client_id: 'c', transactions: [{ tx_id: 7, crud: [ENTRY] }] })).toEqual({
    clientId: 'c',
    transactions: [{ txId: 7, entries: [{ opId: 1, op: 'PUT', type: 'todos', id: 'a', data: { title: 'milk' } }] }],
  })
})

test('a DELETE needs no data, and fields we do not know are passed over', () => {
  const entry = { op_id: 1, op: 'DELETE', type: 'todos', id: 'a', metadata: 'x' }
  const { transactions } = decode({ client_id: 'c', transactions: [{ tx_id: 1, crud: [entry] }], extra: 1 })
  expect(transactions[0]?.entries[0]?.data).toEqual({})
})

test('numbers that JavaScript cannot hold exactly keep their digits', () => {
  const body = `{"client_id":"c","transactions":[{"tx_id":1,"crud":[
    {"op_id":1,"op":"PUT","type":"t","id":"a","data":{"big":9007199254740993,"price":0.1000000000000000055}}]}]}`
  const [transaction] = decodeUploadRequest(body, 100).transactions
  expect(transaction?.entries[0]?.data).toEqual({ big: '9007199254740993', price: '0.1000000000000000055' })
})

test('every problem is named with its place', () => {
  const bad = { client_id: '', transactions: [{ tx_id: 'x', crud: [{ ...ENTRY, op: 'UPSERT', data: [] }] }] }
  expect(() => decode(bad)).toThrow(
    'Cannot read the upload: client_id: expected a text that is not empty, got ""; ' +
      'transactions[0].crud[0].op: expected PUT, PATCH or DELETE, got "UPSERT"; ' +
      'transactions[0].crud[0].data: expected an object, got []; ' +
      'transactions[0].tx_id: expected a whole number from 0, got "x"',
  )
})

test.each([
  ['no JSON', '{"client_id"', 'the body is not JSON'],
  ['no object', '[]', 'the body: expected an object, got []'],
  ['no body', '', 'the body is not JSON'],
])('a body that is %s is refused', (_name, body, message) => {
  expect(() => decodeUploadRequest(body, 100)).toThrow(message)
})

test('entries out of order are refused: they would hide writes behind the mark', () => {
  const crud = [
    { ...ENTRY, op_id: 2 },
    { ...ENTRY, op_id: 1 },
  ]
  expect(() => decode({ client_id: 'c', transactions: [{ tx_id: 1, crud }] })).toThrow('op_id 1 follows 2')
})

test('more entries than the limit are refused with both numbers', () => {
  const crud = [ENTRY, { ...ENTRY, op_id: 2 }]
  expect(() => decode({ client_id: 'c', transactions: [{ tx_id: 1, crud }] }, 1)).toThrow(
    expect.objectContaining({ code: 'request-too-large' }),
  )
})
