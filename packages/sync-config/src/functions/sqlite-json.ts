import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import type { Element } from './each-element.ts'
import { type JsonNode, nodeToJson, nodeToValue } from './sqlite-json-node.ts'
import { RecentTexts } from './recent-texts.ts'
import { findByPath, toPath } from './sqlite-json-path.ts'
import { unescapeJson } from './sqlite-json-string.ts'
import { type ParsedJson, parseSqliteJson } from './sqlite-json-text.ts'
import { readJsonb } from './sqlite-jsonb.ts'
import { textOf } from './sqlite-text.ts'

const recent = new RecentTexts<ParsedJson>(parseSqliteJson)

/** `json -> key`: JSON text. */
export function extractJson(json: SqliteValue, key: SqliteValue): SqliteValue {
  const found = findKey(json, key)
  return found === undefined ? null : nodeToJson(found)
}

/** `json ->> key`. */
export function extractValue(json: SqliteValue, key: SqliteValue): SqliteValue {
  const found = findKey(json, key)
  return found === undefined ? null : nodeToValue(found)
}

/** `json_extract(json, path)`; of several paths, a JSON array of what they lead to, with null for nothing. */
export function extractByPath(json: SqliteValue, ...paths: readonly SqliteValue[]): SqliteValue {
  if (json === null) return null
  const root = readRoot(json)
  const found: (JsonNode | undefined)[] = []
  for (const path of paths) {
    if (path === null) return null
    found.push(findByPath(root, textOf(path)))
  }
  const [only] = found
  if (found.length > 1) return `[${found.map((node) => (node === undefined ? 'null' : nodeToJson(node))).join(',')}]`
  return only === undefined ? null : nodeToValue(only)
}

/** `json_array_length(json)`, or of what a path leads to. */
export function arrayLength(json: SqliteValue, path: SqliteValue = '$'): SqliteValue {
  if (json === null) return null
  const root = readRoot(json)
  const found = path === null ? undefined : findByPath(root, textOf(path))
  if (found === undefined) return null
  return found.kind === 'array' ? BigInt(found.items.length) : 0n
}

/** `json_valid(text)`: standard JSON only, and nothing binary. */
export function isValidJson(value: SqliteValue): SqliteValue {
  if (value === null) return null
  try {
    if (value instanceof Uint8Array && readJsonb(value) !== undefined) return 0n
    return recent.read(textOf(value)).isStandard ? 1n : 0n
  } catch (error) {
    if (error instanceof EvaluationError) return 0n
    throw error
  }
}

/** The rows of `json_each(json)`. A scalar is one without a key, NULL has none. */
export function eachSqliteElement(json: SqliteValue): readonly Element[] {
  if (json === null) return []
  const root = readRoot(json)
  switch (root.kind) {
    case 'array':
      return root.items.map((item, index) => ({ key: BigInt(index), value: nodeToValue(item) }))
    case 'object':
      return root.members.map(({ name, value }) => ({ key: unescapeJson(name), value: nodeToValue(value) }))
    default:
      return [{ key: null, value: nodeToValue(root) }]
  }
}

function findKey(json: SqliteValue, key: SqliteValue): JsonNode | undefined {
  if (json === null) return undefined
  const root = readRoot(json)
  if (key === null) return undefined
  return findByPath(root, toPath(typeof key === 'bigint' ? key : textOf(key)))
}

/** A blob is SQLite's binary JSON, or else a text. */
function readRoot(json: Exclude<SqliteValue, null>): JsonNode {
  const binary = json instanceof Uint8Array ? readJsonb(json) : undefined
  if (binary !== undefined) return binary
  return recent.read(textOf(json)).root
}
