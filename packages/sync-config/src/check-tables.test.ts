import { expect, test } from 'vitest'
import { checkPlanAgainstTables } from './check-tables.ts'
import { planOf, sourceTable, streamsConfig } from './testing/builders.ts'
import type { SourceTable } from './types.ts'

const TODOS = sourceTable('todos', 'id, title, list, owner int4, done bool, price numeric')
const LISTS = sourceTable('lists', 'id, size int4')

function saidOf(query: string, tables: readonly SourceTable[] = [TODOS, LISTS]): readonly string[] {
  const plan = planOf(`config: { edition: 3 }\nstreams:\n  s:\n    query: |\n      ${query}\n`)
  return checkPlanAgainstTables(plan, tables).map(({ kind, severity, line, column, message }) => {
    expect(severity).toBe('warning')
    return `${line}:${column} ${kind}: ${message}`
  })
}

test('what is there is not spoken of', () => {
  expect(
    saidOf('SELECT * FROM todos WHERE list IN (SELECT id FROM lists WHERE size > 3) AND owner = 5 AND done'),
  ).toEqual([])
})

test('tables and columns that are not there are named, with what may have been meant', () => {
  expect(saidOf('SELECT id, titel FROM todos WHERE list IN (SELECT id FROM lsits)')).toEqual([
    '5:18 unknown-column: Column "titel" is not in table public.todos (did you mean "title"?): it counts as NULL',
    '5:65 unknown-table: Table public.lsits does not exist (did you mean "lists"?): it is synced once it does',
  ])
})

test('columns are looked for in the source that they belong to', () => {
  const query = 'SELECT t.id FROM todos AS "t" JOIN lists ON lists.name = t.list WHERE t.size = 1'
  expect(saidOf(query).map((line) => line.slice(0, 60))).toEqual([
    '5:57 unknown-column: Column "name" is not in table public.li',
    '5:79 unknown-column: Column "size" is not in table public.to',
  ])
})

test('of the tables behind a wildcard one has to have the column', () => {
  const tables = [sourceTable('log_a', 'id, at'), sourceTable('log_b', 'id, text')]
  expect(saidOf('SELECT id, at, text FROM "log_%"', tables)).toEqual([])
  expect(saidOf('SELECT id, txt FROM "log_%"', tables)).toEqual([
    '5:18 unknown-column: Column "txt" is not in any table public."log_%" (did you mean "text"?): it counts as NULL',
  ])
  expect(saidOf('SELECT * FROM "lag_%"', tables)).toEqual([
    '5:21 unknown-table: No table is called like public."lag_%": those that are made later are synced once they exist',
  ])
  expect(saidOf('SELECT * FROM "pub%"."log_%" AS log', tables)).toEqual([])
})

test('a star of a table without an id leaves objects without one', () => {
  expect(saidOf('SELECT * FROM shelves', [sourceTable('shelves', 'code')])).toEqual([
    '5:14 no-id: Table public.shelves has no column "id", by which clients tell rows apart: select a unique column AS id',
  ])
})

test('a common table expression of the name of a table hides it', () => {
  const config = `config: { edition: 3 }
with:
  lists: SELECT list FROM todos WHERE owner = 1
streams:
  s:
    query: SELECT id FROM todos WHERE list IN lists
`
  expect(
    checkPlanAgainstTables(planOf(config), [TODOS, LISTS]).map(({ line, column, kind }) => ({ line, column, kind })),
  ).toEqual([{ line: 3, column: 3, kind: 'hidden-table' }])
})

test.each([
  ['owner = auth.user_id()', 'Column "owner" of public.todos is a number and never equals the user id, which is text'],
  ["owner = 'x'", `Column "owner" of public.todos is a number and never equals 'x', which is text`],
  ["done = 'true'", `Column "done" of public.todos is a number and never equals 'true', which is text`],
  [
    'price = 5',
    `Column "price" of public.todos is synced as text and never equals the number 5: write '5', or compare`,
  ],
  ['title != 5', 'Column "title" of public.todos is synced as text and never equals the number 5'],
  [
    'list IN (SELECT size FROM lists)',
    'Column "list" of public.todos is synced as text, and never equals the number in column "size" of public.lists',
  ],
  [
    'owner IN (SELECT id FROM lists)',
    'Column "owner" of public.todos is synced as number, and never equals the text in column "id" of public.lists',
  ],
])('%s can never be true', (condition, fault) => {
  const [said, ...others] = saidOf(`SELECT id FROM todos WHERE ${condition}`)
  expect(said).toContain(`never-equal: ${fault}`)
  expect(others).toEqual([])
})

test('what stands in several copies is said once', () => {
  const config = streamsConfig({ s: 'SELECT id FROM todos WHERE list IN mine AND title IN mine' }).replace(
    '"streams"',
    '"with": { "mine": "SELECT nmae FROM lists" },\n "streams"',
  )
  expect(checkPlanAgainstTables(planOf(config), [TODOS, LISTS])).toHaveLength(1)
})
