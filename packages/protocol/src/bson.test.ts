import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBson, encodeBson } from './bson.ts'

describe('BSON', () => {
  test('keeps every JSON object', () => {
    const name = fc.string().filter((text) => !text.includes('\0'))
    const { object } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string({ unit: 'binary' }),
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value')),
        tie('object'),
      ),
      object: fc.dictionary(name, tie('value'), { noNullPrototype: true }),
    }))
    fc.assert(
      fc.property(object, (value) => {
        // As JSON does: it has no negative zero.
        const json = JSON.parse(JSON.stringify(value))
        expect(decodeBson(encodeBson(json))).toEqual(json)
      }),
    )
  })

  test('writes whole numbers of 32 bits as int32 and all others as double', () => {
    expect(hex(encodeBson({ a: -2147483648 }))).toBe('0c0000001061000000008000')
    expect(hex(encodeBson({ a: 4294967295 }))).toBe('100000000161000000e0ffffffef4100')
  })

  test('reads int64 as a number', () => {
    expect(decodeBson(fromHex('10000000 12 6100 cd89d1db00000000 00'))).toEqual({ a: 3687942605 })
    expect(decodeBson(fromHex('10000000 12 6100 ffffffffffff1f00 00'))).toEqual({ a: 9007199254740991 })
  })

  test('reads int64 as a bigint where a number would not be exact', () => {
    expect(decodeBson(fromHex('10000000 12 6100 0100000000002000 00'))).toEqual({ a: 9007199254740993n })
    expect(decodeBson(fromHex('10000000 12 6100 ffffffffffffdfff 00'))).toEqual({ a: -9007199254740993n })
  })

  test('passes over types that JSON does not have', () => {
    const elements = [
      '06 6100', // undefined
      '07 6200 000000000000000000000000', // object id
      '09 6300 0000000000000000', // date
      '05 6400 02000000 00 abcd', // binary
      '0b 6500 6100 6900', // regular expression
      '0d 6600 02000000 7800', // code
      '08 6700 01', // boolean
    ].map((element) => hex(fromHex(element)))
    const length = Buffer.alloc(4)
    length.writeInt32LE(elements.join('').length / 2 + 5)
    expect(decodeBson(fromHex(`${hex(length)}${elements.join('')}00`))).toEqual({
      a: null,
      b: null,
      c: null,
      d: null,
      e: null,
      f: null,
      g: true,
    })
  })

  test('a name of an object is a name and nothing else', () => {
    const value = decodeBson(encodeBson(JSON.parse('{"__proto__":{"a":1}}')))
    expect(Object.keys(value)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  test('refuses every truncation and survives every flipped byte with a plain refusal', () => {
    const bytes = encodeBson({ text: 'x', list: [1, 2.5, null, { deep: true }], more: 'äöü' })
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(bytes.subarray(0, length))).toBe('bad-bson')
    }
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const broken = bytes.slice()
        broken[at] = value
        expect(['bad-bson', 'none']).toContain(refusal(broken))
      }
    }
  })

  test('refuses a document nested so deeply that reading it could exhaust the stack', () => {
    let value: Parameters<typeof encodeBson>[0] = {}
    for (let depth = 0; depth < 500; depth++) value = { a: value }
    expect(refusal(encodeBson(value))).toBe('bad-bson')
  })
})

function refusal(bytes: Uint8Array): string {
  try {
    decodeBson(bytes)
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}
