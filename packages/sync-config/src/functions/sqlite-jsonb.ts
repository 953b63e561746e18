import { JSON_DEPTH_MAX } from './json.ts'
import { type JsonMember, type JsonNode, malformedJson } from './sqlite-json-node.ts'
import type { JsonString } from './sqlite-json-string.ts'
import { decodeText } from './sqlite-text.ts'

/**
 * SQLite's binary form of JSON: every value is a header and what it heads.
 *
 *     bits   field
 *      4-7   bytes of content up to 11; or 12, 13, 14, 15 where the next 1, 2, 4, 8 bytes say how many
 *      0-3   kind: null, true, false, integer, integer of JSON5, real, real of JSON5,
 *            text, text with escapes, text of JSON5, text as it is, array, object
 *
 * Content of numbers and texts is as in JSON, without quotes. Objects are names and values by turns.
 * Source: SQLite's page "The SQLite JSONB Format".
 */

/** Undefined for a blob that is not in that form. Throws `EvaluationError` where only its beginning is. */
export function readJsonb(bytes: Uint8Array): JsonNode | undefined {
  if (!looksBinary(bytes)) return undefined
  const { node, end } = readNode(bytes, 0, 1)
  if (end !== bytes.length) throw malformedJson()
  return node
}

const KINDS = 13
const FALSE = 2
/** Sizes up to here may be the first character of a JSON text that happens to be as long. */
const SIZE_OF_TEXT_MAX = 7
const TEXT_START = /^[{[\d]/

function looksBinary(bytes: Uint8Array): boolean {
  const header = bytes.length === 0 ? undefined : readHeader(bytes, 0)
  if (header === undefined || header.kind >= KINDS || header.end !== bytes.length) return false
  if (header.kind <= FALSE) return header.start === header.end
  if (header.end - header.start > SIZE_OF_TEXT_MAX || !TEXT_START.test(decodeText(bytes.subarray(0, 1)))) return true
  try {
    readNode(bytes, 0, 1)
    return true
  } catch {
    return false
  }
}

/** `start` and `end` of the content. */
type Header = { readonly kind: number; readonly start: number; readonly end: number }

/** Undefined where the blob ends before the content does. */
function readHeader(bytes: Uint8Array, at: number): Header | undefined {
  const first = bytes[at]
  if (first === undefined) return undefined
  const code = first >> 4
  const sizeBytes = code < 12 ? 0 : 1 << (code - 12)
  const start = at + 1 + sizeBytes
  const size = sizeBytes === 0 ? code : bytes.subarray(at + 1, start).reduce((sum, byte) => sum * 256 + byte, 0)
  return start + size > bytes.length ? undefined : { kind: first & 15, start, end: start + size }
}

type Read<Node> = { readonly node: Node; readonly end: number }

/** `depth` counts the arrays and objects around it, itself included if it is one. */
function readNode(bytes: Uint8Array, at: number, depth: number): Read<JsonNode> {
  const header = readHeader(bytes, at)
  if (header === undefined) throw malformedJson()
  const { kind, start, end } = header
  const content = (): string => decodeText(bytes.subarray(start, end))
  switch (kind) {
    case 0:
    case 1:
    case 2:
      if (start < end) throw malformedJson()
      return { node: WORDS[kind], end }
    case 3:
    case 4:
      return { node: { kind: 'integer', digits: matching(content(), INTEGER) }, end }
    case 5:
    case 6:
      return { node: { kind: 'real', digits: matching(content(), REAL) }, end }
    case 11:
      return { node: { kind: 'array', items: readItems(bytes, header, depth) }, end }
    case 12:
      return { node: { kind: 'object', members: toMembers(readItems(bytes, header, depth)) }, end }
    default: {
      const style = STRING_STYLES[kind - 7]
      if (style === undefined) throw malformedJson()
      return { node: { kind: 'string', content: content(), style }, end }
    }
  }
}

const WORDS = { 0: { kind: 'null' }, 1: { kind: 'true' }, 2: { kind: 'false' } } as const
const STRING_STYLES: readonly JsonString['style'][] = ['plain', 'escaped', 'json5', 'raw']
const INTEGER = /^-?(?:\d+|0x[\da-f]+)$/i
const REAL = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i

function matching(content: string, pattern: RegExp): string {
  if (!pattern.test(content)) throw malformedJson()
  return content
}

function readItems(bytes: Uint8Array, { start, end }: Header, depth: number): readonly JsonNode[] {
  if (depth > JSON_DEPTH_MAX) throw malformedJson()
  const items: JsonNode[] = []
  for (let at = start; at < end;) {
    const item = readNode(bytes, at, depth + 1)
    items.push(item.node)
    at = item.end
    if (at > end) throw malformedJson()
  }
  return items
}

function toMembers(items: readonly JsonNode[]): readonly JsonMember[] {
  const members: JsonMember[] = []
  for (let index = 0; index < items.length; index += 2) {
    const [name, value] = [items[index], items[index + 1]]
    if (name?.kind !== 'string' || value === undefined) throw malformedJson()
    members.push({ name, value })
  }
  return members
}
