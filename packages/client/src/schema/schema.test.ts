import { describe, expect, test } from 'vitest'
import { column } from './column.ts'
import { Schema } from './schema.ts'
import { Table } from './table.ts'

describe('a schema', () => {
  test('says what it holds in the documented form', () => {
    const schema = new Schema({
      lists: new Table(
        { name: column.text, position: column.integer },
        { indexes: { by_name: ['name', '-position'] }, trackPrevious: { columns: ['name'], onlyWhenChanged: true } },
      ),
      drafts: Table.createLocalOnly({ body: column.text }),
    })
    expect(schema.toJSON()).toEqual({
      tables: [
        {
          name: 'lists',
          view_name: 'lists',
          local_only: false,
          insert_only: false,
          include_old: ['name'],
          include_old_only_when_changed: true,
          include_metadata: false,
          ignore_empty_update: false,
          columns: [
            { name: 'name', type: 'TEXT' },
            { name: 'position', type: 'INTEGER' },
          ],
          indexes: [
            {
              name: 'by_name',
              columns: [
                { name: 'name', ascending: true, type: 'TEXT' },
                { name: 'position', ascending: false, type: 'INTEGER' },
              ],
            },
          ],
        },
        {
          name: 'drafts',
          view_name: 'drafts',
          local_only: true,
          insert_only: false,
          include_old: false,
          include_old_only_when_changed: false,
          include_metadata: false,
          ignore_empty_update: false,
          columns: [{ name: 'body', type: 'TEXT' }],
          indexes: [],
        },
      ],
      raw_tables: [],
    })
  })

  test.each([
    ['a column called id', { t: new Table({ id: column.text }) }, /"t".*"id"/],
    ['a name with a quote', { 'a"b': new Table({}) }, /character/],
    ['a name with a space', { 'a b': new Table({}) }, /character/],
    ['a column with a dot', { t: new Table({ 'a.b': column.text }) }, /"a\.b"/],
    ['two columns that differ in case only', { t: new Table({ a: column.text, A: column.text }) }, /two columns/],
    ['an index on a missing column', { t: new Table({ a: column.text }, { indexes: { i: ['b'] } }) }, /"i".*"b"/],
    ['metadata on a local table', { t: new Table({}, { localOnly: true, trackMetadata: true }) }, /trackMetadata/],
    [
      'previous values on a local table',
      { t: new Table({}, { localOnly: true, trackPrevious: true }) },
      /trackPrevious/,
    ],
    ['two tables with one name', { a: new Table({}), b: new Table({}, { viewName: 'a' }) }, /two tables/],
    ['a name of ours', { ps_crud: new Table({}) }, /taken/],
  ])('refuses %s, and says where', (_, tables, message) => {
    expect(() => new Schema(tables)).toThrow(message)
  })

  test('refuses more columns than SQLite takes', () => {
    const columns = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`c${index}`, column.text]))
    expect(() => new Schema({ t: new Table(columns) })).toThrow(/2000 columns, but at most 1999/)
  })

  test('gives its rows types', () => {
    const schema = new Schema({ t: new Table({ name: column.text, n: column.integer }) })
    const row: (typeof schema)['types']['t'] = { id: 'x', name: null, n: 1 }
    expect(row.id).toBe('x')
  })
})
