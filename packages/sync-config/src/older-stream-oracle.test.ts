import type { JsonValue } from '@headwater/protocol'
import { readSeed } from '@headwater/testkit'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadPlan } from './load.ts'
import { planOf, requestOf, sourceTable } from './testing/builders.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import type { TextRow } from './types.ts'

/** Printed with a failure; set SEED to run one again. */
const SEED = readSeed(process.env)
const CASES = 1000
const TIMEOUT_MS = 60_000
const SOURCES = ['t0', 't1'].map((name) => sourceTable(name, 'id, a, b int4, c bool, j jsonb, k jsonb'))

type Sql = fc.Arbitrary<string>

const json = fc.option(
  fc
    .array(fc.constantFrom<JsonValue>('x', 'y', 1, null, true), { maxLength: 3 })
    .map((elements) => JSON.stringify(elements)),
)
const cells: readonly fc.Arbitrary<string | null>[] = [
  fc.constantFrom('x', 'y', '1', null),
  fc.constantFrom('0', '1', '2', null),
  fc.constantFrom('t', 'f', null),
  json,
  json,
]
const rows: fc.Arbitrary<readonly TextRow[]> = fc
  .integer({ min: 1, max: 7 })
  .chain((count) =>
    fc.tuple(...Array.from({ length: count }, (_, index) => fc.tuple(fc.constant(`r${index}`), ...cells))),
  )
const value = fc.constantFrom<JsonValue>('x', 'y', '1', 0, 1, 1.5, true, null)
const parameters = fc.record({ p: value, list: fc.array(value, { maxLength: 3 }) }, { requiredKeys: [] })
const claims = fc.record(
  { sub: fc.constantFrom('x', 'y', '1'), p: value, list: fc.array(value, { maxLength: 3 }) },
  { requiredKeys: ['sub'] },
)

const column: Sql = fc.constantFrom('a', 'b', 'c')
const array: Sql = fc.constantFrom('j', 'k')
const request: Sql = fc.constantFrom(
  'auth.user_id()',
  "auth.parameter('p')",
  "connection.parameter('p')",
  "subscription.parameter('p')",
)
const list: Sql = fc.constantFrom(
  "auth.parameter('list')",
  "connection.parameter('list')",
  "subscription.parameter('list')",
)
const literal: Sql = fc.constantFrom("'x'", "'1'", '0', '1', '1.5', 'NULL')

/** `!=` with a NULL means something else in each edition. */
function testOf(operand: Sql): Sql {
  return fc.oneof(
    print(operand, fc.constantFrom('=', '<', '>='), literal),
    operand.map((text) => `${text} IS NULL`),
    operand,
  )
}

function print(...parts: readonly Sql[]): Sql {
  return fc.tuple(...parts).map((texts) => texts.join(' '))
}

/** Conditions on the row, or on the request: NOT may stand over them. */
function plain(depth: number): Sql {
  const leaf = fc.oneof(testOf(column), testOf(request))
  if (depth === 0) return leaf
  const inner = plain(depth - 1)
  return fc.oneof(
    leaf,
    joined(inner),
    inner.map((text) => `NOT (${text})`),
  )
}

function joined(part: Sql): Sql {
  return fc.tuple(part, fc.constantFrom('AND', 'OR'), part).map(([left, word, right]) => `(${left} ${word} ${right})`)
}

const equality = fc.oneof(print(column, fc.constant('='), request), print(request, fc.constant('='), column))
const isIn = fc.constant('IN')
const membership = print(request, isIn, array)

const tied = fc.oneof(equality, membership, testOf(request))
const subqueryWhere: Sql = fc
  .tuple(tied, fc.array(fc.oneof(tied, testOf(column)), { maxLength: 2 }))
  .map(([first, rest]) => [first, ...rest].join(' AND '))
const subquery: Sql = fc
  .tuple(column, fc.constantFrom('t0', 't1'), subqueryWhere)
  .map(([selected, table, where]) => `(SELECT ${selected} FROM ${table} WHERE ${where})`)

function condition(depth: number): Sql {
  const overlap = fc.constant('&&')
  const leaf = fc.oneof(
    plain(1),
    equality,
    membership,
    print(column, isIn, list),
    print(array, overlap, list),
    print(column, isIn, subquery),
    print(array, overlap, subquery),
    print(request, isIn, subquery),
  )
  return depth === 0 ? leaf : fc.oneof(leaf, { weight: 2, arbitrary: joined(condition(depth - 1)) })
}

/** A stream is read by older rules in edition 2; what they can say means the same in edition 3. */
test(
  'random streams of edition 2 grant the same rows as in edition 3',
  async () => {
    const subscription = fc.option(parameters, { nil: undefined })
    const cases = fc.record({ where: condition(2), t0: rows, t1: rows, claims, connection: parameters, subscription })
    await fc.assert(
      fc.asyncProperty(cases, async ({ where, claims: signed, connection, subscription: own, ...tables }) => {
        const asked = requestOf(signed, {
          parameters: connection,
          subscriptions: own === undefined ? [] : [{ stream: 's', parameters: own, overridePriority: undefined }],
        })
        const [older, newer] = [2, 3].map((edition) => {
          const stream = { auto_subscribe: true, query: `SELECT id FROM t0 WHERE ${where}` }
          const plan = planOf(JSON.stringify({ config: { edition }, streams: { s: stream } }, null, 1))
          const storage = new MemoryStorage(loadPlan(plan, { generation: 1, bucketsMax: 1000 }))
          for (const source of SOURCES) {
            const stored = source.name === 't0' ? tables.t0 : tables.t1
            for (const [index, row] of stored.entries()) storage.put(source, String(index), row)
          }
          return storage
        })
        expect(await older?.rowsFor(asked)).toEqual(await newer?.rowsFor(asked))
      }),
      { seed: SEED, numRuns: CASES },
    )
  },
  TIMEOUT_MS,
)
