import { readFileSync } from 'node:fs'
import type { JsonObject } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { syncConfigSchema } from './file/json-schema.ts'
import { CAST_TYPES, SCALAR_FUNCTIONS } from './functions/signatures.ts'
import { BINARY } from './sql/precedence.ts'
import { RESERVED } from './sql/reserved.ts'

const PAGE = readFileSync(new URL('../../../docs/reference/sync-config.md', import.meta.url), 'utf8')

/** What stands below a heading, up to the next one. */
function section(heading: string): string {
  const [, text = ''] = PAGE.split(`\n${heading}\n`)
  return text.split(/^#{2,3} /m)[0] ?? ''
}

/** The rows that a section has for keys of the file. */
function keyRows(heading: string): readonly string[] {
  return section(heading)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
}

/** The rows that it should have. */
function describeKeys(properties: JsonObject): readonly string[] {
  return Object.entries(properties).map(([key, value]) => {
    const schema = value as JsonObject & { readonly description: string }
    const byItself = schema['default'] === undefined ? '' : `\`${JSON.stringify(schema['default'])}\``
    return `| \`${key}\` | ${describeValue(schema)} | ${byItself} | ${schema.description} |`
  })
}

function describeValue(schema: JsonObject): string {
  if (Array.isArray(schema['enum'])) return schema['enum'].map((choice) => `\`${String(choice)}\``).join(', ')
  if (schema['type'] === 'boolean') return '`true`, `false`'
  if (schema['type'] === 'string') return 'query'
  if (schema['type'] === 'array') return 'list of queries'
  if (schema['anyOf'] !== undefined && schema['type'] === undefined) return 'query or list of queries'
  if (schema['properties'] !== undefined) return 'below'
  return `name → ${(schema['additionalProperties'] as JsonObject)['type'] === 'string' ? 'query' : 'below'}`
}

function propertiesOf(schema: JsonObject): JsonObject {
  return schema['properties'] as JsonObject
}

const ROOT = propertiesOf(syncConfigSchema())

/** What may stand under each name of a section of the file. */
function entriesOf(key: string): JsonObject {
  return propertiesOf((ROOT[key] as JsonObject)['additionalProperties'] as JsonObject)
}

test.each([
  ['## The file', ROOT],
  ['### `config`', propertiesOf(ROOT['config'] as JsonObject)],
  ['### A stream', entriesOf('streams')],
  ['### A bucket definition', entriesOf('bucket_definitions')],
  ['### An event', entriesOf('event_definitions')],
])('the reference lists the keys of "%s" as the file has them', (heading, properties) => {
  expect(keyRows(heading)).toEqual(describeKeys(properties))
})

test('the reference lists every function, and none besides', () => {
  const [table = ''] = section('### Functions').split('| expression |')
  const rows = table.split('\n').filter((line) => line.startsWith('| `'))
  const named = rows.flatMap((row) => [...row.matchAll(/`(\w+)\(/g)].map(([, name]) => name))
  expect(new Set(named)).toEqual(new Set(Object.keys(SCALAR_FUNCTIONS)))
})

test('the reference lists the types of casts and every operator', () => {
  for (const type of CAST_TYPES) expect(section('### What operators do')).toContain(`\`${type}\``)
  const operators = section('### Operators').replaceAll('\\|', '|')
  for (const operator of Object.keys(BINARY)) {
    const written = /^[a-z]/.test(operator) ? operator.toUpperCase() : operator
    expect(operators).toContain(`\`${written}\``)
  }
})

test('the words that the reference says want quotes are reserved', () => {
  const [line = ''] = section('### Names and literals').match(/PostgreSQL's reserved words.*/) ?? []
  const words = [...line.matchAll(/`"(\w+)"`/g)].map(([, word = '']) => word)
  expect(words.length).toBeGreaterThan(3)
  expect(words.filter((word) => !RESERVED.has(word))).toEqual([])
})
