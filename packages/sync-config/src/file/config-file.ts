import type { ValueOptions } from '../values/column-form.ts'
import { checkFormat, isFlagOn } from './check-format.ts'
import type { Problems } from './diagnostics.ts'
import { type Edition, EDITIONS, FRACTION_DIGITS, PRIORITY_DEFAULT, STORAGE_VERSION_DEFAULT } from './format.ts'
import type { ScalarText } from './scalar-text.ts'
import { parseYaml, type YamlMap, type YamlNode } from './yaml-tree.ts'

/** A sync config as its file says it, before its queries are read. */
export type ConfigFile = {
  readonly edition: Edition
  readonly values: ValueOptions
  /** `->>` treats JSON null and dotted keys like SQLite. */
  readonly fixedJsonExtract: boolean
  /** Allows what only sync configs of this service have. */
  readonly extensions: boolean
  /** Common table expressions that the queries of all streams see. */
  readonly ctes: readonly CteEntry[]
  readonly streams: readonly StreamEntry[]
  readonly definitions: readonly DefinitionEntry[]
  readonly events: readonly EventEntry[]
}

export type CteEntry = {
  readonly name: string
  /** Of the name. */
  readonly offset: number
  readonly query: ScalarText
}

export type StreamEntry = {
  readonly name: string
  /** Of the name. */
  readonly offset: number
  /** What its own queries see besides those of the file, and instead of one of the same name. */
  readonly ctes: readonly CteEntry[]
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

export type EventEntry = {
  readonly name: string
  /** Of the name. */
  readonly offset: number
  readonly payloads: readonly ScalarText[]
}

/**
 * Reads the structure of the file and reports everything wrong with it; undefined when nothing can be made of it. Where
 * something is wrong, the rest is read all the same, so that its queries can be checked in the same run.
 */
export function readConfigFile(text: string, problems: Problems): ConfigFile | undefined {
  const root = parseYaml(text, problems)
  if (root === undefined) return undefined
  const written = writtenEdition(root)
  checkFormat(root, written, problems)
  checkRules(root, problems)
  const edition = meantEdition(root, written)
  if (edition === 2) warnOlderStreams(root, problems)
  return {
    edition,
    fixedJsonExtract: isFlagOn(root, 'fixed_json_extract', edition),
    extensions: edition === 3 && isFlagOn(root, 'extensions', edition),
    values: readValueOptions(root, edition),
    ctes: edition === 3 ? readCtes(root) : [],
    streams: edition === 1 ? [] : readNamed(root, 'streams', (name, at) => readStream(name, at, edition)),
    definitions: edition === 3 ? [] : readNamed(root, 'bucket_definitions', readDefinition),
    events: readNamed(root, 'event_definitions', readEvent),
  }
}

/** What the file says, or 1 where it says nothing; undefined where what it says is no edition. */
function writtenEdition(root: YamlMap): Edition | undefined {
  const config = root.find('config')?.value
  const value = config?.kind === 'map' ? config.find('edition')?.value : undefined
  if (value === undefined) return 1
  return value.kind === 'number' ? EDITIONS.find((edition) => edition === value.value) : undefined
}

/**
 * The edition to read the queries by: where the file has a section that its edition does not, the one that was meant.
 * Otherwise one wrong number would be followed by an error about every query.
 */
function meantEdition(root: YamlMap, written: Edition | undefined): Edition {
  const hasStreams = root.find('streams') !== undefined
  const hasDefinitions = root.find('bucket_definitions') !== undefined
  if (hasStreams && hasDefinitions) return written === 3 ? 3 : 2
  if (hasStreams) return written === 2 ? 2 : 3
  if (hasDefinitions) return written === 1 ? 1 : 2
  return written ?? 3
}

/** What the format alone does not say. */
function checkRules(root: YamlMap, problems: Problems): void {
  const streams = new Set(entriesOf(root, 'streams').map(({ name }) => name))
  for (const { name, keyOffset, value } of entriesOf(root, 'bucket_definitions')) {
    if (streams.has(name)) problems.error(keyOffset, `"${name}" names a stream as well: names must be unique`)
    if (value.kind !== 'map') continue
    const [parameters, data] = ['parameters', 'data'].map((key) => value.find(key))
    if (isEmptyList(parameters?.value) && data?.value.kind === 'list' && !isEmptyList(data.value)) {
      const advice = 'remove it for one bucket for everybody'
      problems.error(
        parameters?.keyOffset ?? keyOffset,
        `"parameters" of bucket definition "${name}" is empty: ${advice}`,
      )
    }
  }
  const config = root.find('config')?.value
  const version = config?.kind === 'map' ? config.find('storage_version')?.value : undefined
  if (version?.kind === 'number' && version.value > STORAGE_VERSION_DEFAULT) {
    problems.warn(version.offset, '"storage_version" has no effect here, and 3 is not stable elsewhere: remove it')
  }
}

function isEmptyList(value: YamlNode | undefined): boolean {
  return value?.kind === 'list' && value.items.length === 0
}

function warnOlderStreams(root: YamlMap, problems: Problems): void {
  const streams = root.find('streams')
  if (streams === undefined) return
  problems.warn(
    streams.keyOffset,
    'Streams of edition 2 are read by older rules, with fewer forms of queries: set "edition: 3"',
  )
  for (const { value } of entriesOf(root, 'streams')) {
    const priority = value.kind === 'map' ? value.find('priority') : undefined
    if (priority === undefined) continue
    problems.warn(priority.keyOffset, `"priority" of a stream has no effect in edition 2: it is ${PRIORITY_DEFAULT}`)
  }
}

function readValueOptions(root: YamlMap, edition: Edition): ValueOptions {
  const isOn = (flag: string): boolean => isFlagOn(root, flag, edition)
  const precision = root.find('config')?.value
  const word = precision?.kind === 'map' ? precision.find('timestamp_max_precision')?.value : undefined
  const digits = word?.kind === 'text' ? FRACTION_DIGITS[word.scalar.text] : undefined
  return {
    customTypes: isOn('custom_postgres_types'),
    fixedJsonExtract: isOn('fixed_json_extract'),
    engine: isOn('unstable_sqlite_expression_engine') ? 'sqlite' : 'default',
    times: { iso: isOn('timestamps_iso8601'), fractionDigits: digits ?? FRACTION_DIGITS['microseconds'] ?? 6 },
  }
}

type Named = { readonly offset: number; readonly map: YamlMap }

function readNamed<Entry>(root: YamlMap, key: string, read: (name: string, at: Named) => Entry): readonly Entry[] {
  return entriesOf(root, key).flatMap(({ name, keyOffset, value }) =>
    value.kind === 'map' ? [read(name, { offset: keyOffset, map: value })] : [],
  )
}

function readStream(name: string, { offset, map }: Named, edition: Edition): StreamEntry {
  const isCurrent = edition === 3
  return {
    name,
    offset,
    ctes: isCurrent ? readCtes(map) : [],
    queries: [...readTexts(map, 'query'), ...(isCurrent ? readTexts(map, 'queries') : [])],
    autoSubscribe: readFlag(map, 'auto_subscribe'),
    priority: isCurrent ? (readPriority(map) ?? PRIORITY_DEFAULT) : PRIORITY_DEFAULT,
    acceptDangerous: readFlag(map, 'accept_potentially_dangerous_queries'),
  }
}

function readDefinition(name: string, { offset, map }: Named): DefinitionEntry {
  return {
    name,
    offset,
    parameters: map.find('parameters') === undefined ? undefined : readTexts(map, 'parameters'),
    data: readTexts(map, 'data'),
    priority: readPriority(map),
    acceptDangerous: readFlag(map, 'accept_potentially_dangerous_queries'),
  }
}

function readEvent(name: string, { offset, map }: Named): EventEntry {
  return { name, offset, payloads: readTexts(map, 'payloads') }
}

function readCtes(map: YamlMap): readonly CteEntry[] {
  return entriesOf(map, 'with').flatMap(({ name, keyOffset, value }) =>
    value.kind === 'text' ? [{ name, offset: keyOffset, query: value.scalar }] : [],
  )
}

function entriesOf(map: YamlMap, key: string): YamlMap['entries'] {
  const value = map.find(key)?.value
  return value?.kind === 'map' ? value.entries : []
}

/** The queries under a key, whether they are one or a list. */
function readTexts(map: YamlMap, key: string): readonly ScalarText[] {
  const value = map.find(key)?.value
  const items = value?.kind === 'list' ? value.items : value === undefined ? [] : [value]
  return items.flatMap((item) => (item.kind === 'text' ? [item.scalar] : []))
}

function readFlag(map: YamlMap, key: string): boolean {
  const value = map.find(key)?.value
  return value?.kind === 'boolean' && value.value
}

function readPriority(map: YamlMap): number | undefined {
  const value = map.find('priority')?.value
  return value?.kind === 'number' && isPriority(value.value) ? value.value : undefined
}

function isPriority(value: number): boolean {
  return value === 0 || value === 1 || value === 2 || value === 3
}
