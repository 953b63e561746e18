import { BSON_TYPE } from './bson-type.ts'
import { HeadwaterError } from './errors.ts'
import type { RequestObject, RequestValue } from './request.ts'
import {
  elementTooLong,
  type LongArray,
  REQUEST_PART_BYTES,
  REQUEST_VALUE_BYTES_MAX,
  type RequestPart,
  restTooLong,
} from './request-parts.ts'

/** Deeper than any line or sensible request; keeps a hostile document from exhausting the stack. */
export const BSON_DEPTH_MAX = 64

/** int32 length and the final zero. */
const DOCUMENT_BYTES_MIN = 5

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes of the types that the protocol does not use, where fixed: they are passed over, so that newer documents can be read. */
const SKIPPED_FIXED: Readonly<Record<number, number>> = {
  0x06: 0, // undefined
  0x07: 12, // object id
  0x09: 8, // date
  0x11: 8, // timestamp
  0x13: 16, // decimal128
  0x7f: 0, // max key
  0xff: 0, // min key
}

/** Values that begin with their length: string, document, array, binary, code, symbol. */
const WITH_LENGTH: readonly number[] = [0x02, 0x03, 0x04, 0x05, 0x0d, 0x0e]

/** Reads BSON into JSON values, and bigints where a number would not be exact. Every length is checked against the document that contains it. */
export class BsonReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0
  /** Of a request in parts, what is in none of them. */
  #restBytes = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** The document that fills all bytes. */
  readWhole(): RequestObject {
    const value = Object.fromEntries(this.#readElements(this.#bytes.length, 0))
    this.#expectEnd()
    return value
  }

  /** The same of a sync request, whose long arrays come in parts and are empty in what is left. Throws `request-too-large`, too. */
  *readInParts(): Generator<RequestPart, RequestObject, undefined> {
    const rest = yield* this.#readDocumentInParts('', this.#bytes.length)
    this.#expectEnd()
    return rest
  }

  /** The request, or its `streams`. */
  *#readDocumentInParts(path: '' | 'streams.', endMax: number): Generator<RequestPart, RequestObject, undefined> {
    const depth = path === '' ? 0 : 1
    const fields: [string, RequestValue][] = []
    const end = this.#open(endMax)
    for (let from = this.#at, type = this.#readType(end); type !== 0; from = this.#at, type = this.#readType(end)) {
      const name = this.#readName(end)
      const place = path + name
      if (type === BSON_TYPE.array && (place === 'buckets' || place === 'streams.subscriptions')) {
        yield* this.#readParts(place, end, depth + 1)
        fields.push([name, []])
      } else if (type === BSON_TYPE.document && place === 'streams') {
        fields.push([name, yield* this.#readDocumentInParts('streams.', end)])
      } else {
        this.#restBytes += this.#at - from + this.#peekLength(type, end)
        if (this.#restBytes > REQUEST_VALUE_BYTES_MAX) throw restTooLong(name)
        fields.push([name, this.#readValue(type, end, depth)])
      }
    }
    this.#close(end)
    return Object.fromEntries(fields)
  }

  *#readParts(array: LongArray, endMax: number, depth: number): Generator<RequestPart, void, undefined> {
    let isFirst = true
    let elements: RequestValue[] = []
    const end = this.#open(endMax)
    let from = this.#at
    for (let type = this.#readType(end); type !== 0; type = this.#readType(end)) {
      this.#readName(end)
      if (this.#peekLength(type, end) > REQUEST_VALUE_BYTES_MAX) throw elementTooLong(array)
      elements.push(this.#readValue(type, end, depth))
      if (this.#at - from < REQUEST_PART_BYTES) continue
      yield { array, isFirst, elements, bytes: this.#at - from }
      isFirst = false
      elements = []
      from = this.#at
    }
    this.#close(end)
    yield { array, isFirst, elements, bytes: this.#at - from }
  }

  #readElements(endMax: number, depth: number): [string, RequestValue][] {
    if (depth > BSON_DEPTH_MAX) throw this.#bad(`nested deeper than ${BSON_DEPTH_MAX} levels`)
    const elements: [string, RequestValue][] = []
    const end = this.#open(endMax)
    for (let type = this.#readType(end); type !== 0; type = this.#readType(end)) {
      const name = this.#readName(end)
      elements.push([name, this.#readValue(type, end, depth)])
    }
    this.#close(end)
    return elements
  }

  /** Where the document ends that begins here. */
  #open(endMax: number): number {
    const start = this.#at
    this.#need(DOCUMENT_BYTES_MIN, endMax)
    const length = this.#view.getInt32(start, true)
    const end = start + length
    if (length < DOCUMENT_BYTES_MIN || end > endMax) throw this.#bad(`a document claims ${length} bytes`)
    this.#at += 4
    return end
  }

  #close(end: number): void {
    if (this.#at !== end) throw this.#bad('a document ends before its length is used up')
  }

  #expectEnd(): void {
    if (this.#at !== this.#bytes.length) throw this.#bad(`${this.#bytes.length - this.#at} bytes follow the document`)
  }

  /** Of the next element; 0 when there is none. */
  #readType(end: number): number {
    this.#need(1, end)
    return this.#bytes[this.#at++] ?? 0
  }

  /** How long a value of this type will be, which lies before `end`; 0 for those that are short. */
  #peekLength(type: number, end: number): number {
    if (!WITH_LENGTH.includes(type) || this.#at + 4 > end) return 0
    return Math.min(Math.max(this.#view.getInt32(this.#at, true), 0), end - this.#at)
  }

  #readValue(type: number, end: number, depth: number): RequestValue {
    switch (type) {
      case BSON_TYPE.double:
        return this.#view.getFloat64(this.#take(8, end), true)
      case BSON_TYPE.string:
        return this.#readText(end)
      case BSON_TYPE.document:
        return Object.fromEntries(this.#readElements(end, depth + 1))
      case BSON_TYPE.array:
        return this.#readElements(end, depth + 1).map(([, value]) => value)
      case BSON_TYPE.boolean:
        return this.#bytes[this.#take(1, end)] !== 0
      case BSON_TYPE.null:
        return null
      case BSON_TYPE.int32:
        return this.#view.getInt32(this.#take(4, end), true)
      case BSON_TYPE.int64:
        return exact(this.#view.getBigInt64(this.#take(8, end), true))
      default:
        this.#skip(type, end)
        return null
    }
  }

  #skip(type: number, end: number): void {
    const fixed = SKIPPED_FIXED[type]
    if (fixed !== undefined) {
      this.#take(fixed, end)
    } else if (type === 0x05) {
      // binary: length, one byte of subtype, bytes
      this.#take(this.#readLength(end) + 1, end)
    } else if (type === 0x0b) {
      // regular expression: pattern and options
      this.#readName(end)
      this.#readName(end)
    } else if (type === 0x0d || type === 0x0e) {
      // code, symbol
      this.#readText(end)
    } else {
      throw this.#bad(`unknown element type 0x${type.toString(16)}`)
    }
  }

  #readName(end: number): string {
    const start = this.#at
    const zeroAt = this.#bytes.indexOf(0, start)
    if (zeroAt === -1 || zeroAt >= end) throw this.#bad('a name has no end')
    this.#at = zeroAt + 1
    return this.#decode(start, zeroAt)
  }

  #readText(end: number): string {
    const length = this.#readLength(end)
    if (length < 1) throw this.#bad('a string has no room for its final zero')
    const start = this.#take(length, end)
    if (this.#bytes[start + length - 1] !== 0) throw this.#bad('a string does not end with zero')
    return this.#decode(start, start + length - 1)
  }

  #readLength(end: number): number {
    const length = this.#view.getInt32(this.#take(4, end), true)
    if (length < 0) throw this.#bad(`a value claims ${length} bytes`)
    return length
  }

  #decode(start: number, end: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(start, end))
    } catch (cause) {
      throw new HeadwaterError('bad-bson', `Cannot read BSON: text at byte ${start} is not UTF-8`, { cause })
    }
  }

  /** Moves past `length` bytes and returns where they start. */
  #take(length: number, end: number): number {
    this.#need(length, end)
    const start = this.#at
    this.#at += length
    return start
  }

  #need(length: number, end: number): void {
    if (this.#at + length > end) throw this.#bad(`expected ${length} more bytes`)
  }

  #bad(problem: string): HeadwaterError {
    return new HeadwaterError('bad-bson', `Cannot read BSON: ${problem} at byte ${this.#at} of ${this.#bytes.length}`)
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
