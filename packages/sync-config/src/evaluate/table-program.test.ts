import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, sourceTable, streamsConfig } from '../testing/builders.ts'
import type { SourceTable, TableProgram } from '../types.ts'

function programOf(streams: Parameters<typeof streamsConfig>[0], table: SourceTable): TableProgram {
  const program = loadPlan(planOf(streamsConfig(streams)), { generation: 1, bucketsMax: 1000 }).forTable(table)
  if (program === undefined) throw new Error('no query reads the table')
  return program
}

const TODOS = sourceTable('todos', 'id, list, done bool, note')

describe('the program of a table', () => {
  test('does not exist where no query reads the table', () => {
    const plan = loadPlan(planOf(streamsConfig({ s: 'SELECT id FROM todos' })), { generation: 1, bucketsMax: 1 })
    expect(plan.forTable(sourceTable('lists', 'id'))).toBeUndefined()
    expect(plan.forTable({ ...TODOS, schema: 'other' })).toBeUndefined()
  })

  test('needs only the columns that a query reads', () => {
    expect(programOf({ s: 'SELECT id FROM todos WHERE list = auth.user_id()' }, TODOS).needed).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(programOf({ s: 'SELECT * FROM todos' }, TODOS).needed).toEqual([true, true, true, true])
  })

  test('gives lookup entries with canonical keys and outputs, none where one of them is NULL', () => {
    const streams = { s: 'SELECT * FROM notes WHERE list IN (SELECT list FROM todos WHERE id = auth.user_id())' }
    const { evaluate } = programOf(streams, TODOS)
    const [entry] = evaluate(['a"b', 'l1', 't', null]).lookups
    expect(entry?.key).toMatch(/^[0-9a-f]{16}\["a\\"b"\]$/)
    expect(entry?.outputs).toBe('["l1"]')
    expect(evaluate(['a', null, 't', null]).lookups).toEqual([])
    expect(evaluate([null, 'l1', 't', null]).lookups).toEqual([])
  })

  test('an unmatched row gives nothing, and allocates nothing', () => {
    const { evaluate } = programOf({ s: 'SELECT * FROM todos WHERE done' }, TODOS)
    expect(evaluate(['1', 'l', 'f', null])).toBe(evaluate(['2', 'l', null, null]))
  })

  test('values that the stream did not carry are left out, and a column that the table does not have too', () => {
    const { evaluate } = programOf({ s: 'SELECT id, note, gone FROM todos WHERE gone IS NULL' }, TODOS)
    expect(evaluate(['1', 'l', 't', undefined]).objects.map(({ data }) => data)).toEqual(['{"id":"1"}'])
  })

  test('data that cannot be told apart by the caller is written once for several streams', () => {
    const { evaluate } = programOf(
      { a: 'SELECT * FROM todos', b: 'SELECT * FROM todos WHERE list = auth.user_id()' },
      TODOS,
    )
    const { objects } = evaluate(['1', 'l', 't', 'n'])
    expect(objects.map(({ type, id, data }) => [type, id, data])).toEqual([
      ['todos', '1', '{"id":"1","list":"l","done":1,"note":"n"}'],
      ['todos', '1', '{"id":"1","list":"l","done":1,"note":"n"}'],
    ])
  })

  test('of two queries that make the same object in one bucket the later one wins', () => {
    const queries = ['SELECT id, note FROM todos', 'SELECT id, list FROM todos WHERE done']
    const { evaluate } = programOf({ s: queries }, TODOS)
    expect(evaluate(['1', 'l', 't', 'n']).objects.map(({ data }) => data)).toEqual(['{"id":"1","list":"l"}'])
    expect(evaluate(['1', 'l', 'f', 'n']).objects.map(({ data }) => data)).toEqual(['{"id":"1","note":"n"}'])
  })

  test('in each bucket the query that is later there wins, whichever came first in the file', () => {
    const [first, second] = ['SELECT id, note FROM todos', 'SELECT id, list FROM todos WHERE done']
    const { evaluate } = programOf({ a: [first, second], b: [second, first] }, TODOS)
    const data = evaluate(['1', 'l', 't', 'n']).objects.map((object) => object.data)
    expect(data.toSorted()).toEqual(['{"id":"1","list":"l"}', '{"id":"1","note":"n"}'])
  })

  test('a row that two wildcards find under one name is one object', () => {
    const queries = ['SELECT id, note FROM "to%"', 'SELECT id, list FROM "tod%"', 'SELECT id FROM todos AS todos']
    const { evaluate } = programOf({ s: queries }, TODOS)
    expect(evaluate(['1', 'l', 't', 'n']).objects.map(({ type, data }) => [type, data])).toEqual([
      ['todos', '{"id":"1"}'],
    ])
  })

  test.each([
    ['int8', '7', '7'],
    ['float8', '2', '2'],
    ['bool', 't', '1'],
    ['text', 'a b', 'a b'],
    ['timestamp', '2024-01-01 00:00:00', '2024-01-01T00:00:00.000000'],
    ['text', null, ''],
  ])('the id of a %s column %j is %j', (type, text, id) => {
    const { evaluate } = programOf({ s: 'SELECT id FROM t' }, sourceTable('t', `id ${type}`))
    expect(evaluate([text]).objects[0]?.id).toBe(id)
  })

  test('a row that fails in one definition goes on in the others', () => {
    let types = {}
    for (let level = 0; level < 12; level++) {
      const members = [['m', level === 0 ? 'int4' : `n${level - 1}`]] as const
      types = { ...types, [`n${level}`]: { kind: 'composite', members } }
    }
    const nested = (level: number): string => (level === 0 ? '(1)' : `("${nested(level - 1).replaceAll('"', '""')}")`)
    const { evaluate } = programOf(
      { deep: 'SELECT * FROM t', flat: 'SELECT id FROM t' },
      sourceTable('t', 'id, n n11', types),
    )
    const { objects, errors } = evaluate(['1', nested(11)])
    expect(objects.map(({ data }) => data)).toEqual(['{"id":"1"}'])
    expect(errors).toEqual([{ definition: 'deep', message: expect.stringContaining('nested deeper than 10') }])
  })
})

describe('names of buckets', () => {
  test('say the stream, the generation and the parameters, and differ between generations and definitions', () => {
    const table = sourceTable('todos', 'id, list, n int8')
    const nameOf = (query: string, generation: number): string | undefined => {
      const plan = loadPlan(planOf(streamsConfig({ todos: query })), { generation, bucketsMax: 1 })
      return plan.forTable(table)?.evaluate(['1', 'u1', '5']).objects[0]?.bucket
    }
    const query = "SELECT * FROM todos WHERE list = auth.user_id() AND n = auth.parameter('n')"
    expect(nameOf(query, 1)).toMatch(/^todos\|1\.[0-9a-f]{10}\["u1",5\]$/)
    expect(nameOf('SELECT * FROM todos', 2)).toMatch(/^todos\|2\.[0-9a-f]{10}\[\]$/)
    expect(nameOf(query, 1)).not.toBe(nameOf(query, 2))
    expect(nameOf('SELECT * FROM todos WHERE list = auth.user_id()', 1)).not.toBe(
      nameOf("SELECT * FROM todos WHERE list = auth.user_id() AND id != 'x'", 1),
    )
  })
})

test('a row with longer data than is allowed is in no bucket of that stream, and in those of others', () => {
  const table = sourceTable('todos', 'id, title')
  const plan = planOf(streamsConfig({ long: 'SELECT * FROM todos', short: 'SELECT id FROM todos' }))
  const program = loadPlan(plan, { generation: 1, bucketsMax: 10, rowCharactersMax: 100 }).forTable(table)
  const outcome = program?.evaluate(['1', 'x'.repeat(100)])
  expect(outcome?.objects.map(({ data }) => data)).toEqual(['{"id":"1"}'])
  expect(outcome?.errors).toEqual([{ definition: 'long', message: expect.stringContaining('expected at most 100') }])
  expect(program?.evaluate(['1', 'x'.repeat(70)]).errors).toEqual([])
})
