import type { ValueOptions } from '../values/column-form.ts'
import type { Problems } from './diagnostics.ts'
import type { ScalarText } from './scalar-text.ts'
import { parseYaml, type YamlMap, type YamlNode } from './yaml-tree.ts'
import { didYouMean } from './suggest.ts'

/** A sync config as its file says it, before its queries are read. */
export type ConfigFile = {
  readonly edition: Edition
  readonly values: ValueOptions
  /** `->>` treats JSON null and dotted keys like SQLite. */
  readonly fixedJsonExtract: boolean
  readonly streams: readonly StreamEntry[]
  readonly definitions: readonly DefinitionEntry[]
}

export type Edition = 1 | 2 | 3

export type StreamEntry = {
  readonly name: string
  readonly queries: readonly ScalarText[]
  readonly autoSubscribe: boolean
  readonly priority: number
  readonly acceptDangerous: boolean
}

export type DefinitionEntry = {
  readonly name: string
  /** Of the name. */
  readonly offset: number
  /** Undefined: one bucket for everybody. */
  readonly parameters: readonly ScalarText[] | undefined
  readonly data: readonly ScalarText[]
  readonly priority: number | undefined
  readonly acceptDangerous: boolean
}

const ROOT_KEYS = ['config', 'bucket_definitions', 'streams', 'with', 'event_definitions']
const FLAGS = ['timestamps_iso8601', 'versioned_bucket_ids', 'fixed_json_extract', 'custom_postgres_types'] as const
const CONFIG_KEYS = [
  'edition',
  ...FLAGS,
  'unstable_sqlite_expression_engine',
  'timestamp_max_precision',
  'storage_version',
]
const STREAM_KEYS = ['query', 'queries', 'with', 'auto_subscribe', 'priority', 'accept_potentially_dangerous_queries']
const DEFINITION_KEYS = ['data', 'parameters', 'priority', 'accept_potentially_dangerous_queries']

const FRACTION_DIGITS: { readonly [word: string]: number } = {
  seconds: 0,
  milliseconds: 3,
  microseconds: 6,
  nanoseconds: 6,
}
export const PRIORITY_DEFAULT = 3

/** Reads the structure of the file and reports everything wrong with it; undefined when nothing can be made of it. */
export function readConfigFile(text: string, problems: Problems): ConfigFile | undefined {
  const root = parseYaml(text, problems)
  if (root === undefined) return undefined
  const reader = new FileReader(problems)
  reader.checkKeys(root, ROOT_KEYS, 'at the top level')
  const settings = readSettings(reader, root)
  for (const key of ['with', 'event_definitions']) {
    const entry = root.find(key)
    if (entry !== undefined) problems.error(entry.keyOffset, `"${key}" is not supported yet: remove it`)
  }
  const streams = readSection(reader, root, 'streams', (name, offset, map) => readStream(reader, name, offset, map))
  const definitions = readSection(reader, root, 'bucket_definitions', (name, offset, map) =>
    readDefinition(reader, name, offset, map),
  )
  checkSections(reader, root, settings.edition)
  return { ...settings, streams, definitions }
}

type Settings = Pick<ConfigFile, 'edition' | 'values' | 'fixedJsonExtract'>

function readSettings(reader: FileReader, root: YamlMap): Settings {
  const map = reader.map(root, 'config')
  if (map !== undefined) reader.checkKeys(map, CONFIG_KEYS, 'in "config"')
  const edition = readEdition(reader, map)
  const flag = (name: (typeof FLAGS)[number]): boolean => reader.boolean(map, name) ?? edition >= 2
  const iso = flag('timestamps_iso8601')
  const fixedJsonExtract = flag('fixed_json_extract')
  const customTypes = flag('custom_postgres_types')
  reader.boolean(map, 'versioned_bucket_ids')
  if (reader.boolean(map, 'unstable_sqlite_expression_engine') === true) {
    reader.fail(map, 'unstable_sqlite_expression_engine', 'The SQLite expression engine is not supported yet')
  }
  readStorageVersion(reader, map)
  return {
    edition,
    fixedJsonExtract,
    values: {
      customTypes,
      fixedJsonExtract,
      engine: 'default',
      times: { iso, fractionDigits: readDigits(reader, map, iso) },
    },
  }
}

function readEdition(reader: FileReader, map: YamlMap | undefined): Edition {
  const value = map?.find('edition')?.value
  if (value === undefined) return 1
  if (value.kind === 'number' && (value.value === 1 || value.value === 2 || value.value === 3)) return value.value
  reader.problems.error(value.offset, `"edition" must be 1, 2 or 3, got ${describe(value)}`)
  return 3
}

function readDigits(reader: FileReader, map: YamlMap | undefined, iso: boolean): number {
  const value = map?.find('timestamp_max_precision')?.value
  if (value === undefined) return 6
  const digits =
    value.kind === 'text' && Object.hasOwn(FRACTION_DIGITS, value.scalar.text)
      ? FRACTION_DIGITS[value.scalar.text]
      : undefined
  if (digits === undefined) {
    const words = Object.keys(FRACTION_DIGITS).join(', ')
    reader.problems.error(value.offset, `"timestamp_max_precision" must be one of ${words}, got ${describe(value)}`)
  } else if (!iso) {
    reader.problems.error(value.offset, '"timestamp_max_precision" needs "timestamps_iso8601: true"')
  }
  return digits ?? 6
}

function readStorageVersion(reader: FileReader, map: YamlMap | undefined): void {
  const value = map?.find('storage_version')?.value
  if (value === undefined) return
  if (value.kind === 'number' && value.value === 2) return
  if (value.kind === 'number' && value.value === 3) {
    reader.problems.warn(value.offset, '"storage_version" has no effect here')
    return
  }
  reader.problems.error(value.offset, `"storage_version" must be 2 or 3, got ${describe(value)}`)
}

function readSection<Entry>(
  reader: FileReader,
  root: YamlMap,
  key: string,
  readEntry: (name: string, offset: number, map: YamlMap) => Entry | undefined,
): readonly Entry[] {
  const section = reader.map(root, key)
  const entries: Entry[] = []
  for (const { name, keyOffset, value } of section?.entries ?? []) {
    const map = reader.asMap(value, `"${name}" in "${key}"`)
    const entry = map === undefined ? undefined : readEntry(name, keyOffset, map)
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}

function readStream(reader: FileReader, name: string, offset: number, map: YamlMap): StreamEntry | undefined {
  reader.checkKeys(map, STREAM_KEYS, `in stream "${name}"`)
  if (map.find('with') !== undefined) {
    reader.fail(map, 'with', '"with" is not supported yet: write the subquery into each query, as IN (SELECT …)')
  }
  const single = map.find('query')
  const several = map.find('queries')
  if ((single === undefined) === (several === undefined)) {
    const fault = single === undefined ? 'has neither' : 'has both'
    reader.problems.error(offset, `Stream "${name}" must have exactly one of "query" and "queries", it ${fault}`)
  }
  const query = single === undefined ? undefined : reader.text(single.value, `"query" of stream "${name}"`)
  const queries = several === undefined ? [] : reader.texts(several.value, `"queries" of stream "${name}"`)
  return {
    name,
    queries: query === undefined ? queries : [query],
    autoSubscribe: reader.boolean(map, 'auto_subscribe') ?? false,
    priority: reader.priority(map) ?? PRIORITY_DEFAULT,
    acceptDangerous: reader.boolean(map, 'accept_potentially_dangerous_queries') ?? false,
  }
}

function readDefinition(reader: FileReader, name: string, offset: number, map: YamlMap): DefinitionEntry | undefined {
  reader.checkKeys(map, DEFINITION_KEYS, `in bucket definition "${name}"`)
  const data = map.find('data')
  if (data === undefined) reader.problems.error(offset, `Bucket definition "${name}" needs "data": a list of queries`)
  const queries = data === undefined ? [] : reader.texts(data.value, `"data" of bucket definition "${name}"`)
  const parameters = readParameters(reader, name, map)
  if (parameters?.length === 0 && queries.length > 0) {
    reader.fail(
      map,
      'parameters',
      `"parameters" of bucket definition "${name}" is empty: remove it for one bucket for everybody`,
    )
  }
  return {
    name,
    offset,
    parameters,
    data: queries,
    priority: reader.priority(map),
    acceptDangerous: reader.boolean(map, 'accept_potentially_dangerous_queries') ?? false,
  }
}

function readParameters(reader: FileReader, name: string, map: YamlMap): readonly ScalarText[] | undefined {
  const entry = map.find('parameters')
  if (entry === undefined) return undefined
  const what = `"parameters" of bucket definition "${name}"`
  if (entry.value.kind === 'list') return reader.texts(entry.value, what)
  const text = reader.text(entry.value, what)
  return text === undefined ? undefined : [text]
}

function checkSections(reader: FileReader, root: YamlMap, edition: Edition): void {
  const { problems } = reader
  const streams = root.find('streams')
  const definitions = root.find('bucket_definitions')
  if (streams === undefined && definitions === undefined) {
    problems.error(root.offset, 'A sync config needs "streams" (with "config: edition: 3") or "bucket_definitions"')
  }
  if (streams !== undefined && edition !== 3) {
    const how = 'add "config:" with "edition: 3" at the top of the file'
    problems.error(streams.keyOffset, `"streams" of edition ${edition} are not supported: ${how}`)
  }
  if (definitions !== undefined && edition === 3) {
    problems.error(definitions.keyOffset, '"bucket_definitions" do not exist in edition 3: write them as "streams"')
  }
  const names = new Set(streams?.value.kind === 'map' ? streams.value.entries.map(({ name }) => name) : [])
  for (const { name, keyOffset } of definitions?.value.kind === 'map' ? definitions.value.entries : []) {
    if (names.has(name)) problems.error(keyOffset, `"${name}" names a stream as well: names must be unique`)
  }
}

/** Takes values of the wanted kind out of the tree and reports the others. */
class FileReader {
  readonly problems: Problems

  constructor(problems: Problems) {
    this.problems = problems
  }

  checkKeys(map: YamlMap, known: readonly string[], where: string): void {
    for (const { name, keyOffset } of map.entries) {
      if (known.includes(name)) continue
      const hint = didYouMean(name, known) || `: expected ${known.map((key) => `"${key}"`).join(', ')}`
      this.problems.error(keyOffset, `Unknown key "${name}" ${where}${hint}`)
    }
  }

  fail(map: YamlMap | undefined, key: string, message: string): void {
    this.problems.error(map?.find(key)?.keyOffset ?? 0, message)
  }

  map(parent: YamlMap, key: string): YamlMap | undefined {
    const entry = parent.find(key)
    return entry === undefined ? undefined : this.asMap(entry.value, `"${key}"`)
  }

  asMap(value: YamlNode, what: string): YamlMap | undefined {
    if (value.kind === 'map') return value
    this.problems.error(value.offset, `${what} must be a map, got ${describe(value)}`)
    return undefined
  }

  text(value: YamlNode, what: string): ScalarText | undefined {
    if (value.kind === 'text') return value.scalar
    this.problems.error(value.offset, `${what} must be the text of a query, got ${describe(value)}`)
    return undefined
  }

  texts(value: YamlNode, what: string): readonly ScalarText[] {
    if (value.kind !== 'list') {
      this.problems.error(value.offset, `${what} must be a list of queries, got ${describe(value)}`)
      return []
    }
    return value.items.flatMap((item, index) => this.text(item, `Item ${index + 1} of ${what}`) ?? [])
  }

  boolean(map: YamlMap | undefined, key: string): boolean | undefined {
    const value = map?.find(key)?.value
    if (value === undefined) return undefined
    if (value.kind === 'boolean') return value.value
    this.problems.error(value.offset, `"${key}" must be true or false, got ${describe(value)}`)
    return undefined
  }

  priority(map: YamlMap): number | undefined {
    const value = map.find('priority')?.value
    if (value === undefined) return undefined
    if (value.kind === 'number' && isPriority(value.value)) return value.value
    this.problems.error(value.offset, `"priority" must be 0, 1, 2 or 3, got ${describe(value)}`)
    return undefined
  }
}

export function isPriority(value: number): boolean {
  return value === 0 || value === 1 || value === 2 || value === 3
}

function describe(node: YamlNode): string {
  switch (node.kind) {
    case 'map':
      return 'a map'
    case 'list':
      return 'a list'
    case 'text':
      return JSON.stringify(node.scalar.text.slice(0, 40))
    case 'number':
    case 'boolean':
      return String(node.value)
    case 'null':
      return 'nothing'
  }
}
