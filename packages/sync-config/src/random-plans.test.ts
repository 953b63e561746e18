import { HeadwaterError } from '@headwater/protocol'
import {
  anything,
  array,
  type Arbitrary,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  double,
  jsonValue,
  letrec,
  maxSafeInteger,
  oneof,
  option,
  property,
  record,
  string,
} from 'fast-check'
import { expect, test } from 'vitest'
import { CAST_TYPES, OPERATORS, SCALAR_FUNCTIONS } from './functions/signatures.ts'
import { loadPlan } from './load.ts'
import type { Expression, PlanBody } from './plan.ts'
import { bucket, evaluator, lookup, plan, route, stream, VALUE_OPTIONS } from './testing/plan-parts.ts'
import { sourceTable } from './testing/source-table.ts'
import type { LookupId, LookupOutputs, Plan, RequestObject, TextRow } from './types.ts'

/** Plans of random expressions over random rows and requests: whatever they hold, nothing but what is foreseen happens. */

const TABLE = sourceTable('t', 'id, n int8, f float8, b bool, j jsonb, d timestamp, x bytea, a text[]')

const NAMES = [
  ...(Object.keys(SCALAR_FUNCTIONS) as (keyof typeof SCALAR_FUNCTIONS)[]),
  ...OPERATORS,
  ...CAST_TYPES.map((type) => `cast_${type}` as const),
  ...(['between', 'in_list', 'in_json'] as const),
]

const literal: Arbitrary<Expression> = oneof(
  constant<Expression>({ kind: 'null' }),
  maxSafeInteger().map((value): Expression => ({ kind: 'integer', digits: String(value) })),
  constantFrom(0, 1, -1, 63, 64, 9_223_372_036_854_775_807n).map((value): Expression => ({
    kind: 'integer',
    digits: String(value),
  })),
  double({ noNaN: true, noDefaultInfinity: true }).map((value): Expression => ({ kind: 'real', value })),
  oneof(string(), constantFrom('$', '$.a', 'a', '[1,"x",null]', '{"a":[1]}', '\ud800', '2024-01-01', 'unixepoch')).map(
    (value): Expression => ({ kind: 'text', value }),
  ),
)

function expressions(leaves: Arbitrary<Expression>): Arbitrary<Expression> {
  const { tree } = letrec<{ readonly tree: Expression }>((tie) => {
    const part = tie('tree')
    return {
      tree: oneof(
        { maxDepth: 4, withCrossShrink: true },
        leaves,
        literal,
        record({ kind: constant('call' as const), name: constantFrom(...NAMES), args: array(part, { maxLength: 4 }) }),
        record({
          kind: constant('compare' as const),
          operator: constantFrom('=', '!=', '<', '<='),
          left: part,
          right: part,
        }),
        record({ kind: constantFrom('not', 'is-null'), operand: part }),
        record({ kind: constantFrom('and', 'or'), operands: array(part, { maxLength: 3 }) }),
        record({
          kind: constant('case' as const),
          branches: array(record({ when: part, result: part }), { maxLength: 2 }),
          otherwise: part,
        }),
      ),
    }
  })
  return tree
}

const column = constantFrom(...TABLE.columns.map(({ name }) => name), 'gone').map((name): Expression => ({
  kind: 'column',
  name,
}))
const overRow = oneof(
  column,
  constantFrom('schema', 'name', 'suffix').map((part): Expression => ({ kind: 'table', part })),
)
const element = constantFrom('key', 'value').map((part): Expression => ({ kind: 'element', expansion: 0, part }))

/** What Postgres prints; text of every kind. */
const row: Arbitrary<TextRow> = record({
  id: option(string()),
  n: option(maxSafeInteger().map(String)),
  f: option(oneof(double().map(String), constantFrom('NaN', 'Infinity', '-Infinity', '-0', '1e308'))),
  b: option(constantFrom('t', 'f')),
  j: option(
    oneof(
      jsonValue().map((value) => JSON.stringify(value)),
      constantFrom('', '{', '[1,2', '"\\ud800"'),
    ),
  ),
  d: option(constantFrom('2024-01-01 00:00:00', 'infinity', '0044-03-15 00:00:00 BC', '12024-01-01 00:00:00')),
  x: option(constantFrom('\\x', '\\x00ff', '\\xc328')),
  a: option(constantFrom('{}', '{a,NULL,"b\\"c"}', '{{1,2},{3,4}}')),
}).map((values) => [values.id, values.n, values.f, values.b, values.j, values.d, values.x, values.a])

const engine = constantFrom('default', 'sqlite')

type PlanParts = {
  readonly engine: 'default' | 'sqlite'
  readonly expansion: Expression | undefined
  readonly filter: Expression | undefined
  readonly key: Expression
  readonly value: Expression
  readonly id: Expression
}

/** Evaluators `a`, of what is random, and `b`, of every column; a lookup and an event. */
function planOfRows({ engine: by, expansion, filter, key, value, id }: PlanParts): Plan {
  const query = {
    expansions: expansion === undefined ? [] : [expansion],
    filters: filter === undefined ? [] : [filter],
    keys: [key],
  }
  const columns = [
    { kind: 'star', style: 'everything' } as const,
    { kind: 'column', name: 'v', expression: value } as const,
    { kind: 'column', name: 'id', expression: id } as const,
    { kind: 'star', style: 'older' } as const,
  ]
  return plan({
    values: { ...VALUE_OPTIONS, engine: by },
    evaluators: [evaluator('t', { ...query, columns }), evaluator('t')],
    lookups: [lookup('l', 't', { ...query, outputs: [value], keepsNull: true })],
    events: [{ name: 'e', table: evaluator('t').table, filters: [value], columns }],
    buckets: [bucket('a', [0]), bucket('b', [1])],
    streams: [stream('a', [route()]), stream('b', [route({ bucket: 1 })])],
  })
}

const withExpansion = record({
  engine,
  expansion: expressions(overRow),
  filter: option(expressions(oneof(overRow, element)), { nil: undefined }),
  key: expressions(oneof(overRow, element)),
  value: expressions(overRow),
  id: expressions(overRow),
})
const withoutExpansion = record({
  engine,
  expansion: constant(undefined),
  filter: option(expressions(overRow), { nil: undefined }),
  key: expressions(overRow),
  value: expressions(overRow),
  id: expressions(overRow),
})
const plansOfRows = oneof(withExpansion, withoutExpansion).map(planOfRows)

test('[25, 76, 138] whatever a row holds, it gives JSON or an error of a definition, the same each time', () => {
  assert(
    property(plansOfRows, row, (given, texts) => {
      const program = loadPlan(given, { generation: 1, bucketsMax: 10 }).forTable(TABLE)
      const outcome = program?.evaluate(texts)
      expect(program?.evaluate(texts)).toEqual(outcome)
      for (const { id, data } of outcome?.objects ?? []) {
        expect(typeof id).toBe('string')
        JSON.parse(data)
      }
      for (const { key, outputs } of outcome?.lookups ?? []) {
        JSON.parse(key.slice(1))
        JSON.parse(outputs)
      }
      // The plain query is not disturbed.
      expect(outcome?.objects.some(({ bucket: name }) => name.includes('.b['))).toBe(true)
      const told = program?.events[0]?.evaluate(texts)
      if (told?.kind === 'payload') JSON.parse(told.data)
    }),
    { numRuns: 500 },
  )
})

test('columns that are not needed change nothing', () => {
  const simple = record({
    engine,
    expansion: option(column, { nil: undefined }),
    filter: option(column, { nil: undefined }),
    key: column,
    value: expressions(column),
    id: column,
  }).map((parts) => {
    const { evaluators, lookups, ...body } = planOfRows(parts).body as unknown as PlanBody
    return plan({
      ...body,
      evaluators: evaluators.slice(0, 1),
      lookups,
      buckets: body.buckets.slice(0, 1),
      streams: [],
    })
  })
  assert(
    property(simple, row, (given, texts) => {
      const program = loadPlan(given, { generation: 1, bucketsMax: 10 }).forTable(TABLE)
      if (program === undefined) return
      const outcome = program.evaluate(texts)
      expect(program.evaluate(texts.map((text, index) => (program.needed[index] === true ? text : undefined)))).toEqual(
        outcome,
      )
    }),
    { numRuns: 1_000 },
  )
})

test('[131] whatever a request holds, it gives buckets, errors of streams, or an error with a code', async () => {
  const source = record({
    kind: constant('request' as const),
    source: constantFrom('claims', 'connection', 'subscription'),
    path: constantFrom([], ['a'], ['a', '0'], ['b', 'c']),
    style: constantFrom('extract', 'extract-null-text', 'flat'),
  })
  const overRequest = expressions(source)
  const overElement = expressions(oneof(source, element))
  const plans = record({
    engine,
    kind: constantFrom('stream', 'definition'),
    filter: option(overRequest, { nil: undefined }),
    argument: overRequest,
    elementFilter: option(overElement, { nil: undefined }),
    output: overElement,
    input: overRequest,
    value: overRequest,
  }).map((parts): Plan => {
    const steps = [
      {
        kind: 'each',
        argument: parts.argument,
        filters: parts.elementFilter === undefined ? [] : [parts.elementFilter],
        keys: [],
        inputs: [],
        outputs: [parts.output],
      } as const,
      {
        kind: 'lookup',
        lookup: 'l' as LookupId,
        inputs: [
          { kind: 'request', expression: parts.input },
          { kind: 'output', step: 0, output: 0 },
        ],
      } as const,
    ]
    const values = [
      {
        kind: 'all',
        values: [
          { kind: 'output', step: 1, output: 0 },
          { kind: 'request', expression: parts.value },
        ],
      },
    ] as const
    return plan({
      values: { ...VALUE_OPTIONS, engine: parts.engine },
      evaluators: [evaluator('t')],
      lookups: [lookup('l', 't', { outputs: [{ kind: 'column', name: 'id' }] })],
      buckets: [bucket('a', [0])],
      streams: [
        stream('s', [route({ filters: parts.filter === undefined ? [] : [parts.filter], steps, values })], {
          kind: parts.kind,
        }),
        stream('whole', [route({ values: [{ kind: 'request', expression: parts.value }] })], { kind: parts.kind }),
      ],
    })
  })
  const object = anything({
    maxDepth: 4,
    withBigInt: true,
    values: [string(), maxSafeInteger(), double(), constant(null)],
  })
  await assert(
    asyncProperty(plans, record({ a: object, b: object }), async (given, data) => {
      const claims = data as RequestObject
      const resolving = loadPlan(given, { generation: 1, bucketsMax: 10 }).resolve(
        { claims, parameters: claims, includeDefaults: true, subscriptions: [] },
        (keys) => Promise.resolve(keys.map(() => ['["x"]', '[1]', '[null]'].map((text) => text as LookupOutputs))),
      )
      const outcome = await resolving.catch((error: unknown) => error)
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HeadwaterError)
      else expect(outcome).toMatchObject({ streams: { length: 2 } })
    }),
    { numRuns: 500 },
  )
})
