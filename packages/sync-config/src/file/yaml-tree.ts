import { isAlias, isMap, isScalar, isSeq, type Document, type Node, parseDocument, type Scalar } from 'yaml'
import type { Problems } from './diagnostics.ts'
import { mapScalar, type ScalarStyle, type ScalarText } from './scalar-text.ts'

/** A YAML value with its offset in the file; aliases are resolved. */
export type YamlNode =
  | YamlMap
  | { readonly kind: 'list'; readonly offset: number; readonly items: readonly YamlNode[] }
  | { readonly kind: 'text'; readonly offset: number; readonly scalar: ScalarText }
  | { readonly kind: 'number'; readonly offset: number; readonly value: number }
  | { readonly kind: 'boolean'; readonly offset: number; readonly value: boolean }
  | { readonly kind: 'null'; readonly offset: number }

export type YamlMap = {
  readonly kind: 'map'
  readonly offset: number
  readonly entries: readonly YamlEntry[]
  readonly find: (key: string) => YamlEntry | undefined
}

export type YamlEntry = { readonly name: string; readonly keyOffset: number; readonly value: YamlNode }

/** Maps and lists inside each other; a config has four levels. Also ends an alias that holds itself. */
const DEPTH_MAX = 16

/** The root map of a file that is one YAML 1.2 document; undefined, and reported, when it is not. */
export function parseYaml(text: string, problems: Problems): YamlMap | undefined {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true, logLevel: 'error' })
  for (const error of document.errors) {
    problems.error(error.pos[0], `Cannot read the file as YAML: ${YAML_ERRORS[error.code] ?? error.message}`)
  }
  if (document.errors.length > 0) return undefined
  const reader = { text, document, problems }
  const root = document.contents === null ? undefined : convert(reader, document.contents, 0)
  if (root?.kind === 'map') return root
  problems.error(
    root?.offset ?? 0,
    'A sync config must be a map with "streams" or "bucket_definitions" at its top level',
  )
  return undefined
}

/** Where the library's own words do not help. */
const YAML_ERRORS: { readonly [code: string]: string } = {
  DUPLICATE_KEY: 'this key stands twice in one map',
  MULTIPLE_DOCS: 'a second document begins here, expected one',
  TAB_AS_INDENT: 'a tab is used to indent, expected spaces',
}

type TreeReader = { readonly text: string; readonly document: Document; readonly problems: Problems }

function convert(reader: TreeReader, node: Node, depth: number): YamlNode {
  const offset = node.range?.[0] ?? 0
  if (depth > DEPTH_MAX) {
    reader.problems.error(offset, `The file is nested deeper than ${DEPTH_MAX} levels`)
    return { kind: 'null', offset }
  }
  if (isAlias(node)) {
    const target = node.resolve(reader.document)
    if (target !== undefined) return convert(reader, target, depth + 1)
    reader.problems.error(offset, `The alias "*${node.source}" has no anchor "&${node.source}" before it`)
    return { kind: 'null', offset }
  }
  if (isMap<unknown, unknown>(node)) {
    const entries = node.items.flatMap(({ key, value }) => convertEntry(reader, { key, value, offset, depth }))
    return { kind: 'map', offset, entries, find: (name) => entries.find((entry) => entry.name === name) }
  }
  if (isSeq<Node | null>(node)) {
    const items = node.items.map((item) => convertOrNull(reader, item, offset, depth))
    return { kind: 'list', offset, items }
  }
  return isScalar(node) ? convertScalar(reader, node, offset) : { kind: 'null', offset }
}

type Pair = { readonly key: unknown; readonly value: unknown; readonly offset: number; readonly depth: number }

function convertEntry(reader: TreeReader, { key, value, offset, depth }: Pair): readonly YamlEntry[] {
  const keyOffset = isScalar(key) ? (key.range?.[0] ?? offset) : offset
  if (!isScalar(key) || typeof key.value !== 'string') {
    reader.problems.error(keyOffset, 'A key must be a name: put numbers and the like in quotes')
    return []
  }
  return [{ name: key.value, keyOffset, value: convertOrNull(reader, value, keyOffset, depth) }]
}

function convertOrNull(reader: TreeReader, value: unknown, offset: number, depth: number): YamlNode {
  if (isAlias(value) || isMap(value) || isSeq(value) || isScalar(value)) return convert(reader, value, depth + 1)
  return { kind: 'null', offset }
}

function convertScalar(reader: TreeReader, node: Scalar, offset: number): YamlNode {
  switch (typeof node.value) {
    case 'string': {
      const end = node.range?.[1] ?? offset
      const style = STYLES[node.type ?? 'PLAIN'] ?? 'plain'
      return { kind: 'text', offset, scalar: mapScalar(reader.text, offset, end, node.value, style) }
    }
    case 'number':
      return { kind: 'number', offset, value: node.value }
    case 'boolean':
      return { kind: 'boolean', offset, value: node.value }
    default:
      return { kind: 'null', offset }
  }
}

const STYLES: { readonly [type: string]: ScalarStyle } = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single-quoted',
  QUOTE_DOUBLE: 'double-quoted',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
}
