import type { SqliteValue } from '../types.ts'
import { decodeHex } from '../values/hex.ts'
import { EvaluationError, kindOfValue, valueToText } from '../values/value.ts'
import { bytesOf, castInteger } from './casts.ts'
import type { ScalarFunction } from './functions.ts'

export const upper: ScalarFunction = (x = null) => (x === null ? null : valueToText(x).toUpperCase())

export const lower: ScalarFunction = (x = null) => (x === null ? null : valueToText(x).toLowerCase())

/** Bytes of a blob, UTF-16 units of anything else. */
export const length: ScalarFunction = (x = null) => {
  if (x === null) return null
  return BigInt(x instanceof Uint8Array ? x.length : valueToText(x).length)
}

/**
 * Counted from 1, or from the end where `start` is negative; a start before the text takes nothing from the length. From
 * 0 a given length is one less. A negative length takes what stands before the start.
 */
export const substring: ScalarFunction = (x = null, start = null, length) => {
  const from = toOffset(start)
  const taken = length === undefined ? Infinity : toOffset(length)
  if (x === null || from === null || taken === null) return null
  const text = valueToText(x)
  const begin = from > 0 ? from - 1 : from < 0 ? Math.max(0, text.length + from) : 0
  if (taken < 0) return text.slice(Math.max(0, begin + taken), begin)
  return text.slice(begin, begin + (from === 0 ? Math.max(0, taken - 1) : taken))
}

/** Far outside any text. */
const OFFSET_MAX = 2n ** 40n

function toOffset(value: SqliteValue): number | null {
  const integer = castInteger(value)
  if (integer === null) return null
  if (integer > OFFSET_MAX) return Number(OFFSET_MAX)
  return Number(integer < -OFFSET_MAX ? -OFFSET_MAX : integer)
}

/** Where `y` begins in `x`, from 1; 0 if it does not occur. Of two blobs in bytes, else in UTF-16 units of the texts. */
export const instr: ScalarFunction = (x = null, y = null) => {
  if (x === null || y === null) return null
  if (x instanceof Uint8Array && y instanceof Uint8Array) return BigInt(BYTES.decode(x).indexOf(BYTES.decode(y)) + 1)
  return BigInt(valueToText(x).indexOf(valueToText(y)) + 1)
}

/** Makes text with one unit per byte, no two bytes alike, which is quick to search. */
const BYTES = new TextDecoder('windows-1252')

export const concatenate: ScalarFunction = (a = null, b = null) =>
  a === null || b === null ? null : valueToText(a) + valueToText(b)

export const hex: ScalarFunction = (x = null) => {
  const bytes = bytesOf(x)
  const out = new Uint8Array(bytes.length * 2)
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    out[at * 2] = HEX.charCodeAt(byte >> 4)
    out[at * 2 + 1] = HEX.charCodeAt(byte & 15)
  }
  return ASCII.decode(out)
}

const ASCII = new TextDecoder()
const HEX = '0123456789ABCDEF'
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

export const base64: ScalarFunction = (x = null) => {
  const bytes = bytesOf(x)
  // Where nothing is written it stays the padding.
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill('='.charCodeAt(0))
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    const group = ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0)
    out[to] = BASE64.charCodeAt(group >> 18)
    out[to + 1] = BASE64.charCodeAt((group >> 12) & 63)
    if (from + 1 < bytes.length) out[to + 2] = BASE64.charCodeAt((group >> 6) & 63)
    if (from + 2 < bytes.length) out[to + 3] = BASE64.charCodeAt(group & 63)
  }
  return ASCII.decode(out)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i
const NIL_UUID = '00000000-0000-0000-0000-000000000000'

/** The 16 bytes of a UUID; of the versions and the variant that RFC 9562 describes, or all zeros. */
export const uuidBlob: ScalarFunction = (x = null) => {
  if (x === null) return null
  const text = valueToText(x)
  if (!UUID.test(text) && text !== NIL_UUID)
    throw new EvaluationError('Cannot read a UUID: expected 32 hexadecimal digits in five groups')
  return decodeHex(text.replaceAll('-', ''))
}

export const typeOf: ScalarFunction = (x = null) => kindOfValue(x)
