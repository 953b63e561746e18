import type { JsonValue } from '@headwater/protocol'
import { readSeed } from '@headwater/testkit'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadPlan } from './load.ts'
import { planOf, requestOf, sourceTable } from './testing/builders.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import {
  grantOf,
  type OracleCell,
  type OracleDefinition,
  type OracleParameterQuery,
  type OracleRow,
  type OracleTables,
  type OracleTest,
  type OracleValue,
  printDefinition,
} from './testing/older-oracle.ts'

/** Printed with a failure; set SEED to run one again. */
const SEED = readSeed(process.env)
const CASES = 1000
const TIMEOUT_MS = 60_000
const TABLES = ['t0', 't1']
const COLUMNS = 'id, a, b int4, c bool, d float8, j jsonb, k jsonb'
const PLAIN = ['a', 'b', 'c', 'd']
const SOURCES = TABLES.map((name) => sourceTable(name, COLUMNS))

type Arb<Value> = fc.Arbitrary<Value>

const scalar: Arb<JsonValue> = fc.constantFrom<JsonValue>('x', 'y', '1', 0, 1, 1.5, true, false, null)
const cells = {
  a: fc.constantFrom<OracleCell>('x', 'y', '1', null),
  b: fc.constantFrom<OracleCell>(0, 1, 2, null),
  c: fc.constantFrom<OracleCell>(true, false, null),
  d: fc.constantFrom<OracleCell>(1, 1.5, 2, null),
  j: fc.option(fc.array(scalar, { maxLength: 3 })),
  k: fc.option(fc.array(scalar, { maxLength: 3 })),
}
const rows: Arb<readonly OracleRow[]> = fc
  .integer({ min: 1, max: 7 })
  .chain((count) =>
    fc.tuple(...Array.from({ length: count }, (_, index) => fc.record({ id: fc.constant(`r${index}`), ...cells }))),
  )
const tables: Arb<OracleTables> = fc.record({ t0: rows, t1: rows })
const list: Arb<JsonValue> = fc.oneof(fc.array(scalar, { maxLength: 3 }), scalar)
const claims = fc.record({ sub: fc.constantFrom('x', 'y', '1'), p: scalar, list }, { requiredKeys: ['sub'] })
const connection = fc.record({ p: scalar, list }, { requiredKeys: [] })

const column: Arb<OracleValue> = fc.constantFrom(...PLAIN).map((name) => ({ kind: 'column', name }))
const jsonColumn: Arb<OracleValue> = fc.constantFrom('j', 'k').map((name) => ({ kind: 'column', name }))
const literal: Arb<OracleValue> = fc
  .constantFrom<string | number | null>('x', '1', 0, 1, 1.5, null)
  .map((value) => ({ kind: 'literal', value }))
const SUB: OracleValue = { kind: 'claim', name: 'sub' }
const requestValue: Arb<OracleValue> = fc.constantFrom<OracleValue>(
  SUB,
  { kind: 'claim', name: 'p' },
  { kind: 'connection', name: 'p' },
)
const requestList: Arb<OracleValue> = fc.constantFrom<OracleValue>(
  { kind: 'claim', name: 'list' },
  { kind: 'connection', name: 'list' },
)
const element: Arb<OracleValue> = fc.constant({ kind: 'element' })

/** Conditions on one thing: NOT and OR may stand anywhere. */
function plain(value: Arb<OracleValue>, depth: number): Arb<OracleTest> {
  const leaf = fc.oneof<Arb<OracleTest>[]>(
    fc.record({
      kind: fc.constant('compare' as const),
      operator: fc.constantFrom('=', '!=', '<', '>='),
      left: value,
      right: literal,
    }),
    fc.record({ kind: fc.constant('is-null' as const), value }),
    fc.record({ kind: fc.constant('truth' as const), value }),
  )
  if (depth === 0) return leaf
  const inner = plain(value, depth - 1)
  return fc.oneof(
    leaf,
    joined(fc.constantFrom('and', 'or'), inner, inner),
    inner.map((part): OracleTest => ({ kind: 'not', test: part })),
  )
}

function joined(kind: Arb<'and' | 'or'>, left: Arb<OracleTest>, right: Arb<OracleTest>): Arb<OracleTest> {
  return fc.record({ kind, left, right })
}

const onRow = plain(column, 1)

/** Something that the row and one input must agree on. */
function meeting(input: OracleValue, mayExpand: boolean): Arb<OracleTest> {
  const equality = column.map((row): OracleTest => ({ kind: 'compare', operator: '=', left: row, right: input }))
  const swapped = column.map((row): OracleTest => ({ kind: 'compare', operator: '=', left: input, right: row }))
  if (!mayExpand) return fc.oneof(equality, swapped)
  const membership = jsonColumn.map((array): OracleTest => ({ kind: 'in', value: input, array }))
  return fc.oneof(equality, swapped, membership)
}

/** A condition in which each input meets the row at least once, on both sides of every OR. */
function match(
  leaves: readonly ((mayExpand: boolean) => Arb<OracleTest>)[],
  mayExpand: boolean,
  depth: number,
): Arb<OracleTest> {
  const [first, ...rest] = leaves
  if (first === undefined) return onRow
  const all = rest.reduce((left, leaf) => joined(fc.constant('and'), left, leaf(false)), first(mayExpand))
  if (depth === 0) return all
  const inner = match(leaves, mayExpand, depth - 1)
  return fc.oneof(
    all,
    joined(fc.constant('and'), inner, onRow),
    joined(fc.constant('and'), inner, match(leaves.slice(0, 1), false, 0)),
    joined(fc.constant('or'), inner, inner),
  )
}

function dataWhere(names: readonly string[]): Arb<OracleTest | undefined> {
  if (names.length === 0) return fc.option(onRow, { nil: undefined })
  const leaves = names.map((name) => (mayExpand: boolean): Arb<OracleTest> => {
    const input: OracleValue = { kind: 'bucket', name }
    const bare = fc.constant<OracleTest>({ kind: 'truth', value: input })
    return fc.oneof({ weight: 4, arbitrary: meeting(input, mayExpand) }, { weight: 1, arbitrary: bare })
  })
  return match(leaves, true, 2)
}

const tableWhere: Arb<OracleTest | undefined> = fc
  .subarray([SUB, { kind: 'claim', name: 'p' }, { kind: 'connection', name: 'p' }] as const, { maxLength: 2 })
  .chain((inputs) => {
    const leaves = inputs.map((input) => (mayExpand: boolean) => meeting(input, mayExpand))
    const expanding = fc.record({ kind: fc.constant('in' as const), value: column, array: requestList })
    const base = leaves.length === 0 ? fc.option(onRow, { nil: undefined }) : match(leaves, true, 2)
    return fc.oneof<Arb<OracleTest | undefined>[]>(
      base,
      joined(
        fc.constant('and'),
        base.map((found) => found ?? ALWAYS),
        plain(requestValue, 1),
      ),
      joined(
        fc.constant('and'),
        base.map((found) => found ?? ALWAYS),
        expanding,
      ),
    )
  })
const ALWAYS: OracleTest = { kind: 'truth', value: { kind: 'literal', value: 1 } }

function parameterQuery(names: readonly string[]): Arb<OracleParameterQuery> {
  const items = (value: Arb<OracleValue>): Arb<OracleParameterQuery['items']> =>
    fc
      .tuple(...names.map((name) => value.map((each) => ({ name, value: each }))))
      .chain((all) => fc.shuffledSubarray(all, { minLength: all.length }))
  const priority = fc.option(fc.nat(3), { nil: undefined })
  const request = fc.oneof({ weight: 4, arbitrary: requestValue }, { weight: 1, arbitrary: literal })
  return fc.oneof<Arb<OracleParameterQuery>[]>(
    fc.record({
      from: fc.constant('nothing' as const),
      items: items(request),
      priority,
      where: fc.option(plain(requestValue, 1), { nil: undefined }),
    }),
    fc.record({
      from: fc.record({ table: fc.constantFrom(...TABLES) }),
      items: items(fc.oneof({ weight: 3, arbitrary: column }, { weight: 1, arbitrary: request })),
      priority,
      where: tableWhere,
    }),
    fc.record({
      from: fc.record({ each: requestList }),
      items: items(fc.oneof({ weight: 3, arbitrary: element }, { weight: 1, arbitrary: request })),
      priority,
      where: fc.option(plain(fc.oneof(element, requestValue), 1), { nil: undefined }),
    }),
  )
}

const definition: Arb<OracleDefinition> = fc.subarray(['u', 'v']).chain((names) =>
  fc.record({
    parameters: fc.array(parameterQuery(names), { minLength: 1, maxLength: 3 }),
    data: fc.array(fc.record({ table: fc.constantFrom(...TABLES), where: dataWhere(names) }), {
      minLength: 1,
      maxLength: 2,
    }),
  }),
)

test(
  'random bucket definitions grant the same buckets and rows as nested loops over all rows',
  async () => {
    const cases = fc.record({ edition: fc.constantFrom(1, 2), definition, tables, claims, connection })
    await fc.assert(
      fc.asyncProperty(cases, async ({ edition, definition: drawn, tables: drawnTables, ...request }) => {
        const world = { ...request, tables: drawnTables, fixedJsonExtract: edition === 2 }
        const expected = grantOf(drawn, world)
        const config = JSON.stringify(
          { config: { edition }, bucket_definitions: { d: printDefinition(drawn) } },
          null,
          1,
        )
        const storage = new MemoryStorage(loadPlan(planOf(config), { generation: 1, bucketsMax: 1000 }))
        for (const source of SOURCES) {
          for (const row of drawnTables[source.name] ?? []) {
            const texts = source.columns.map(({ name }) => printCell(row[name] ?? null))
            expect(storage.put(source, row.id, texts).errors).toEqual([])
          }
        }
        const { buckets } = await storage.resolve(requestOf(request.claims, { parameters: request.connection }))
        const granted = storage.objectsIn(buckets.map(({ bucket }) => bucket)).map((text) => text.split(' ', 1)[0])
        expect(granted, config).toEqual(expected.rows)
        expect(prioritiesOf(buckets), config).toEqual(prioritiesOf(expected.buckets))
      }),
      { seed: SEED, numRuns: CASES },
    )
  },
  TIMEOUT_MS,
)

function prioritiesOf(buckets: readonly { readonly priority: number }[]): readonly number[] {
  return buckets.map(({ priority }) => priority).toSorted((a, b) => a - b)
}

/** As Postgres prints it. */
function printCell(cell: OracleCell): string | null {
  if (cell === null) return null
  if (typeof cell === 'boolean') return cell ? 't' : 'f'
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell)
}
