import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import type { Expression, PlanColumn } from '../plan.ts'
import { sourceTable } from '../testing/source-table.ts'
import { bucket, call, column, evaluator, plan, planOfEvaluators, route, stream, text } from '../testing/plan-parts.ts'
import type { EvaluatedObject, SourceTable, TextRow } from '../types.ts'

const STAR = { kind: 'star', style: 'everything' } as const
const OLDER_STAR = { kind: 'star', style: 'older' } as const
const NULL: Expression = { kind: 'null' }

function as(name: string, expression: Expression = column(name)): PlanColumn {
  return { kind: 'column', name, expression }
}

function objectOf(columns: readonly PlanColumn[], table: SourceTable, row: TextRow): EvaluatedObject {
  const program = loadPlan(planOfEvaluators(evaluator(table.name, { columns })), { generation: 1, bucketsMax: 1 })
  const { objects, errors } = program.forTable(table)?.evaluate(row) ?? { objects: [], errors: [] }
  const [object] = objects
  if (object === undefined) throw new Error(errors.map(({ message }) => message).join())
  return object
}

const GOODS = sourceTable('goods', 'id, title, label, _seen int4, photo bytea')
const ROW = ['1', 'Tea', 'green', '7', '\\x00ff']

describe('what a SELECT list writes', () => {
  test.each<[string, readonly PlanColumn[], string]>([
    ['computed columns', [as('id'), as('t', call('upper', column('title')))], '{"id":"1","t":"TEA"}'],
    [
      '[121] later columns over earlier ones, in their place',
      [as('x', text('a')), as('id'), as('x', text('b'))],
      '{"x":"b","id":"1"}',
    ],
    [
      '[121] a later star over a column',
      [as('title', text('a')), STAR],
      '{"title":"Tea","id":"1","label":"green","_seen":7}',
    ],
    [
      '[95] nothing of an older star over a value',
      [as('title', text('a')), OLDER_STAR],
      '{"title":"a","id":"1","label":"green"}',
    ],
    ['[95] an older star over NULL', [as('title', NULL), OLDER_STAR], '{"title":"Tea","id":"1","label":"green"}'],
    ['a column over an older star', [OLDER_STAR, as('title', NULL)], '{"id":"1","title":null,"label":"green"}'],
    ['an older star twice once', [OLDER_STAR, OLDER_STAR], '{"id":"1","title":"Tea","label":"green"}'],
    ['[53] no column that the table does not have', [as('id'), as('gone'), as('x', column('gone'))], '{"id":"1"}'],
    [
      '[53] NULL where a missing column is computed with',
      [as('id'), as('x', call('upper', column('gone')))],
      '{"id":"1","x":null}',
    ],
    ['[23] no binary data', [as('id'), as('photo'), as('p', call('cast_blob', text('a')))], '{"id":"1"}'],
    ['[32] binary data as text', [as('id'), as('p', call('hex', column('photo')))], '{"id":"1","p":"00FF"}'],
    ['nothing of nothing', [as('gone')], '{}'],
  ])('%s', (_, columns, data) => {
    expect(objectOf(columns, GOODS, ROW).data).toBe(data)
  })

  test('[23] NULL of any kind, binary too, is null', () => {
    expect(objectOf([STAR], GOODS, ['1', null, null, null, null]).data).toBe(
      '{"id":"1","title":null,"label":null,"_seen":null,"photo":null}',
    )
  })

  test('[24] text with control characters, quotes and lone surrogates is the same after a JSON round trip', () => {
    const odd = '\u0000\u001f"\\/\u2028\ud800é😀\n'
    expect(JSON.parse(objectOf([as('title')], GOODS, ['1', odd, null, null, null]).data)).toEqual({ title: odd })
  })

  test('[25] a number that JSON has not is null', () => {
    const table = sourceTable('t', 'id, f float8, g float8')
    expect(objectOf([STAR], table, ['1', 'NaN', '-Infinity']).data).toBe('{"id":"1","f":null,"g":null}')
  })
})

describe('the id of an object', () => {
  test.each<[string, Expression, string]>([
    ['text', column('title'), 'Tea'],
    ['an integer', column('_seen'), '7'],
    ['an integral real without its fraction', call('cast_real', text('2.0')), '2'],
    ['another real', { kind: 'real', value: 2.5 }, '2.5'],
    ['bytes as UTF-8', call('cast_blob', text('é')), 'é'],
    ['NULL as nothing', NULL, ''],
    ['two columns put together', call('||', column('id'), column('title')), '1Tea'],
  ])('[26] is the text of %s', (_, expression, id) => {
    expect(objectOf([as('id', expression)], GOODS, ROW).id).toBe(id)
  })

  test('[26] is empty without an id, and where the column is missing', () => {
    expect(objectOf([as('title')], GOODS, ROW).id).toBe('')
    expect(objectOf([as('id', column('gone')), as('title')], GOODS, ROW).id).toBe('')
  })

  test('[26] keeps its kind in the data', () => {
    const table = sourceTable('t', 'id float8')
    expect(objectOf([STAR], table, ['2'])).toMatchObject({ id: '2', data: '{"id":2.0}' })
  })

  test('comes from the star where an older query selects NULL as id before it', () => {
    expect(objectOf([as('id', NULL), OLDER_STAR], GOODS, ROW).id).toBe('1')
    expect(objectOf([as('id', text('x')), OLDER_STAR], GOODS, ROW).id).toBe('x')
  })
})

test('what several queries have in common is evaluated once for each row, and anew for the next', () => {
  const shared = [as('id'), as('n', call('upper', column('title')))]
  const given = plan({
    evaluators: [
      evaluator('goods', { columns: shared, filters: [column('label')] }),
      evaluator('goods', { columns: shared, filters: [column('label')], output: 'others' }),
      evaluator('goods', { columns: shared, keys: [column('title')] }),
      evaluator('goods', { columns: shared, keys: [column('title')], output: 'more' }),
    ],
    buckets: [bucket('a', [0, 1]), bucket('b', [2, 3])],
    streams: [stream('s', [route(), route({ bucket: 1, values: [{ kind: 'request', expression: text('x') }] })])],
  })
  const program = loadPlan(given, { generation: 1, bucketsMax: 1 }).forTable(GOODS)
  const shown = (row: TextRow): readonly string[] =>
    (program?.evaluate(row).objects ?? []).map(({ bucket: name, type, id, data }) => {
      return [/[ab](?=\[)/.exec(name), type, id, data].join(' ')
    })
  for (const [title, label] of [
    ['tea', '1'],
    ['mate', '0'],
    ['tea', '1'],
    [null, '1'],
  ] as const) {
    const [id, upper] = [title ?? '', title === null ? 'null' : `"${title.toUpperCase()}"`]
    const data = `${id} {"id":"${id}","n":${upper}}`
    expect(shown([id, title, label, null, null])).toEqual([
      ...(label === '1' ? [`a goods ${data}`, `a others ${data}`] : []),
      ...(title === null ? [] : [`b goods ${data}`, `b more ${data}`]),
    ])
  }
})

test('[137] a computed column that fails keeps the row out, and other queries go on', () => {
  const given = plan({
    evaluators: [
      evaluator('goods', { columns: [as('id'), as('k', call('json_keys', column('title')))] }),
      evaluator('goods', { columns: [as('id')] }),
    ],
    buckets: [bucket('strict', [0]), bucket('all', [1])],
    streams: [stream('strict', [route()]), stream('both', [route(), route({ bucket: 1 })])],
  })
  const program = loadPlan(given, { generation: 1, bucketsMax: 1 }).forTable(GOODS)
  const { objects, errors } = program?.evaluate(['1', '[1]', null, null, null]) ?? { objects: [], errors: [] }
  expect(objects.map(({ bucket: name }) => name)).toEqual(['goods|1.all[]'])
  expect(errors).toEqual([{ definition: 'strict, both', message: expect.any(String) }])
})

test('[138] a value that no text can hold fails the row instead of the service', () => {
  // 2^20 characters, four times as many each time: more than V8 has room for.
  let long = column('title')
  for (let times = 0; times < 5; times += 1) long = call('||', call('||', long, long), call('||', long, long))
  const columns = [as('id'), as('n', long)]
  const program = loadPlan(planOfEvaluators(evaluator('goods', { columns })), { generation: 1, bucketsMax: 1 })
  expect(program.forTable(GOODS)?.evaluate(['1', 'x'.repeat(2 ** 20), null, null, null])).toMatchObject({
    objects: [],
    errors: [{ definition: 's', message: expect.stringContaining('too large') }],
  })
})
