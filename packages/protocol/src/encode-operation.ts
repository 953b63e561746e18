import { BsonWriter } from './bson-writer.ts'
import { escapeLineEnds } from './ndjson.ts'
import type { OpId } from './op-id.ts'
import type { Operation } from './operation.ts'

/**
 * `ndjson`: an operation's data is a string. `ndjson-nested`: data is nested JSON, for clients from before 2024.
 * `bson`: a document, data is a string.
 */
export type OperationFormat = 'ndjson' | 'ndjson-nested' | 'bson'

const utf8 = new TextEncoder()

/** Room for a usual row; grows once for larger ones and stays. */
const scratch = new BsonWriter(16_384)

/** One operation as it stands inside a data line, without the comma or array key that separates it from the next. */
export function encodeOperation(operation: Operation, format: OperationFormat): Uint8Array {
  if (format === 'bson') {
    writeBson(scratch, operation)
    return scratch.toBytes()
  }
  return utf8.encode(escapeLineEnds(formatOperation(operation, operation.opId, format)))
}

/** An operation that may have no id yet. */
export type UnnumberedOperation = Operation extends infer Kind
  ? Kind extends Operation
    ? Omit<Kind, 'opId'>
    : never
  : never

/**
 * The text of `encodeOperation`, for who puts many into one buffer, but for what `escapeLineEnds` changes: that is for
 * the caller, who can tell from the bytes whether there is anything to escape.
 */
export function formatOperation(
  operation: UnnumberedOperation,
  opId: OpId | number,
  format: 'ndjson' | 'ndjson-nested',
): string {
  const isNested = format === 'ndjson-nested'
  const { checksum } = operation
  switch (operation.kind) {
    case 'put': {
      const { type, id, subkey, data } = operation
      const dataJson = isNested ? onOneLine(data) : JSON.stringify(data)
      return `{"op_id":"${opId}","op":"PUT","object_type":${quote(type)},"object_id":${quote(id)},"checksum":${checksum},"subkey":${quote(subkey)},"data":${dataJson}}`
    }
    case 'remove': {
      const { type, id, subkey } = operation
      return `{"op_id":"${opId}","op":"REMOVE","object_type":${quote(type)},"object_id":${quote(id)},"checksum":${checksum},"subkey":${quote(subkey)}${isNested ? ',"data":null' : ''}}`
    }
    case 'move':
    case 'clear':
      return `{"op_id":"${opId}","op":"${WIRE_NAMES[operation.kind]}","checksum":${checksum}${isNested ? ',"data":null' : ''}}`
  }
}

const WIRE_NAMES = { put: 'PUT', remove: 'REMOVE', move: 'MOVE', clear: 'CLEAR' } as const satisfies Record<
  Operation['kind'],
  string
>

/** `JSON.stringify`, but faster for the short plain texts that names and ids are. */
function quote(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < SPACE || code > TILDE || code === QUOTE || code === BACKSLASH) return JSON.stringify(text)
  }
  return `"${text}"`
}

const SPACE = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c
const TILDE = 0x7e

/** Line feeds in JSON stand between tokens only, where a space means the same. */
function onOneLine(json: string): string {
  return json.replaceAll(/[\n\r]/g, ' ')
}

function writeBson(writer: BsonWriter, operation: Operation): void {
  writer.begin()
  writer.string('op_id', operation.opId.toString())
  writer.string('op', WIRE_NAMES[operation.kind])
  if (operation.kind === 'put' || operation.kind === 'remove') {
    writer.string('object_type', operation.type)
    writer.string('object_id', operation.id)
  }
  writer.number('checksum', operation.checksum)
  if (operation.kind === 'put' || operation.kind === 'remove') writer.string('subkey', operation.subkey)
  if (operation.kind === 'put') writer.string('data', operation.data)
  writer.end()
}
