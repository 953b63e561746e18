import { isAlias, isMap, isScalar, isSeq, type Document, type Node, parseDocument, type Scalar } from 'yaml'
import type { Problems } from './diagnostics.ts'
import { mapScalar, type ScalarStyle, type ScalarText } from './scalar-text.ts'

/** A YAML value with its offset in the file. An alias is what it stands for, at the place where that is written. */
export type YamlNode =
  | YamlMap
  | { readonly kind: 'list'; readonly offset: number; readonly items: readonly YamlNode[] }
  | { readonly kind: 'text'; readonly offset: number; readonly scalar: ScalarText }
  | { readonly kind: 'number'; readonly offset: number; readonly value: number }
  | { readonly kind: 'boolean'; readonly offset: number; readonly value: boolean }
  | { readonly kind: 'null'; readonly offset: number }
  /** What YAML knows and a config has no use for, such as `!!binary`. */
  | { readonly kind: 'other'; readonly offset: number; readonly tag: string }

export type YamlMap = {
  readonly kind: 'map'
  readonly offset: number
  readonly entries: readonly YamlEntry[]
  readonly find: (key: string) => YamlEntry | undefined
}

export type YamlEntry = { readonly name: string; readonly keyOffset: number; readonly value: YamlNode }

/** Maps and lists inside each other; a config has four levels. */
const DEPTH_MAX = 16

/** Once wrote beside a query that clients may choose what they get. It means nothing now. */
const OLD_TAG = '!accept_potentially_dangerous_queries'

/**
 * The root map of a file that is one YAML 1.2 document. Undefined, and reported, when it is not; where only a key stands
 * twice or a second document follows, what comes first is read on, so that more can be said about it.
 */
export function parseYaml(text: string, problems: Problems): YamlMap | undefined {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true, logLevel: 'error' })
  for (const { pos, code, message } of document.errors) {
    problems.error(pos[0], `Cannot read the file as YAML: ${YAML_ERRORS[code] ?? message}`)
  }
  if (document.errors.some(({ code }) => code !== 'DUPLICATE_KEY' && code !== 'MULTIPLE_DOCS')) return undefined
  reportWarnings(document, problems)
  const reader: TreeReader = { text, problems, anchors: new Map(), converted: new Map() }
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
  BLOCK_AS_IMPLICIT_KEY: 'this line has a second ": " in it; put a text with ": " in quotes, or below "|"',
}

function reportWarnings(document: Document, problems: Problems): void {
  const { yaml } = document.directives ?? {}
  if (yaml?.explicit === true && yaml.version !== '1.2') {
    problems.error(0, `The file must be YAML 1.2, got "%YAML ${yaml.version}": remove that line`)
  }
  for (const { pos, code, message } of document.warnings) {
    const isOldTag = code === 'TAG_RESOLVE_FAILED' && message.endsWith(` ${OLD_TAG}`)
    if (!isOldTag) problems.warn(pos[0], `${message}: it has no effect`)
  }
}

type TreeReader = {
  readonly text: string
  readonly problems: Problems
  /** The last node before here that has the anchor. */
  readonly anchors: Map<string, Node>
  /** Each node is read once, however many aliases stand for it; `open` while it is being read. */
  readonly converted: Map<Node, YamlNode | 'open'>
}

function convert(reader: TreeReader, node: Node, depth: number): YamlNode {
  const offset = node.range?.[0] ?? 0
  if (depth > DEPTH_MAX) {
    reader.problems.error(offset, `The file is nested deeper than ${DEPTH_MAX} levels`)
    return { kind: 'null', offset }
  }
  if (isAlias(node)) return resolveAlias(reader, node.source, offset)
  if ('anchor' in node && typeof node.anchor === 'string') reader.anchors.set(node.anchor, node)
  reader.converted.set(node, 'open')
  const converted = convertContent(reader, node, { offset, depth })
  reader.converted.set(node, converted)
  return converted
}

function resolveAlias({ anchors, converted, problems }: TreeReader, name: string, offset: number): YamlNode {
  const target = anchors.get(name)
  const value = target === undefined ? undefined : converted.get(target)
  if (value !== undefined && value !== 'open') return value
  const fault = value === 'open' ? 'stands inside what it stands for' : `has no anchor "&${name}" before it`
  problems.error(offset, `The alias "*${name}" ${fault}`)
  return { kind: 'null', offset }
}

type Position = { readonly offset: number; readonly depth: number }

function convertContent(reader: TreeReader, node: Node, { offset, depth }: Position): YamlNode {
  if (isMap<unknown, unknown>(node)) {
    const entries = node.items.flatMap(({ key, value }) => convertEntry(reader, { key, value, offset, depth }))
    return { kind: 'map', offset, entries, find: (name) => entries.find((entry) => entry.name === name) }
  }
  if (isSeq<Node | null>(node)) {
    const items = node.items.map((item) => convertOrNull(reader, item, { offset, depth }))
    return { kind: 'list', offset, items }
  }
  return isScalar(node) ? convertScalar(reader, node, offset) : { kind: 'null', offset }
}

type Pair = Position & { readonly key: unknown; readonly value: unknown }

function convertEntry(reader: TreeReader, { key, value, offset, depth }: Pair): readonly YamlEntry[] {
  const keyOffset = isScalar(key) ? (key.range?.[0] ?? offset) : offset
  if (!isScalar(key) || typeof key.value !== 'string') {
    reader.problems.error(keyOffset, 'A key must be a name: put numbers and the like in quotes')
    return []
  }
  return [{ name: key.value, keyOffset, value: convertOrNull(reader, value, { offset: keyOffset, depth }) }]
}

function convertOrNull(reader: TreeReader, value: unknown, { offset, depth }: Position): YamlNode {
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
      return node.value === null ? { kind: 'null', offset } : { kind: 'other', offset, tag: node.tag ?? 'unknown' }
  }
}

const STYLES: { readonly [type: string]: ScalarStyle } = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single-quoted',
  QUOTE_DOUBLE: 'double-quoted',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
}
