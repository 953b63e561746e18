import type { JsonObject, JsonValue } from '@headwater/protocol'
import { readSeed } from '@headwater/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readConfigFile } from './config-file.ts'
import { Problems } from './diagnostics.ts'
import { syncConfigSchema } from './json-schema.ts'

const SCHEMA = syncConfigSchema()
const ANNOTATIONS = new Set(['$schema', 'title', 'description', 'default'])

/** Does `value` fit? By the rules of JSON schema, for the keywords that the schema uses; throws at any other. */
function fits(value: JsonValue | undefined, schema: JsonValue | undefined): boolean {
  if (value === undefined || typeof schema === 'boolean') return value === undefined || schema === true
  return Object.entries(schema as JsonObject).every(([keyword, wanted]) => {
    if (ANNOTATIONS.has(keyword) || keyword === 'else') return true
    const check = KEYWORDS[keyword]
    if (check === undefined) throw new Error(`The schema uses "${keyword}", which this test does not know`)
    return check(value, wanted, schema as JsonObject)
  })
}

type Check = (value: JsonValue, wanted: JsonValue, schema: JsonObject) => boolean

const KEYWORDS: { readonly [keyword: string]: Check } = {
  type: (value, wanted) => typeOf(value) === wanted,
  enum: (value, wanted) => list(wanted).includes(value),
  const: (value, wanted) => value === wanted,
  not: (value, wanted) => !fits(value, wanted),
  anyOf: (value, wanted) => list(wanted).some((schema) => fits(value, schema)),
  oneOf: (value, wanted) => list(wanted).filter((schema) => fits(value, schema)).length === 1,
  allOf: (value, wanted) => list(wanted).every((schema) => fits(value, schema)),
  if: (value, wanted, schema) => fits(value, wanted) || fits(value, schema['else']),
  items: (value, wanted) => !Array.isArray(value) || value.every((item: JsonValue) => fits(item, wanted)),
  required: (value, wanted) =>
    !isObject(value) || (wanted as readonly string[]).every((key) => Object.hasOwn(value, key)),
  properties: (value, wanted) =>
    !isObject(value) || Object.entries(wanted as JsonObject).every(([key, schema]) => fits(own(value, key), schema)),
  additionalProperties: (value, wanted, schema) => {
    const known = (schema['properties'] ?? {}) as JsonObject
    return !isObject(value) || Object.keys(value).every((key) => Object.hasOwn(known, key) || fits(value[key], wanted))
  },
}

function list(value: JsonValue): readonly JsonValue[] {
  return value as readonly JsonValue[]
}

function own(value: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined
}

function isObject(value: JsonValue): value is JsonObject {
  return typeOf(value) === 'object'
}

function typeOf(value: JsonValue): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

/** What the parser says against the structure of a file. JSON is YAML. */
function faultsOf(file: JsonValue): readonly string[] {
  const text = JSON.stringify(file, null, 1)
  const problems = new Problems(text)
  readConfigFile(text, problems)
  return problems.list().flatMap(({ severity, message }) => (severity === 'error' ? [message] : []))
}

const STREAM = { query: 'SELECT id FROM t' }
const DEFINITION = { data: ['SELECT id FROM t'] }
const EDITION_3 = { edition: 3 }

const GOOD: readonly JsonObject[] = [
  { bucket_definitions: {} },
  { bucket_definitions: { a: { data: [] }, b: { ...DEFINITION, parameters: 'SELECT 1 AS a', priority: 0 } } },
  { config: {}, bucket_definitions: { a: { ...DEFINITION, parameters: ['SELECT 1 AS a', 'SELECT 2 AS a'] } } },
  { config: { edition: 2, storage_version: 3 }, bucket_definitions: {}, streams: { s: STREAM } },
  { config: { edition: 2 }, streams: { s: { ...STREAM, auto_subscribe: true, priority: 1 } } },
  { config: EDITION_3, streams: {} },
  { config: EDITION_3, streams: { s: { queries: [] }, t: { ...STREAM, with: { a: 'SELECT b FROM c' } } }, with: {} },
  { config: { ...EDITION_3, timestamp_max_precision: 'seconds' }, streams: {} },
  { config: { edition: 1, timestamps_iso8601: true, timestamp_max_precision: 'milliseconds' }, bucket_definitions: {} },
  { config: { ...EDITION_3, unstable_sqlite_expression_engine: true }, streams: {} },
  { config: { edition: 1, unstable_sqlite_expression_engine: false }, bucket_definitions: {} },
  {
    config: { ...EDITION_3, versioned_bucket_ids: false, custom_postgres_types: false, fixed_json_extract: false },
    streams: {},
  },
  { bucket_definitions: {}, event_definitions: { e: { payloads: ['SELECT a FROM t'], other: 1 } } },
  { bucket_definitions: { a: { ...DEFINITION, accept_potentially_dangerous_queries: true } } },
]

const BAD: readonly JsonValue[] = [
  [],
  'streams',
  {},
  { config: EDITION_3 },
  { config: EDITION_3, with: { a: 'SELECT 1' } },
  { streams: {} },
  { config: EDITION_3, streams: null },
  { config: null, bucket_definitions: {} },
  { config: EDITION_3, bucket_definitions: {} },
  { config: EDITION_3, bucket_definitions: {}, streams: {} },
  { config: { edition: 4 }, streams: {} },
  { config: { edition: '3' }, streams: {} },
  { config: { edition: 2.5 }, streams: {} },
  { config: { edition: 3, edtion: 3 }, streams: {} },
  { config: { edition: 3, storage_version: 1 }, streams: {} },
  { config: { edition: 2, timestamps_iso8601: 1 }, bucket_definitions: {} },
  { config: { edition: 2, timestamps_iso8601: 'yes' }, bucket_definitions: {} },
  { config: { timestamp_max_precision: 'seconds' }, bucket_definitions: {} },
  { config: { edition: 3, timestamps_iso8601: false, timestamp_max_precision: 'seconds' }, streams: {} },
  { config: { edition: 3, timestamp_max_precision: 'minutes' }, streams: {} },
  { config: { edition: 2, unstable_sqlite_expression_engine: true }, bucket_definitions: {} },
  { config: { edition: 3, unstable_sqlite_expression_engine: true, fixed_json_extract: false }, streams: {} },
  { config: EDITION_3, streams: {}, streems: {} },
  { config: EDITION_3, streams: { s: {} } },
  { config: EDITION_3, streams: { s: { ...STREAM, queries: [] } } },
  { config: EDITION_3, streams: { s: { queries: ['SELECT id FROM t', 1] } } },
  { config: EDITION_3, streams: { s: { query: ['SELECT id FROM t'] } } },
  { config: EDITION_3, streams: { s: { ...STREAM, priority: 4 } } },
  { config: EDITION_3, streams: { s: { ...STREAM, priority: 1.5 } } },
  { config: EDITION_3, streams: { s: { ...STREAM, auto_subscribe: 'true' } } },
  { config: EDITION_3, streams: { s: { ...STREAM, with: { a: ['SELECT 1'] } } } },
  { config: EDITION_3, streams: { s: { ...STREAM, parameters: 'SELECT 1' } } },
  { config: EDITION_3, streams: { s: 'SELECT id FROM t' } },
  { config: { edition: 2 }, streams: { s: { queries: ['SELECT id FROM t'] } } },
  { config: { edition: 2 }, streams: { s: { ...STREAM, with: {} } } },
  { config: { edition: 2 }, streams: {}, with: {} },
  { bucket_definitions: { a: {} } },
  { bucket_definitions: { a: { data: 'SELECT id FROM t' } } },
  { bucket_definitions: { a: { ...DEFINITION, parameters: 1 } } },
  { bucket_definitions: { a: { ...DEFINITION, priority: -1 } } },
  { bucket_definitions: { a: { ...DEFINITION, query: 'SELECT id FROM t' } } },
  { bucket_definitions: { a: null } },
  { bucket_definitions: {}, event_definitions: { e: {} } },
  { bucket_definitions: {}, event_definitions: { e: { payloads: 'SELECT a FROM t' } } },
]

/** What a random change may write. */
const VALUES: readonly JsonValue[] = JSON.parse(`[
  true, false, null, 0, 1, 2, 3, 4, 1.5, "", "yes", "seconds", "SELECT id FROM t", [], ["SELECT id FROM t"], {},
  {"edition": 1}, {"edition": 2}, {"edition": 3}, {"s": {"query": "SELECT id FROM t"}}, {"s": {"queries": []}},
  {"d": {"data": ["SELECT id FROM t"]}}
]`) as readonly JsonValue[]

describe('the JSON schema of sync configs', () => {
  test.each(GOOD.map((file) => [JSON.stringify(file), file]))('takes %s, as the parser does', (_, file) => {
    expect([fits(file, SCHEMA), faultsOf(file)]).toEqual([true, []])
  })

  test.each(BAD.map((file) => [JSON.stringify(file), file]))('refuses %s, as the parser does', (_, file) => {
    expect([fits(file, SCHEMA), faultsOf(file).length > 0]).toEqual([false, true])
  })

  test('agrees with the parser on good files with a few random changes', () => {
    const seed = readSeed(process.env)
    const value = fc.constantFrom(...VALUES)
    const change = fc.record({ at: fc.nat(), isRemoved: fc.boolean(), key: fc.constantFrom(...allKeys()), value })
    const verdicts = { good: 0, bad: 0 }
    fc.assert(
      fc.property(fc.constantFrom(...GOOD), fc.array(change, { minLength: 1, maxLength: 3 }), (file, changes) => {
        const changed = changes.reduce(
          (before, { at, ...rest }) => applyChange(before, rest, at),
          structuredClone(file),
        )
        const faults = faultsOf(changed).filter((message) => !BEYOND_THE_SCHEMA.test(message))
        verdicts[faults.length === 0 ? 'good' : 'bad']++
        expect([fits(changed, SCHEMA), JSON.stringify(changed), faults]).toEqual([
          faults.length === 0,
          JSON.stringify(changed),
          faults,
        ])
      }),
      { seed, numRuns: 1_000 },
    )
    expect(Math.min(verdicts.good, verdicts.bad), `seed ${seed}`).toBeGreaterThan(10)
  })

  test('explains every key', () => {
    const keys = propertiesIn(SCHEMA)
    expect(keys.length).toBeGreaterThan(20)
    for (const { key, schema } of keys) expect([key, typeof schema['description']]).toEqual([key, 'string'])
  })
})

/** What only the parser says: names in two sections, and an empty list of parameters. */
const BEYOND_THE_SCHEMA = /names a stream as well|"parameters" of bucket definition ".*" is empty/

type Change = { readonly isRemoved: boolean; readonly key: string; readonly value: JsonValue }

/** Sets or removes a key of one of the objects in the file. */
function applyChange(file: JsonObject, { isRemoved, key, value }: Change, at: number): JsonObject {
  const objects = objectsIn(file)
  const target = objects[at % objects.length] as Record<string, JsonValue>
  const keys = Object.keys(target)
  if (!isRemoved) target[key] = structuredClone(value)
  else if (keys.length > 0) delete target[keys[at % keys.length] ?? '']
  return file
}

function objectsIn(value: JsonValue): readonly JsonObject[] {
  if (Array.isArray(value)) return value.flatMap(objectsIn)
  return isObject(value) ? [value, ...Object.values(value).flatMap((inner) => objectsIn(inner ?? null))] : []
}

type Property = { readonly key: string; readonly schema: JsonObject }

/** The keys of the file's format, at all levels. */
function propertiesIn(schema: JsonObject): readonly Property[] {
  const { properties = {}, additionalProperties } = schema as { readonly [keyword: string]: JsonObject }
  const own = Object.entries(properties).map(([key, value]) => ({ key, schema: value as JsonObject }))
  const named = additionalProperties !== undefined && isObject(additionalProperties) ? [additionalProperties] : []
  return [...own, ...[...own.map((property) => property.schema), ...named].flatMap(propertiesIn)]
}

function allKeys(): readonly string[] {
  return [...new Set(propertiesIn(SCHEMA).map(({ key }) => key)), 's', 'oops']
}
