import { BsonReader } from './bson-reader.ts'
import { BsonWriter } from './bson-writer.ts'
import type { JsonObject, JsonValue, RequestObject } from './request.ts'
import type { RequestPart } from './request-parts.ts'

const DOCUMENT_BYTES_USUAL = 4096

export function encodeBson(value: JsonObject): Uint8Array {
  const writer = new BsonWriter(DOCUMENT_BYTES_USUAL)
  writer.begin()
  writeFields(writer, value)
  writer.end()
  return writer.toBytes()
}

/**
 * Reads one document that fills `bytes`. Values that JSON does not have (dates, binaries, object ids) are null;
 * int64 is a bigint where a number would not be exact. Throws `bad-bson`.
 */
export function decodeBson(bytes: Uint8Array): RequestObject {
  return new BsonReader(bytes).readWhole()
}

/** Reads a sync request in parts, from one document. `end` is what is left, when all parts were taken. */
export class BsonRequestSplitter {
  #rest: RequestObject = {}

  end(): RequestObject {
    return this.#rest
  }

  /** Throws `bad-bson`, `request-too-large`. */
  *split(document: Uint8Array): Generator<RequestPart, void, undefined> {
    this.#rest = yield* new BsonReader(document).readInParts()
  }
}

function writeFields(writer: BsonWriter, object: JsonObject): void {
  for (const name of Object.keys(object)) writeField(writer, name, object[name])
}

/** One element of the document or array that is open. */
export function writeField(writer: BsonWriter, name: string, value: JsonValue | undefined): void {
  if (value === null || value === undefined) writer.null(name)
  else if (typeof value === 'string') writer.string(name, value)
  else if (typeof value === 'number') writer.number(name, value)
  else if (typeof value === 'boolean') writer.boolean(name, value)
  else if (isArray(value)) {
    writer.beginArray(name)
    value.forEach((item, index) => writeField(writer, String(index), item))
    writer.end()
  } else {
    writer.beginDocument(name)
    writeFields(writer, value)
    writer.end()
  }
}

/** `Array.isArray` does not narrow readonly arrays away. */
function isArray(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value)
}
