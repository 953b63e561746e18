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

/** Operations as storage hands them out: pieces to be written in order. */
export type EncodedBody = {
  /** `ndjson`: objects joined by commas. `bson`: elements of an array with the keys 0, 1, … */
  readonly body: readonly Uint8Array[]
}

const utf8 = new TextEncoder()

/** A data line as pieces to be written in order. The operations are passed on as they are, by reference. */
export function encodeDataLine(header: DataLineHeader, { body }: EncodedBody, format: OperationFormat): Uint8Array[] {
  if (format === 'bson') return encodeBsonDataLine(header, body)
  const bucket = escapeLineEnds(JSON.stringify(header.bucket))
  return [
    utf8.encode(`{"data":{"bucket":${bucket},"after":"${header.after}","has_more":${header.hasMore},"data":[`),
    ...body,
    utf8.encode(`],"next_after":"${header.nextAfter}"}}\n`),
  ]
}

/**
 *     {data: {bucket: string, after: string, has_more: bool, data: [documents], next_after: string}}
 */
function encodeBsonDataLine(header: DataLineHeader, body: readonly Uint8Array[]): Uint8Array[] {
  const bucket = utf8.encode(header.bucket)
  const after = utf8.encode(header.after.toString())
  const nextAfter = utf8.encode(header.nextAfter.toString())
  const arrayBytes = body.reduce((bytes, { length }) => bytes + length, DOCUMENT_BYTES)
  const headBytes =
    stringElementBytes('bucket', bucket) + stringElementBytes('after', after) + (elementHeadBytes('has_more') + 1)
  const innerBytes =
    DOCUMENT_BYTES + headBytes + (elementHeadBytes('data') + arrayBytes) + stringElementBytes('next_after', nextAfter)

  const head = new FixedWriter(2 * INT32_BYTES + 2 * elementHeadBytes('data') + INT32_BYTES + headBytes)
  head.int32(DOCUMENT_BYTES + elementHeadBytes('data') + innerBytes)
  head.elementHead(BSON_TYPE.document, 'data')
  head.int32(innerBytes)
  head.stringElement('bucket', bucket)
  head.stringElement('after', after)
  head.elementHead(BSON_TYPE.boolean, 'has_more')
  head.byte(header.hasMore ? 1 : 0)
  head.elementHead(BSON_TYPE.array, 'data')
  head.int32(arrayBytes)

  const end = new FixedWriter(1 + stringElementBytes('next_after', nextAfter) + 2)
  end.byte(0)
  end.stringElement('next_after', nextAfter)
  end.byte(0)
  end.byte(0)
  return [head.finish(), ...body, end.finish()]
}

/** Documents as elements of an array, the first with the key `firstKey`. */
export function encodeBsonElements(documents: readonly Uint8Array[], firstKey: number): Uint8Array {
  const keys = documents.map((_, n) => String(firstKey + n))
  const writer = new FixedWriter(
    documents.reduce((bytes, { length }, n) => bytes + elementHeadBytes(keys[n] ?? '') + length, 0),
  )
  for (const [n, document] of documents.entries()) {
    writer.elementHead(BSON_TYPE.document, keys[n] ?? '')
    writer.raw(document)
  }
  return writer.finish()
}

const INT32_BYTES = 4

/** Of a document without elements: its length and a zero. */
const DOCUMENT_BYTES = 5

function elementHeadBytes(name: string): number {
  return name.length + 2
}

function stringElementBytes(name: string, text: Uint8Array): number {
  return elementHeadBytes(name) + 4 + text.length + 1
}

/** A buffer of known size that is filled from the front. Names are ASCII. */
class FixedWriter {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes)
    this.#view = new DataView(this.#bytes.buffer)
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
    this.#bytes.set(bytes, this.#at)
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
    if (this.#at !== this.#bytes.length) {
      throw new RangeError(`A part of a data line of ${this.#bytes.length} bytes was filled with ${this.#at}`)
    }
    return this.#bytes
  }
}
