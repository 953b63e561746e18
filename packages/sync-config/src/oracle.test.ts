import { toBucketName, type BucketName } from '@headwater/protocol'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'
import { loadPlan } from './load.ts'
import { requestOf, sourceTable } from './testing/builders.ts'
import {
  type Cond,
  grantedRows,
  type Operand,
  type OracleRow,
  type OracleTables,
  printQuery,
  type Query,
} from './testing/oracle.ts'
import type { EvaluatedObject, LoadedPlan, LookupKey, LookupOutputs, RowOutcome, TextRow } from './types.ts'

/** Printed with a failure; set HEADWATER_SEED to run one again. */
const SEED = Number(process.env['HEADWATER_SEED'] ?? Date.now() % 2 ** 31)
const TABLES = ['t0', 't1', 't2']
const COLUMNS = ['a', 'b', 'c', 'd']
const SOURCES = TABLES.map((name) => sourceTable(name, 'id, a, b int4, c bool, d float8'))

const value = {
  a: fc.constantFrom('x', 'y', '1', null),
  b: fc.constantFrom(0, 1, 2, null),
  c: fc.constantFrom(true, false, null),
  d: fc.constantFrom(1, 1.5, 2, null),
}
const rowOf = (id: string): fc.Arbitrary<OracleRow> => fc.record({ id: fc.constant(id), ...value })
const literal = fc
  .constantFrom<string | number | boolean | null>('x', 'y', '1', 0, 1, 1.5, true, null)
  .map((of): Operand => ({ kind: 'literal', value: of }))
const requestValue: fc.Arbitrary<Operand> = fc.oneof(
  fc.constant<Operand>({ kind: 'request', source: 'auth', name: 'sub' }),
  fc
    .constantFrom('auth', 'connection', 'subscription')
    .map((source): Operand => ({ kind: 'request', source, name: 'p' })),
)
const columnOf = (aliases: readonly string[]): fc.Arbitrary<Operand> =>
  fc.record({
    kind: fc.constant('column' as const),
    alias: fc.constantFrom(...aliases),
    column: fc.constantFrom(...COLUMNS),
  })

/** Conditions on one row, or on the request alone: NOT may stand over them. */
function pure(aliases: readonly string[], depth: number): fc.Arbitrary<Cond> {
  const test = (operand: fc.Arbitrary<Operand>): fc.Arbitrary<Cond> =>
    fc.oneof(
      fc.record({
        kind: fc.constant('compare' as const),
        operator: fc.constantFrom('=', '!=', '<', '>='),
        left: operand,
        right: literal,
      }),
      fc.record({ kind: fc.constant('is-null' as const), operand }),
      fc.record({ kind: fc.constant('truth' as const), operand }),
    )
  const leaf = fc.oneof(test(columnOf(aliases)), test(requestValue))
  return depth === 0 ? leaf : fc.oneof(leaf, logic(pure(aliases, depth - 1)), pure(aliases, depth - 1).map(not))
}

function logic(part: fc.Arbitrary<Cond>): fc.Arbitrary<Cond> {
  return fc.record({ kind: fc.constantFrom('and', 'or'), parts: fc.array(part, { minLength: 1, maxLength: 3 }) })
}

function not(part: Cond): Cond {
  return { kind: 'not', part }
}

function condition(aliases: readonly string[], depth: number): fc.Arbitrary<Cond> {
  const equals = (left: fc.Arbitrary<Operand>, right: fc.Arbitrary<Operand>): fc.Arbitrary<Cond> =>
    fc.record({ kind: fc.constant('compare' as const), operator: fc.constant('=' as const), left, right })
  const column = columnOf(aliases)
  const leaf = fc.oneof(
    pure(aliases, 1),
    equals(column, requestValue),
    equals(requestValue, column),
    equals(column, column),
  )
  if (depth === 0) return leaf
  const alias = `r${aliases.length}`
  const inner = fc.record({
    table: fc.constantFrom(...TABLES),
    alias: fc.constant(alias),
    where: fc.option(condition([alias, alias, ...aliases], depth - 1), { nil: undefined }),
  })
  const subquery: fc.Arbitrary<Cond> = fc.record({
    kind: fc.constant('in' as const),
    operand: fc.oneof({ weight: 3, arbitrary: column }, requestValue),
    query: inner,
    column: fc.constantFrom(...COLUMNS),
  })
  return fc.oneof(
    leaf,
    { weight: 2, arbitrary: subquery },
    { weight: 2, arbitrary: logic(condition(aliases, depth - 1)) },
  )
}

const query: fc.Arbitrary<Query> = fc.record({
  table: fc.constantFrom(...TABLES),
  alias: fc.constant('p'),
  where: fc.option(condition(['p'], 2), { nil: undefined }),
})
const parameter = fc.constantFrom('x', 'y', '1', 1, 2, 1.5, true, null)
const parameters = fc.record({ p: parameter }, { requiredKeys: [] })
const request = fc.record({
  auth: fc.record({ sub: fc.constantFrom('x', 'y', '1'), p: parameter }, { requiredKeys: ['sub'] }),
  connection: parameters,
  subscription: parameters,
})
const rows = fc
  .array(fc.constantFrom(...COLUMNS), { maxLength: 5 })
  .chain((list) => fc.tuple(...list.map((_, index) => rowOf(`k${index}`))))
const tables: fc.Arbitrary<OracleTables> = fc.record({ t0: rows, t1: rows, t2: rows })
/** A row is put in the place of the one with its id, or taken away. */
const changes = fc.array(
  fc.record({
    table: fc.constantFrom(...TABLES),
    row: fc.constantFrom('k0', 'k1', 'k2', 'k7').chain(rowOf),
    isDelete: fc.boolean(),
  }),
  { maxLength: 4 },
)

test('what is granted equals nested loops over all rows, before and after every change', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(query, { minLength: 1, maxLength: 3 }),
      tables,
      request,
      changes,
      async (queries, start, asks, steps) => {
        const plan = loadQueries(queries)
        fc.pre(plan !== undefined)
        if (plan === undefined) return
        const device = new Device(plan)
        let now: OracleTables = { t0: [], t1: [], t2: [] }
        const subscriptions = [{ stream: 's', parameters: asks.subscription, overridePriority: undefined }]
        const ask = requestOf(asks.auth, { parameters: asks.connection, subscriptions })
        for (const table of TABLES) for (const row of start[table] ?? []) device.replace(table, undefined, row)
        now = start
        for (const step of [undefined, ...steps]) {
          if (step !== undefined) {
            const { before, after } = applyStep(now, step)
            device.replace(step.table, before, step.isDelete ? undefined : step.row)
            now = after
          }
          const byDefault = { ...asks, subscription: undefined }
          const expected = queries.flatMap((each, index) =>
            [byDefault, asks].flatMap((one) => grantedRows(each, now, one).map((row) => `q${index} ${row['id']}`)),
          )
          const resolution = await plan.resolve(ask, device.readLookups)
          expect(device.visible(resolution.buckets.map(({ bucket }) => bucket))).toEqual(
            [...new Set(expected)].toSorted(),
          )
          expect(
            device.mustResolveAgain(
              resolution.lookupKeys,
              resolution.buckets.map(({ bucket }) => bucket),
            ),
          ).toBe(false)
        }
      },
    ),
    { seed: SEED, numRuns: 300 },
  )
})

test('equal conditions in another order give the same plan', () => {
  fc.assert(
    fc.property(query, (one) => {
      const [plan, shuffled] = [one, { ...one, where: one.where && reversed(one.where) }].map((each) =>
        loadQueries([each]),
      )
      expect(shuffled?.hash).toBe(plan?.hash)
    }),
    { seed: SEED, numRuns: 100 },
  )
})

function reversed(cond: Cond): Cond {
  switch (cond.kind) {
    case 'and':
    case 'or':
      return { kind: cond.kind, parts: cond.parts.map(reversed).toReversed() }
    case 'not':
      return not(reversed(cond.part))
    case 'in':
      return { ...cond, query: { ...cond.query, where: cond.query.where && reversed(cond.query.where) } }
    case 'compare':
      return cond.operator === '=' ? { ...cond, left: cond.right, right: cond.left } : cond
    case 'is-null':
    case 'truth':
      return cond
  }
}

/** One stream with all queries, each with its own output table. Undefined when a query has too many alternatives. */
function loadQueries(queries: readonly Query[]): LoadedPlan | undefined {
  const sql = queries.map((each, index) => {
    const text = printQuery(each, '*')
    return text.replaceAll(/\bp\b(?=\.|( WHERE|$))/g, `q${index}`)
  })
  const config = JSON.stringify({ config: { edition: 3 }, streams: { s: { auto_subscribe: true, queries: sql } } })
  const result = compileSyncConfig(config)
  if (result.kind === 'compiled') return loadPlan(result.plan, { generation: 1, bucketsMax: 100_000 })
  expect(result.diagnostics.filter(({ severity }) => severity === 'error').map(({ message }) => message)).toEqual(
    expect.arrayContaining([expect.stringContaining('alternatives')]),
  )
  return undefined
}

type Step = { readonly table: string; readonly row: OracleRow; readonly isDelete: boolean }

function applyStep(
  now: OracleTables,
  { table, row, isDelete }: Step,
): { before: OracleRow | undefined; after: OracleTables } {
  const list = now[table] ?? []
  const others = list.filter(({ id }) => id !== row['id'])
  return {
    before: list.find(({ id }) => id === row['id']),
    after: { ...now, [table]: isDelete ? others : [...others, row] },
  }
}

/** Buckets and lookups, kept only by what evaluating rows says: what a row gave before is taken away, then it is added. */
class Device {
  readonly #plan: LoadedPlan
  readonly #buckets = new Map<BucketName, EvaluatedObject[]>()
  readonly #lookups = new Map<LookupKey, LookupOutputs[]>()
  /** Keys whose entries changed since the last look. */
  readonly #touched = new Set<LookupKey>()
  #lastBuckets: string | undefined

  constructor(plan: LoadedPlan) {
    this.#plan = plan
  }

  readonly readLookups = (keys: readonly LookupKey[]): Promise<readonly (readonly LookupOutputs[])[]> =>
    Promise.resolve(keys.map((key) => this.#lookups.get(key) ?? []))

  replace(table: string, before: OracleRow | undefined, after: OracleRow | undefined): void {
    for (const { bucket, type, id } of this.#evaluate(table, before)?.objects ?? []) {
      const left = (this.#buckets.get(bucket) ?? []).filter((object) => object.type !== type || object.id !== id)
      this.#buckets.set(bucket, left)
    }
    for (const { key, outputs } of this.#evaluate(table, before)?.lookups ?? []) {
      const entries = this.#lookups.get(key) ?? []
      entries.splice(entries.indexOf(outputs), 1)
      this.#touched.add(key)
    }
    for (const object of this.#evaluate(table, after)?.objects ?? []) {
      this.#buckets.set(object.bucket, [...(this.#buckets.get(object.bucket) ?? []), object])
    }
    for (const { key, outputs } of this.#evaluate(table, after)?.lookups ?? []) {
      this.#lookups.set(key, [...(this.#lookups.get(key) ?? []), outputs])
      this.#touched.add(key)
    }
  }

  visible(buckets: readonly BucketName[]): readonly string[] {
    const objects = buckets.flatMap((bucket) => this.#buckets.get(bucket) ?? [])
    return [...new Set(objects.map(({ type, id }) => `${type} ${id}`))].toSorted()
  }

  /** Did the buckets change although no lookup key that was read has changed? That would go unnoticed. */
  mustResolveAgain(keys: readonly LookupKey[], buckets: readonly BucketName[]): boolean {
    const text = [...buckets].toSorted().join('\n')
    const isUnnoticed =
      this.#lastBuckets !== undefined &&
      this.#lastBuckets !== text &&
      !this.#watched.some((key) => this.#touched.has(key))
    this.#lastBuckets = text
    this.#watched = keys
    this.#touched.clear()
    return isUnnoticed
  }

  #watched: readonly LookupKey[] = []

  #evaluate(table: string, row: OracleRow | undefined): RowOutcome | undefined {
    const source = SOURCES.find(({ name }) => name === table)
    const program = source === undefined ? undefined : this.#plan.forTable(source)
    return row === undefined ? undefined : program?.evaluate(toText(row))
  }
}

function toText(row: OracleRow): TextRow {
  return ['id', ...COLUMNS].map((column) => {
    const of = row[column] ?? null
    if (typeof of === 'boolean') return of ? 't' : 'f'
    return of === null ? null : String(of)
  })
}

test('names of buckets never begin with the sign that clients keep for themselves', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (name, key) => {
      const config = JSON.stringify({
        config: { edition: 3 },
        streams: { [name]: { query: 'SELECT id FROM t0 WHERE a = auth.user_id()' } },
      })
      const result = compileSyncConfig(config)
      if (result.kind === 'refused') return
      const program = loadPlan(result.plan, { generation: 7, bucketsMax: 1 }).forTable(
        SOURCES[0] ?? sourceTable('t0', 'id'),
      )
      const [object] = program?.evaluate(['k', key, null, null, null]).objects ?? []
      expect(object?.bucket).toMatch(/^[\w.-]*\|7\.[0-9a-f]+\[/)
      expect(toBucketName(object?.bucket.slice(object.bucket.indexOf('[')) ?? '')).toBe(JSON.stringify([key]))
    }),
    { seed: SEED, numRuns: 100 },
  )
})
