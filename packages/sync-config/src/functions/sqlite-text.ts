import type { SqliteValue } from '../types.ts'
import { printReal } from './sqlite-real-text.ts'

/** Text and bytes of values as SQLite has them: texts are UTF-8, and measured in code points. */

/** A byte order mark is a character like others. */
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true })
const ENCODER = new TextEncoder()

/** Bytes that are no text become U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  return DECODER.decode(bytes)
}

function encodeText(text: string): Uint8Array {
  return ENCODER.encode(text)
}

/** A real shows that it is one: `1.0`. */
export function textOf(value: Exclude<SqliteValue, null>): string {
  if (typeof value === 'number') return printReal(value)
  return value instanceof Uint8Array ? decodeText(value) : String(value)
}

export function bytesOf(value: Exclude<SqliteValue, null>): Uint8Array {
  return value instanceof Uint8Array ? value : encodeText(textOf(value))
}

/** Of text the code points before the first NUL; of everything else the bytes. */
export function lengthOf(value: Exclude<SqliteValue, null>): bigint {
  if (value instanceof Uint8Array) return BigInt(value.length)
  const text = textOf(value)
  const end = typeof value === 'string' ? text.indexOf('\0') : -1
  return BigInt(countPoints(end < 0 ? text : text.slice(0, end)))
}

const SURROGATE = /[\uD800-\uDFFF]/

function countPoints(text: string): number {
  return SURROGATE.test(text) ? Array.from(text).length : text.length
}

/** Order of the UTF-8 bytes, which is that of the code points. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index += 1) {
    const unit = a.charCodeAt(index)
    const other = b.charCodeAt(index)
    if (unit !== other) return pointOrder(unit) - pointOrder(other)
  }
  return a.length - b.length
}

/** Surrogates stand for points above all that need none. */
function pointOrder(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** From 1; 0 where there is none. Two blobs are searched by bytes, everything else as text. */
export function positionOf(value: Exclude<SqliteValue, null>, part: Exclude<SqliteValue, null>): bigint {
  if (value instanceof Uint8Array && part instanceof Uint8Array) return BigInt(findBytes(value, part) + 1)
  const text = textOf(value)
  const index = text.indexOf(textOf(part))
  return index < 0 ? 0n : BigInt(countPoints(text.slice(0, index)) + 1)
}

/** One character for every byte, another for each. */
const BYTES_AS_TEXT = new TextDecoder('latin1')

function findBytes(bytes: Uint8Array, part: Uint8Array): number {
  return BYTES_AS_TEXT.decode(bytes).indexOf(BYTES_AS_TEXT.decode(part))
}

/** The longest text or blob in SQLite: what is taken where nothing is said. */
const LENGTH_MAX = 1_000_000_000n

/** Of a blob bytes, of everything else code points up to the first NUL. NULL of an empty blob. */
export function substringOf(
  value: Exclude<SqliteValue, null>,
  start: bigint,
  count: bigint = LENGTH_MAX,
): string | Uint8Array | null {
  if (value instanceof Uint8Array) {
    if (value.length === 0) return null
    const [from, to] = substringRange(value.length, start, count)
    return value.slice(from, to)
  }
  const text = textOf(value)
  const nul = text.indexOf('\0')
  const visible = nul < 0 ? text : text.slice(0, nul)
  const points = SURROGATE.test(visible) ? Array.from(visible) : undefined
  const [from, to] = substringRange((points ?? visible).length, start, count)
  return points === undefined ? visible.slice(from, to) : points.slice(from, to).join('')
}

/**
 * What lies before the beginning counts, and is cut: so 0 is the place before the first, and -9 in a text of five leaves
 * four less. A negative count takes what is before the start.
 */
function substringRange(length: number, start: bigint, count: bigint): readonly [number, number] {
  const size = BigInt(length)
  let from = start > 0n ? start - 1n : start < 0n ? start + size : 0n
  let to = from + count
  if (start === 0n && count > 0n) to -= 1n
  if (to < from) [from, to] = [to, from]
  return [clamp(from, size), clamp(to, size)]
}

function clamp(place: bigint, size: bigint): number {
  if (place < 0n) return 0
  return Number(place > size ? size : place)
}
