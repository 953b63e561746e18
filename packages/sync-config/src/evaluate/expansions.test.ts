import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import type { Expression, PlanEvaluator } from '../plan.ts'
import { sourceTable } from '../testing/source-table.ts'
import {
  bucket,
  call,
  column,
  elementOf,
  equal,
  evaluator,
  lookup,
  plan,
  planOfEvaluators,
  route,
  stream,
  text,
} from '../testing/plan-parts.ts'
import type { Plan, RowOutcome, SourceTable, TextRow } from '../types.ts'

const BOOKS = sourceTable('books', 'id, readers jsonb, tags jsonb, open bool')

function evaluate(given: Plan, row: TextRow, table: SourceTable = BOOKS): RowOutcome {
  const program = loadPlan(given, { generation: 1, bucketsMax: 1000 }).forTable(table)
  if (program === undefined) throw new Error('no query reads the table')
  return program.evaluate(row)
}

/** Parameters of the buckets of the objects. */
function keysOf({ objects }: RowOutcome): readonly string[] {
  return objects.map(({ bucket: name }) => name.slice(name.indexOf('[')))
}

const READERS: Partial<PlanEvaluator> = { expansions: [column('readers')], keys: [elementOf(0)] }

describe('a query over the elements of an array', () => {
  const byReader = planOfEvaluators(evaluator('books', READERS))

  test('[86, 109] puts the row under each distinct element that can be a key', () => {
    expect(keysOf(evaluate(byReader, ['1', '["ann","bob","ann",null,2,2.0]', null, 't']))).toEqual([
      '["ann"]',
      '["bob"]',
      '[2]',
    ])
  })

  test.each([null, '[]', '{}'])('[86, 109] puts a row with %j nowhere', (readers) => {
    expect(evaluate(byReader, ['1', readers, null, 't'])).toEqual({ objects: [], lookups: [], errors: [] })
  })

  test('[71] sees members of objects and single values', () => {
    expect(keysOf(evaluate(byReader, ['1', '{"a":"x","b":"y"}', null, 't']))).toEqual(['["x"]', '["y"]'])
    expect(keysOf(evaluate(byReader, ['1', '"x"', null, 't']))).toEqual(['["x"]'])
    const byName = planOfEvaluators(evaluator('books', { ...READERS, keys: [elementOf(0, 'key')] }))
    expect(keysOf(evaluate(byName, ['1', '{"a":"x","b":"y"}', null, 't']))).toEqual(['["a"]', '["b"]'])
    expect(keysOf(evaluate(byName, ['1', '["x","y"]', null, 't']))).toEqual(['[0]', '[1]'])
  })

  test('puts the row under every combination of elements of two arrays, and nowhere where one is empty', () => {
    const both = planOfEvaluators(
      evaluator('books', {
        expansions: [column('readers'), column('tags')],
        keys: [elementOf(0), elementOf(1)],
      }),
    )
    expect(keysOf(evaluate(both, ['1', '["a","b"]', '["x","y"]', 't']))).toEqual([
      '["a","x"]',
      '["a","y"]',
      '["b","x"]',
      '["b","y"]',
    ])
    expect(keysOf(evaluate(both, ['1', '["a","b"]', '[]', 't']))).toEqual([])
  })

  test('[110] two memberships in one array are two keys', () => {
    const pairs = planOfEvaluators(
      evaluator('books', {
        expansions: [column('readers'), column('readers')],
        keys: [elementOf(0), elementOf(1)],
      }),
    )
    expect(keysOf(evaluate(pairs, ['1', '["a","b"]', null, 't']))).toEqual([
      '["a","a"]',
      '["a","b"]',
      '["b","a"]',
      '["b","b"]',
    ])
  })

  test('filters elements, and the row', () => {
    const filtered = planOfEvaluators(
      evaluator('books', {
        ...READERS,
        filters: [column('open'), { kind: 'not', operand: equal(elementOf(0), text('bob')) }],
      }),
    )
    expect(keysOf(evaluate(filtered, ['1', '["ann","bob"]', null, 't']))).toEqual(['["ann"]'])
    expect(keysOf(evaluate(filtered, ['1', '["ann","bob"]', null, 'f']))).toEqual([])
  })

  test('[137] a row that fails at one element is in no bucket of that query, and stays in others', () => {
    const fails = call('json_keys', elementOf(0))
    const both = plan({
      evaluators: [evaluator('books', { ...READERS, keys: [fails] }), evaluator('books')],
      buckets: [bucket('strict', [0]), bucket('all', [1])],
      streams: [
        stream('strict', [route({ values: [{ kind: 'request', expression: text('x') }] })]),
        stream('all', [route({ bucket: 1 })]),
      ],
    })
    const { objects, errors } = evaluate(both, ['1', '[{"a":1},[2]]', null, 't'])
    expect(objects.map(({ bucket: name }) => name)).toEqual(['books|1.all[]'])
    expect(errors).toEqual([{ definition: 'strict', message: expect.any(String) }])
    expect(keysOf(evaluate(both, ['1', '[{"a":1},{"b":2}]', null, 't']))).toHaveLength(3)
  })

  test('[70] text that is not JSON fails', () => {
    const { objects, errors } = evaluate(planOfEvaluators(evaluator('books', READERS)), ['1', 'ann', null, 't'])
    expect([objects, errors.length]).toEqual([[], 1])
  })

  test('a row with more combinations than can be held fails, and nothing else does', () => {
    const expansions = [column('readers'), column('tags')]
    const big = JSON.stringify(Array.from({ length: 400 }, (_, index) => index))
    const given = planOfEvaluators(evaluator('books', { expansions, keys: [elementOf(0), elementOf(1)] }))
    expect(evaluate(given, ['1', big, big, 't']).errors).toEqual([
      { definition: 's', message: expect.stringContaining('more than 100000 combinations') },
    ])
    expect(evaluate(given, ['1', big, '[1]', 't']).objects).toHaveLength(400)
  })

  test('reads only what it needs', () => {
    const program = loadPlan(planOfEvaluators(evaluator('books', { ...READERS, columns: [named('id')] })), {
      generation: 1,
      bucketsMax: 1,
    }).forTable(BOOKS)
    expect(program?.needed).toEqual([true, true, false, false])
  })
})

describe('entries of a lookup over the elements of an array', () => {
  const members = lookup('l', 'books', { ...READERS, outputs: [column('id'), elementOf(0, 'key')] })
  const entriesOf = (given: Plan, row: TextRow): readonly string[] =>
    evaluate(given, row).lookups.map(({ key, outputs }) => `${key} ${outputs}`)

  test('there is one for each element, equal ones once', () => {
    expect(entriesOf(plan({ lookups: [members] }), ['1', '["a","b"]', null, 't'])).toEqual([
      'l["a"] ["1",0]',
      'l["b"] ["1",1]',
    ])
    const outputs = [column('id')]
    expect(entriesOf(plan({ lookups: [{ ...members, outputs }] }), ['1', '["a","a"]', null, 't'])).toEqual([
      'l["a"] ["1"]',
    ])
  })

  test('NULL among the outputs drops an entry, unless the lookup keeps it; binary data always does', () => {
    const outputs = [column('open')]
    expect(entriesOf(plan({ lookups: [{ ...members, outputs }] }), ['1', '["a"]', null, null])).toEqual([])
    const keeping = plan({ lookups: [{ ...members, outputs, keepsNull: true }] })
    expect(entriesOf(keeping, ['1', '["a", null]', null, null])).toEqual(['l["a"] [null]'])
    const blob = plan({ lookups: [{ ...members, outputs: [call('cast_blob', column('id'))], keepsNull: true }] })
    expect(entriesOf(blob, ['1', '["a"]', null, null])).toEqual([])
  })
})

describe('names of tables', () => {
  test('[49, 50] what a wildcard stands for differs by query', () => {
    const tables = (suffix: 'schema' | 'name' | 'suffix'): Expression => ({ kind: 'table', part: suffix })
    const columns = [named('id'), { kind: 'column', name: 't', expression: tables('suffix') } as const]
    const given = plan({
      evaluators: [
        evaluator('log_%', { columns }),
        evaluator('log_2_%', { columns, output: 'logs' }),
        evaluator('tenant_%.log_2_b', {
          columns: [named('id'), { kind: 'column', name: 's', expression: tables('schema') }],
        }),
      ],
      buckets: [bucket('a', [0, 1]), bucket('b', [2])],
      streams: [stream('s', [route(), route({ bucket: 1 })])],
    })
    const table = sourceTable('log_2_b', 'id')
    expect(evaluate(given, ['1'], table).objects.map(({ type, data }) => `${type} ${data}`)).toEqual([
      'log_2_b {"id":"1","t":"2_b"}',
      'logs {"id":"1","t":"b"}',
    ])
    expect(evaluate(given, ['1'], { ...table, schema: 'tenant_x' }).objects.map(({ data }) => data)).toEqual([
      '{"id":"1","s":"tenant_x"}',
    ])
  })

  test('[51] schemas of Postgres itself are in no pattern', () => {
    const loaded = loadPlan(planOfEvaluators(evaluator('%.%')), { generation: 1, bucketsMax: 1 })
    const schemaOf = (schema: string): unknown => loaded.forTable({ ...sourceTable('t', 'id'), schema })
    expect(['pg_catalog', 'pg_toast', 'information_schema'].map(schemaOf)).toEqual([undefined, undefined, undefined])
    expect(schemaOf('information_schema_2')).toBeDefined()
  })
})

function named(name: string): PlanEvaluator['columns'][number] {
  return { kind: 'column', name, expression: column(name) }
}
