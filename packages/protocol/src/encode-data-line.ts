import { BSON_TYPE } from './bson-type.ts'
import type { OperationFormat } from './encode-operation.ts'
import { escapeLineEnds } from './ndjson.ts'
import type { OpId } from './op-id.ts'
import type { BucketName } from './operation.ts'

export type DataLineHeader = {
  readonly bucket: BucketName
  /** Every operation of the line has a greater id. */
  readonly after: OpId
  readonly nextAfter: OpId
  readonly hasMore: boolean
}

/** Operations as storage hands them out. */
export type EncodedBody = {
  /** `ndjson`: objects joined by commas. `bson`: documents one after the other, without array keys. */
  readonly body: Uint8Array
  /** Bytes of each document in `body`; only read for `bson`. */
  readonly lengths: readonly number[]
  readonly count: number
}

const utf8 = new TextEncoder()

/**
 * A data line as pieces to be written in order. In NDJSON the operations are passed on as they are, by reference;
 * in BSON they are copied once, since each needs an array key in front of it.
 */
export function encodeDataLine(header: DataLineHeader, operations: EncodedBody, format: OperationFormat): Uint8Array[] {
  if (format === 'bson') return [encodeBsonDataLine(header, operations)]
  const bucket = escapeLineEnds(JSON.stringify(header.bucket))
  return [
    utf8.encode(`{"data":{"bucket":${bucket},"after":"${header.after}","has_more":${header.hasMore},"data":[`),
    operations.body,
    utf8.encode(`],"next_after":"${header.nextAfter}"}}\n`),
  ]
}

/**
 *     {data: {bucket: string, after: string, has_more: bool, data: [documents], next_after: string}}
 */
function encodeBsonDataLine(header: DataLineHeader, operations: EncodedBody): Uint8Array {
  const { body, lengths, count } = operations
  const bucket = utf8.encode(header.bucket)
  const after = utf8.encode(header.after.toString())
  const nextAfter = utf8.encode(header.nextAfter.toString())
  const arrayBytes = 5 + body.length + arrayKeyBytes(count)
  const innerBytes =
    5 +
    stringElementBytes('bucket', bucket) +
    stringElementBytes('after', after) +
    (elementHeadBytes('has_more') + 1) +
    (elementHeadBytes('data') + arrayBytes) +
    stringElementBytes('next_after', nextAfter)
  const line = new LineBuffer(5 + elementHeadBytes('data') + innerBytes)

  line.int32(line.bytes.length)
  line.elementHead(BSON_TYPE.document, 'data')
  line.int32(innerBytes)
  line.stringElement('bucket', bucket)
  line.stringElement('after', after)
  line.elementHead(BSON_TYPE.boolean, 'has_more')
  line.byte(header.hasMore ? 1 : 0)
  line.elementHead(BSON_TYPE.array, 'data')
  line.int32(arrayBytes)
  let bodyAt = 0
  for (let index = 0; index < count; index++) {
    const length = lengths[index] ?? 0
    line.elementHead(BSON_TYPE.document, String(index))
    line.raw(body.subarray(bodyAt, bodyAt + length))
    bodyAt += length
  }
  line.byte(0)
  line.stringElement('next_after', nextAfter)
  line.byte(0)
  line.byte(0)
  return line.finish()
}

function elementHeadBytes(name: string): number {
  return name.length + 2
}

function stringElementBytes(name: string, text: Uint8Array): number {
  return elementHeadBytes(name) + 4 + text.length + 1
}

/** Bytes of type, decimal index and zero over all elements of an array. */
function arrayKeyBytes(count: number): number {
  let bytes = count * 3
  for (let limit = 10; limit < count; limit *= 10) bytes += count - limit
  return bytes
}

/** A buffer of known size that is filled from the front. Names are ASCII. */
class LineBuffer {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes)
    this.#view = new DataView(this.bytes.buffer)
  }

  byte(value: number): void {
    this.#view.setUint8(this.#at, value)
    this.#at += 1
  }

  int32(value: number): void {
    this.#view.setInt32(this.#at, value, true)
    this.#at += 4
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  elementHead(type: number, name: string): void {
    this.byte(type)
    for (let index = 0; index < name.length; index++) this.byte(name.charCodeAt(index))
    this.byte(0)
  }

  stringElement(name: string, text: Uint8Array): void {
    this.elementHead(BSON_TYPE.string, name)
    this.int32(text.length + 1)
    this.raw(text)
    this.byte(0)
  }

  finish(): Uint8Array {
    if (this.#at !== this.bytes.length) {
      throw new RangeError(`A data line of ${this.bytes.length} bytes was filled with ${this.#at}`)
    }
    return this.bytes
  }
}
