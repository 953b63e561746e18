import type { JsonObject, JsonValue } from '@headwater/protocol'
import {
  type Edition,
  EDITIONS,
  FILE_FORMAT,
  type Format,
  isOnByItself,
  type KeyFormat,
  type KeysFormat,
} from './format.ts'

/**
 * The JSON schema (draft 7) of sync configs, for editors: it completes keys, explains them, and marks what is wrong with
 * the structure of a file. It takes exactly the files that `checkFormat` has nothing to say about.
 */
export function syncConfigSchema(): JsonObject {
  const editions = EDITIONS.flatMap((edition) => {
    const refused = refusedIn(FILE_FORMAT, edition)
    return refused === undefined ? [] : [implies(isEdition(edition), refused)]
  })
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Headwater sync config',
    ...keysSchema(FILE_FORMAT),
    allOf: editions,
  }
}

function schemaOf(format: Format): JsonObject {
  switch (format.kind) {
    case 'boolean':
      return { type: 'boolean' }
    case 'choice':
      return { enum: [...format.choices] }
    case 'query':
      return QUERY
    case 'queries':
      return QUERIES
    case 'query-or-queries':
      return { anyOf: [QUERY, QUERIES] }
    case 'keys':
      return keysSchema(format)
    case 'names':
      return { type: 'object', additionalProperties: schemaOf(format.entry) }
  }
}

const QUERY = { type: 'string' }
const QUERIES = { type: 'array', items: QUERY }

function keysSchema({ keys, others, atLeastOne, exactlyOne }: KeysFormat): JsonObject {
  const entries = Object.entries(keys)
  const required = entries.flatMap(([key, { isRequired }]) => (isRequired === true ? [key] : []))
  const needs = entries.flatMap(([key, { needs: needed }]) => (needed === undefined ? [] : [needsSchema(key, needed)]))
  return {
    type: 'object',
    additionalProperties: others === 'ignored',
    ...(required.length === 0 ? {} : { required }),
    ...(atLeastOne === undefined ? {} : { anyOf: atLeastOne.map(requires) }),
    ...(exactlyOne === undefined ? {} : { oneOf: exactlyOne.map(requires) }),
    ...(needs.length === 0 ? {} : { allOf: needs }),
    properties: Object.fromEntries(entries.map(([key, format]) => [key, keySchema(format)])),
  }
}

function keySchema({ description, default: byItself, format }: KeyFormat): JsonObject {
  return { description, ...(byItself === undefined ? {} : { default: byItself }), ...schemaOf(format) }
}

function requires(key: string): JsonObject {
  return { required: [key] }
}

/** Of `config`: where the key is there and not false, the flag is on, in one of the editions. */
function needsSchema(key: string, { flag, editions }: NonNullable<KeyFormat['needs']>): JsonObject {
  const edition = editions.length === EDITIONS.length ? [] : [has('edition', { enum: [...editions] })]
  return implies(has(key, { not: { const: false } }), { allOf: [...edition, isOn(flag)] })
}

/** By `else`, as lint takes an object with a member `then` for a promise. */
function implies(condition: JsonObject, consequence: JsonObject): JsonObject {
  return { if: { not: condition }, else: consequence }
}

function isOn(flag: string): JsonObject {
  const editions = EDITIONS.filter((edition) => isOnByItself(flag, edition))
  const byItself = { ...has('edition', { enum: [...editions] }), not: has(flag, { const: false }) }
  return { anyOf: [has(flag, { const: true }), byItself] }
}

function has(key: string, value: JsonObject): JsonObject {
  return { required: [key], properties: { [key]: value } }
}

function isEdition(edition: Edition): JsonObject {
  const config = { properties: { edition: { const: edition } } }
  return edition === 1 ? { properties: { config } } : has('config', { required: ['edition'], ...config })
}

/** Marks the keys that do not exist in the edition; undefined when there are none. */
function refusedIn(format: Format, edition: Edition): JsonObject | undefined {
  if (format.kind === 'names') {
    const entry = refusedIn(format.entry, edition)
    return entry === undefined ? undefined : { additionalProperties: entry }
  }
  if (format.kind !== 'keys') return undefined
  const properties: Record<string, JsonValue> = {}
  for (const [key, { only, format: inner }] of Object.entries(format.keys)) {
    const refused = only === undefined || only.editions.includes(edition) ? refusedIn(inner, edition) : false
    if (refused !== undefined) properties[key] = refused
  }
  return Object.keys(properties).length === 0 ? undefined : { properties }
}
