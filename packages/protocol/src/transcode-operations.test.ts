import {
  type Arbitrary,
  array,
  assert,
  bigInt,
  constant,
  integer,
  json,
  oneof,
  property,
  record,
  string,
} from 'fast-check'
import { expect, test } from 'vitest'
import { encodeOperation, formatOperation } from './encode-operation.ts'
import { toChecksum } from './checksum.ts'
import { encodeBsonElements } from './encode-data-line.ts'
import { escapeLineEnds } from './ndjson.ts'
import { OP_ID_MAX, toOpId } from './op-id.ts'
import type { Operation } from './operation.ts'
import { documentsOf, transcodeToBson } from './transcode-operations.ts'

test('operations of every kind become the documents that encoding them would give', () => {
  assert(
    property(array(operations()), (written) => {
      expect(read(transcodeToBson(stored(written)))).toEqual(
        written.map((operation) => Buffer.from(encodeOperation(operation, 'bson'))),
      )
    }),
  )
})

test('each document has its place in the array as a key', () => {
  const written = Array.from({ length: 1_101 }, (_, n) => put({ id: String(n) }))
  const elements = transcodeToBson(stored(written))
  const documents = written.map((operation) => encodeOperation(operation, 'bson'))
  expect(Buffer.from(elements.bytes).equals(encodeBsonElements(documents, 0))).toBe(true)
  expect(documentsOf(elements, 99, 1_001)).toEqual(documents.slice(99, 1_001))
})

test('every character arrives, alone and after others', () => {
  for (let code = 0; code <= 0xffff; code += code < 0x3000 ? 1 : 97) {
    const char = String.fromCharCode(code)
    const operation = put({ id: char, data: `{"a":"b${char}${char}c"}` })
    const [document] = read(transcodeToBson(stored([operation])))
    expect(document?.equals(encodeOperation(operation, 'bson')), `U+${code.toString(16)}`).toBe(true)
  }
})

test('checksums on both sides of 31 bits arrive', () => {
  const operations = [0, 1, 2_147_483_647, 2_147_483_648, 4_294_967_295].map((checksum) =>
    put({ checksum: toChecksum(checksum) }),
  )
  expect(read(transcodeToBson(stored(operations)))).toEqual(
    operations.map((operation) => Buffer.from(encodeOperation(operation, 'bson'))),
  )
})

test('bytes that are no whole operation are refused', () => {
  const { bytes } = stored([put({})])
  for (let length = 1; length < bytes.length; length++) {
    const cut = { bytes: bytes.subarray(0, length), ends: Uint32Array.of(length) }
    expect(() => transcodeToBson(cut), `${length} of ${bytes.length} bytes`).toThrow(RangeError)
  }
})

function put(values: Partial<Extract<Operation, { kind: 'put' }>>): Operation {
  const usual = { checksum: toChecksum(1), opId: toOpId(1n), type: 'todos', id: '1', subkey: '1:1', data: '{}' }
  return { kind: 'put', ...usual, ...values }
}

function operations(): Arbitrary<Operation> {
  const text = string({ unit: 'binary' })
  const numbers = {
    opId: bigInt({ min: 0n, max: OP_ID_MAX }).map(toOpId),
    checksum: integer({ min: 0, max: 0xffff_ffff }).map(toChecksum),
  }
  const row = { ...numbers, type: text, id: text, subkey: text }
  return oneof(
    record({ ...row, kind: constant('put' as const), data: oneof(text, json()) }),
    record({ ...row, kind: constant('remove' as const) }),
    record({ ...numbers, kind: constant('move' as const) }),
    record({ ...numbers, kind: constant('clear' as const) }),
  )
}

/** As storage keeps them. */
function stored(operations: readonly Operation[]) {
  const bytes = operations.map((operation) =>
    Buffer.from(`${escapeLineEnds(formatOperation(operation, operation.opId, 'ndjson'))},`),
  )
  let end = 0
  return { bytes: Buffer.concat(bytes), ends: Uint32Array.from(bytes, ({ length }) => (end += length)) }
}

function read(elements: ReturnType<typeof transcodeToBson>): Buffer[] {
  return documentsOf(elements, 0, elements.ends.length).map((document) => Buffer.from(document))
}
