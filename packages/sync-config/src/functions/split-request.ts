import {
  elementTooLong,
  type LongArray,
  REQUEST_PART_BYTES,
  REQUEST_VALUE_BYTES_MAX,
  type RequestPart,
  restTooLong,
} from '@headwater/protocol'
import type { RequestValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { parseRequestJson } from './request-json.ts'

const [QUOTE, COMMA, COLON, BACKSLASH] = [34, 44, 58, 92]
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125]

/** 1 for the bytes that structure is made of. In UTF-8 they are part of no other character. */
const IS_MARK = new Uint8Array(256)
for (const mark of [QUOTE, COMMA, COLON, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT]) IS_MARK[mark] = 1

/** A document may begin with a byte order mark, and nothing else may. */
const utf8 = new TextDecoder('utf-8')
const utf8Within = new TextDecoder('utf-8', { ignoreBOM: true })

/** `depth`: how many arrays and objects are open between its elements. */
type OpenArray = { readonly name: LongArray; readonly depth: number; isFirst: boolean }

/** From the first byte to the one after the last. */
type Place = { readonly from: number; readonly to: number }

/**
 * Takes the elements of long arrays out of the JSON of a sync request, while its bytes come in. What is left, the rest,
 * is JSON with empty arrays in their places:
 *
 *     {"client_id":"c","buckets":[{"name":"a","after":"1"},{"name":"b","after":"2"}],"raw_data":true}
 *     ─────────── rest ──────────│──────────────────── parts ──────────────────────│───── rest ──────
 *
 * Here only strings, brackets, commas and colons are looked at. Where the whole is malformed a part is or the rest, and
 * who reads them finds it.
 */
export class RequestSplitter {
  readonly #rest = new ByteList()
  readonly #part = new ByteList()
  /** The long array that is being read. */
  #array: OpenArray | undefined
  /** How many arrays and objects are open. */
  #depth = 0
  /** The last keys of the first two levels, by level: their places in the rest. */
  #keys: readonly (Place | undefined)[] = []
  /** The last string, with its quotes, in all bytes. */
  #stringFrom = 0
  #stringTo = 0
  #isInString = false
  #isEscaped = false
  #bytesBefore = 0
  /** All that is not in the rest. */
  #bytesTaken = 0
  /** The first byte of the chunk that is neither in the rest nor in a part yet. */
  #from = 0

  /** What is left when there are no more bytes. Throws `EvaluationError` for what is not JSON. */
  end(): RequestValue {
    return parseRequestJson(utf8.decode(this.#rest.bytes(0, this.#rest.length)))
  }

  /** Takes the next bytes. Throws `EvaluationError` for what is not JSON, and `request-too-large`. */
  *split(chunk: Uint8Array): Generator<RequestPart, void, undefined> {
    this.#from = 0
    for (let at = this.#findMark(chunk, 0); at < chunk.length; at = this.#findMark(chunk, at + 1)) {
      const mark = chunk[at]
      const array = this.#array?.depth === this.#depth ? this.#array : undefined
      if (mark === COLON) this.#noteKey()
      else if (mark === OPEN_ARRAY || mark === OPEN_OBJECT) this.#open(chunk, at)
      else if (mark !== COMMA) {
        if (array !== undefined) {
          this.#keep(chunk, at)
          yield this.#takePart(array, true)
          this.#array = undefined
        }
        this.#depth -= 1
      } else if (array !== undefined && this.#part.length + at - this.#from >= REQUEST_PART_BYTES) {
        this.#keep(chunk, at)
        yield this.#takePart(array, false)
        this.#from += 1
        this.#bytesTaken += 1
      }
    }
    this.#keep(chunk, chunk.length)
    this.#bytesBefore += chunk.length
  }

  #open(chunk: Uint8Array, at: number): void {
    const array = chunk[at] === OPEN_ARRAY ? this.#findLongArray(chunk, at) : undefined
    this.#depth += 1
    if (this.#depth === 2) this.#keys = this.#keys.slice(0, 2)
    if (array === undefined) return
    this.#keep(chunk, at + 1)
    this.#array = { name: array, depth: this.#depth, isFirst: true }
  }

  #takePart(array: OpenArray, isLast: boolean): RequestPart {
    const { name, isFirst } = array
    const bytes = this.#part.length
    const elements = parseRequestJson(`[${utf8Within.decode(this.#part.bytes(0, bytes))}]`)
    if (!isArray(elements) || (elements.length === 0 && !(isFirst && isLast))) {
      throw new EvaluationError(`Cannot read JSON: expected values in ${name}`)
    }
    this.#part.clear()
    this.#bytesTaken += bytes
    array.isFirst = false
    return { array: name, isFirst, elements, bytes }
  }

  /** Puts everything before `to` where it belongs. */
  #keep(chunk: Uint8Array, to: number): void {
    const bytes = chunk.subarray(this.#from, to)
    this.#from = to
    if (this.#array === undefined) {
      this.#rest.push(bytes)
      if (this.#rest.length > REQUEST_VALUE_BYTES_MAX) throw restTooLong(this.#readKey(1))
    } else {
      this.#part.push(bytes)
      if (this.#part.length > REQUEST_PART_BYTES + REQUEST_VALUE_BYTES_MAX) throw elementTooLong(this.#array.name)
    }
  }

  /** The long array that begins here. */
  #findLongArray(chunk: Uint8Array, at: number): LongArray | undefined {
    if (this.#array !== undefined || this.#depth < 1 || this.#depth > 2) return undefined
    this.#keep(chunk, at)
    if (this.#depth === 1) return this.#isKey(1, 'buckets') ? 'buckets' : undefined
    return this.#isKey(2, 'subscriptions') && this.#isKey(1, 'streams') ? 'streams.subscriptions' : undefined
  }

  #noteKey(): void {
    if (this.#array !== undefined || this.#depth < 1 || this.#depth > 2) return
    const key = { from: this.#stringFrom - this.#bytesTaken, to: this.#stringTo - this.#bytesTaken }
    this.#keys = this.#depth === 1 ? [undefined, key] : [undefined, this.#keys[1], key]
  }

  /** Each character may be escaped. */
  #isKey(depth: number, name: string): boolean {
    const { from, to } = this.#keys[depth] ?? { from: 0, to: 0 }
    return to - from >= name.length + 2 && to - from <= 6 * name.length + 2 && this.#readKey(depth) === name
  }

  #readKey(depth: number): string | undefined {
    const { from, to } = this.#keys[depth] ?? { from: 0, to: 0 }
    try {
      const key: unknown = JSON.parse(utf8.decode(this.#rest.bytes(from, to)))
      return typeof key === 'string' ? key : undefined
    } catch {
      // Whoever reads the rest says so.
      return undefined
    }
  }

  /** Where the next byte is, from `at` on, that structure is made of; the length of the chunk if there is none. */
  #findMark(chunk: Uint8Array, from: number): number {
    let at = from
    for (;;) {
      if (this.#isInString) at = this.#skipString(chunk, at)
      while (at < chunk.length && IS_MARK[chunk[at] ?? 0] === 0) at++
      if (chunk[at] !== QUOTE) return at
      this.#isInString = true
      this.#stringFrom = this.#bytesBefore + at
      at++
    }
  }

  /** To the end of the string, or of the chunk. */
  #skipString(chunk: Uint8Array, from: number): number {
    let isEscaped = this.#isEscaped
    this.#isEscaped = false
    let at = from
    for (; at < chunk.length; at++) {
      const byte = chunk[at]
      if (isEscaped) isEscaped = false
      else if (byte === BACKSLASH) isEscaped = true
      else if (byte === QUOTE) {
        this.#isInString = false
        this.#stringTo = this.#bytesBefore + at + 1
        return at + 1
      }
    }
    this.#isEscaped = isEscaped
    return at
  }
}

const NO_BYTES = new Uint8Array(0)
const SMALLEST_BYTES = 1_024

/** Bytes one after the other, in one piece. */
class ByteList {
  length = 0
  #bytes = NO_BYTES

  push(bytes: Uint8Array): void {
    const length = this.length + bytes.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * length, SMALLEST_BYTES))
      grown.set(this.#bytes.subarray(0, this.length))
      this.#bytes = grown
    }
    this.#bytes.set(bytes, this.length)
    this.length = length
  }

  /** Valid until the next change. */
  bytes(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, Math.min(to, this.length))
  }

  clear(): void {
    this.length = 0
  }
}

function isArray(value: RequestValue): value is readonly RequestValue[] {
  return Array.isArray(value)
}
