import type { BucketName, JsonObject } from '@headwater/protocol'
import { expect } from 'vitest'
import { loadPlan } from '../load.ts'
import { preview } from '../preview.ts'
import type { PreviewRequest } from '../preview/decode-input.ts'
import type { TypeDescriptions } from '../preview/type-names.ts'
import type { Plan, Request, Resolution, SourceTable, TextRow } from '../types.ts'
import { planOf, previewTable, sourceTable } from './builders.ts'
import { MemoryStorage, printObject } from './memory-storage.ts'

/** For tests: a config with rows, and everything that can be seen of what it does with them. */
export type WorkedExample = {
  readonly config: string
  readonly types?: TypeDescriptions
  readonly tables: readonly ExampleTable[]
  /** Objects by bucket, as `type/id data`. The names only tell buckets apart; those of the service are others. */
  readonly buckets: { readonly [label: string]: readonly string[] }
  /** Entries by table, as `["key"] → ["output"] ["output"]`; values inside one pair of brackets in any order. */
  readonly lookups?: { readonly [table: string]: readonly string[] }
  readonly requests: readonly ExampleRequest[]
}

export type ExampleTable = {
  readonly schema: string
  readonly name: string
  readonly columns: string
  readonly rows: readonly TextRow[]
}

export type ExampleRequest = {
  readonly claims: JsonObject
  readonly parameters?: JsonObject
  readonly includeDefaults?: boolean
  readonly subscriptions?: NonNullable<PreviewRequest['subscriptions']>
  /** Labels, with ` (priority 0)` behind those whose priority is not 3. */
  readonly gets: readonly string[]
}

/**
 * For tests: a table and rows as Postgres prints them: `l1 | ann | NULL`. Columns as in `sourceTable`; the name may have
 * a schema before it.
 */
export function exampleTable(name: string, columns: string, ...rows: readonly string[]): ExampleTable {
  const parts = name.split('.')
  return { schema: parts.at(-2) ?? 'public', name: parts.at(-1) ?? name, columns, rows: rows.map(rowOf) }
}

export function rowOf(text: string): TextRow {
  return text.split(' | ').map((value) => (value === 'NULL' ? null : value))
}

export function describeTable({ schema, name, columns }: ExampleTable, types: TypeDescriptions = {}): SourceTable {
  return { ...sourceTable(name, columns, types), schema }
}

/** Everything that the rows of the tables give. Rows are named by their position: `0`, `1`, … */
export function storageOf(
  config: string,
  tables: readonly ExampleTable[],
  types: TypeDescriptions = {},
): MemoryStorage {
  const storage = new MemoryStorage(loadPlan(planOf(config), { generation: 1, bucketsMax: 1000 }))
  for (const table of tables) {
    const described = describeTable(table, types)
    for (const [index, row] of table.rows.entries()) storage.put(described, String(index), row)
  }
  return storage
}

/** Checks objects and distinctness of buckets, lookup entries, what requests get, and that a preview says the same. */
export async function checkExample(example: WorkedExample): Promise<void> {
  const { config, tables, types, buckets, lookups, requests } = example
  expectSamePlanAgain(planOf(config), config)
  const storage = storageOf(config, tables, types)
  expect(storage.outcomes().flatMap(({ outcome }) => outcome.errors)).toEqual([])
  expectEachOnce(storage)
  const resolutions = await Promise.all(requests.map((request) => storage.resolve(toRequest(request))))
  expect(resolutions.flatMap(({ streams }) => streams.flatMap(({ errors }) => errors))).toEqual([])
  expect(describeBuckets(storage, resolutions)).toEqual(describeExpected(buckets, requests))
  if (lookups !== undefined) expect(describeLookups(storage)).toEqual(describeExpectedLookups(lookups))
  for (const [index, request] of requests.entries()) {
    const granted = resolutions[index]?.buckets.map(({ bucket }) => bucket) ?? []
    expect(await previewRows(example, request)).toEqual(storage.objectsIn(granted))
  }
}

/** Compiling is a function of the text, and a plan survives being stored. */
function expectSamePlanAgain(plan: Plan, config: string): void {
  expect(planOf(config)).toEqual(plan)
  const stored = JSON.parse(JSON.stringify(plan)) as Plan
  expect(loadPlan(stored, { generation: 1, bucketsMax: 1000 }).hash).toBe(plan.hash)
}

/** No row gives one bucket the same object twice, and all data are JSON. */
function expectEachOnce(storage: MemoryStorage): void {
  for (const { outcome } of storage.outcomes()) {
    const names = outcome.objects.map(({ bucket, type, id }) => JSON.stringify([bucket, type, id]))
    expect(names).toEqual([...new Set(names)])
    for (const { data } of outcome.objects) expect(() => JSON.parse(data) as unknown).not.toThrow()
  }
}

/** A bucket is what it holds and who gets it. */
function describeBuckets(storage: MemoryStorage, resolutions: readonly Resolution[]): readonly string[] {
  const contents = storage.buckets()
  const granted = resolutions.flatMap(({ buckets }) => buckets.map(({ bucket }) => bucket))
  const names = new Set<BucketName>([...contents.keys(), ...granted])
  return [...names]
    .map((name) => {
      const objects = [...(contents.get(name) ?? [])].map(([key, data]) => printObject(key, data))
      const grants = resolutions.flatMap(({ buckets }, index) =>
        buckets.filter(({ bucket }) => bucket === name).map(({ priority }) => `request ${index + 1}: ${priority}`),
      )
      return describeBucket(objects, grants)
    })
    .toSorted()
}

function describeExpected(buckets: WorkedExample['buckets'], requests: readonly ExampleRequest[]): readonly string[] {
  const asked = requests.map(({ gets }) =>
    gets.map((text) => {
      const [, label = text, priority = '3'] = /^(.*?)(?: \(priority (\d)\))?$/.exec(text) ?? []
      return { label, priority }
    }),
  )
  const labels = new Set([...Object.keys(buckets), ...asked.flat().map(({ label }) => label)])
  return [...labels]
    .map((name) => {
      const grants = asked.flatMap((gets, index) =>
        gets.filter(({ label }) => label === name).map(({ priority }) => `request ${index + 1}: ${priority}`),
      )
      return describeBucket(buckets[name] ?? [], grants)
    })
    .toSorted()
}

function describeBucket(objects: readonly string[], grants: readonly string[]): string {
  return `{ ${objects.toSorted().join(', ')} } for { ${grants.join(', ')} }`
}

function describeLookups(storage: MemoryStorage): readonly string[] {
  const entries = storage
    .outcomes()
    .flatMap(({ table, outcome }) => outcome.lookups.map(({ key, outputs }) => ({ table: table.name, key, outputs })))
  return [...Map.groupBy(entries, ({ table, key }) => `${table} ${key}`).values()]
    .map((group) => {
      const [{ table, key } = { table: '', key: '[' }] = group
      const outputs = new Set(group.map((entry) => normalArray(entry.outputs)))
      return `${table} ${normalArray(key.slice(key.indexOf('[')))} → ${[...outputs].toSorted().join(' ')}`
    })
    .toSorted()
}

function describeExpectedLookups(lookups: NonNullable<WorkedExample['lookups']>): readonly string[] {
  return Object.entries(lookups)
    .flatMap(([table, entries]) =>
      entries.map((entry) => {
        const [key = '', outputs = ''] = entry.split(' → ')
        return `${table} ${normalArray(key)} → ${outputs.split(' ').map(normalArray).toSorted().join(' ')}`
      }),
    )
    .toSorted()
}

/** The order of values inside is the compiler's own. */
function normalArray(text: string): string {
  return JSON.stringify((JSON.parse(text) as readonly unknown[]).map((value) => JSON.stringify(value)).toSorted())
}

export function toRequest(request: Omit<ExampleRequest, 'gets'>): Request {
  const { claims, parameters = {}, includeDefaults = true, subscriptions = [] } = request
  return {
    claims,
    parameters,
    includeDefaults,
    subscriptions: subscriptions.map(({ stream, parameters: own, priority }) => {
      return { stream, parameters: own ?? {}, overridePriority: priority ?? undefined }
    }),
  }
}

async function previewRows(example: WorkedExample, request: ExampleRequest): Promise<readonly string[]> {
  const tables = example.tables.map(({ schema, name, columns, rows }) => {
    return [`${schema}.${name}`, { schema, name, ...previewTable(columns, ...rows.map(toTexts)) }] as const
  })
  const { claims, gets: _, ...asked } = request
  const result = await preview({
    config: example.config,
    data: { types: example.types ?? {}, tables: Object.fromEntries(tables) },
    request: { jwt: claims, ...asked },
  })
  if ('errors' in result) throw new Error(result.errors.map(({ message }) => message).join('\n'))
  return [...new Set(result.rows.map(({ type, id, data }) => `${type}/${id} ${data}`))].toSorted()
}

function toTexts(row: TextRow): readonly (string | null)[] {
  return row.map((text) => text ?? null)
}
