import { expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, sourceTable, streamsConfig } from '../testing/builders.ts'

type Streams = Parameters<typeof streamsConfig>[0]

const TODOS = sourceTable('todos', 'key, id, list, done bool, price numeric, note')

function ownIdOf(streams: Streams, table = TODOS): number | undefined {
  return loadPlan(planOf(streamsConfig(streams)), { generation: 1, bucketsMax: 1000 }).forTable(table)?.ownId
}

test('rows of a table that alone makes its objects are told apart by the column that their id is', () => {
  expect(ownIdOf({ s: 'SELECT * FROM todos' })).toBe(1)
  expect(ownIdOf({ s: 'SELECT key AS id, note FROM todos' })).toBe(0)
  expect(ownIdOf({ s: 'SELECT *, key AS id FROM todos' })).toBe(0)
  expect(ownIdOf({ s: 'SELECT * FROM todos AS tasks' })).toBe(1)
})

test('an id that is computed, or written otherwise than Postgres prints it, tells nothing', () => {
  expect(ownIdOf({ s: "SELECT key || '!' AS id, note FROM todos" })).toBeUndefined()
  expect(ownIdOf({ s: 'SELECT done AS id, note FROM todos' })).toBeUndefined()
})

test('queries must make the same data of a row', () => {
  const first = 'SELECT * FROM todos'
  expect(ownIdOf({ a: first, b: 'SELECT * FROM todos WHERE list = auth.user_id()' })).toBe(1)
  expect(ownIdOf({ a: first, b: 'SELECT id, note FROM todos' })).toBeUndefined()
  // Of another type it may be anything, if the id is the same column.
  expect(ownIdOf({ a: first, b: 'SELECT id, note FROM todos AS notes' })).toBe(1)
  expect(ownIdOf({ a: first, b: 'SELECT key AS id, note FROM todos AS notes' })).toBeUndefined()
})

test('no other table may make objects of the type', () => {
  const first = 'SELECT * FROM todos'
  expect(ownIdOf({ a: first, b: 'SELECT * FROM notes' })).toBe(1)
  expect(ownIdOf({ a: first, b: 'SELECT * FROM notes AS todos' })).toBeUndefined()
  expect(ownIdOf({ a: first, b: 'SELECT * FROM other.todos' })).toBeUndefined()
  expect(ownIdOf({ a: 'SELECT * FROM todos AS tasks', b: 'SELECT * FROM other.todos' })).toBe(1)
})

test('of a pattern every table has objects of its own name, unless all have those of one', () => {
  expect(ownIdOf({ s: 'SELECT * FROM "todo%"' })).toBe(1)
  expect(ownIdOf({ s: 'SELECT * FROM "todo%" AS todos' })).toBeUndefined()
})

test('a table that only lookups read makes no objects', () => {
  const streams = { s: 'SELECT * FROM notes WHERE list IN (SELECT list FROM todos WHERE id = auth.user_id())' }
  expect(ownIdOf(streams)).toBeUndefined()
})
