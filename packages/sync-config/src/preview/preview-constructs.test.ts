import { describe, expect, test } from 'vitest'
import { preview, type PreviewResult } from '../preview.ts'
import { previewTable, streamsConfig } from '../testing/builders.ts'
import type { RequestObject } from '../types.ts'
import type { PreviewRequest, PreviewTable } from './decode-input.ts'

type Input = {
  readonly config: string
  readonly tables: { readonly [name: string]: PreviewTable }
  readonly jwt?: RequestObject
  readonly request?: Partial<PreviewRequest>
}

type Found = Exclude<PreviewResult, { readonly errors: unknown }>

async function previewOf({ config, tables, jwt = { sub: 'ann' }, request = {} }: Input): Promise<Found> {
  const result = await preview({ config, data: { tables }, request: { jwt, ...request } })
  if ('errors' in result) throw new Error(result.errors.map(({ message }) => message).join('\n'))
  return result
}

/** As `type/id data`. */
async function rowsOf(input: Input): Promise<readonly string[]> {
  const { rows, streamErrors, warnings } = await previewOf(input)
  expect([streamErrors, warnings]).toEqual([[], []])
  return rows.map(({ type, id, data }) => `${type}/${id} ${data}`)
}

describe('tables behind wildcards', () => {
  test('[49, 50] of editions 1 and 2 give their suffix, and keep their names where there is no alias', async () => {
    const config = `
bucket_definitions:
  readings:
    parameters: SELECT request.jwt() ->> 'site' AS site
    data:
      - SELECT id, value, _table_suffix AS year FROM "readings_%" AS readings WHERE site = bucket.site
      - SELECT id, note FROM "notes_%" WHERE site = bucket.site
`
    const tables = {
      readings_2023: previewTable('id, site, value float8', ['a', 's1', '1.5']),
      readings_2024: previewTable('id, site, value float8', ['b', 's1', '2'], ['c', 's2', '3']),
      notes_x: previewTable('id, site, note', ['n', 's1', 'ok']),
    }
    expect(await rowsOf({ config, tables, jwt: { sub: 'x', site: 's1' } })).toEqual([
      'notes_x/n {"id":"n","note":"ok"}',
      'readings/a {"id":"a","value":1.5,"year":"2023"}',
      'readings/b {"id":"b","value":2.0,"year":"2024"}',
    ])
  })

  test('[50, 51] of edition 3 give their schema, name and suffix; schemas of Postgres itself are never among them', async () => {
    const config = streamsConfig({
      docs: `SELECT id, d.schema() AS tenant, d.table_name() AS t, d.table_suffix() AS s
        FROM "tenant_%"."doc_%" AS d WHERE public OR owner = auth.user_id()`,
      everything: 'SELECT id FROM "%"."class" AS c',
    })
    const columns = 'id, owner, public bool'
    const tables = {
      a: { schema: 'tenant_a', name: 'doc_x', ...previewTable(columns, ['1', 'ann', 'f'], ['2', 'bob', 'f']) },
      b: { schema: 'tenant_b', name: 'doc_y', ...previewTable(columns, ['3', 'bob', 't']) },
      c: { schema: 'other', name: 'doc_z', ...previewTable(columns, ['4', 'ann', 't']) },
      catalog: { schema: 'pg_catalog', name: 'class', ...previewTable('id', ['5']) },
      own: { schema: 'school', name: 'class', ...previewTable('id', ['6']) },
    }
    expect(await rowsOf({ config, tables })).toEqual([
      'c/6 {"id":"6"}',
      'd/1 {"id":"1","tenant":"tenant_a","t":"doc_x","s":"x"}',
      'd/3 {"id":"3","tenant":"tenant_b","t":"doc_y","s":"y"}',
    ])
  })

  test('feed lookups', async () => {
    const config = streamsConfig({
      notes: `SELECT id FROM notes WHERE list IN (SELECT list FROM "members_%" WHERE person = auth.user_id())`,
    })
    const tables = {
      notes: previewTable('id, list', ['1', 'a'], ['2', 'b'], ['3', 'c']),
      members_1: previewTable('id, person, list', ['1', 'ann', 'a']),
      members_2: previewTable('id, person, list', ['1', 'ann', 'b'], ['2', 'bob', 'c']),
    }
    expect(await rowsOf({ config, tables })).toEqual(['notes/1 {"id":"1"}', 'notes/2 {"id":"2"}'])
  })
})

describe('arrays', () => {
  test('[86, 109] of rows, of the request, and of both', async () => {
    const config = streamsConfig({
      mine: 'SELECT id FROM mails WHERE auth.user_id() IN recipients',
      listed: `SELECT id AS id, 'listed' AS why FROM mails AS listed WHERE label IN auth.parameter('labels')`,
      shared: `SELECT id FROM mails AS shared WHERE recipients && auth.parameter('team')`,
    })
    const tables = {
      mails: previewTable(
        'id, recipients jsonb, label',
        ['1', '["ann","bob"]', 'x'],
        ['2', '[]', 'y'],
        ['3', null, 'z'],
        ['4', '["cy","cy",null]', null],
      ),
    }
    expect(
      await rowsOf({ config, tables, jwt: { sub: 'ann', labels: ['y', 'z', null], team: ['cy', 'eve'] } }),
    ).toEqual([
      'listed/2 {"id":"2","why":"listed"}',
      'listed/3 {"id":"3","why":"listed"}',
      'mails/1 {"id":"1"}',
      'shared/4 {"id":"4"}',
    ])
    expect(await rowsOf({ config, tables, jwt: { sub: 'eve' } })).toEqual([])
  })
})

describe('what goes wrong', () => {
  test('[131] a stream that cannot be evaluated is named with its subscription, and others give their rows', async () => {
    const config = JSON.stringify({
      config: { edition: 3 },
      streams: {
        good: { auto_subscribe: true, query: 'SELECT id FROM t' },
        bad: { query: `SELECT id FROM t WHERE id = json_keys(subscription.parameter('o'))` },
      },
    })
    const { rows, streamErrors } = await previewOf({
      config,
      tables: { t: previewTable('id', ['1']) },
      request: {
        subscriptions: [
          { stream: 'bad', parameters: { o: { a: 1 } } },
          { stream: 'bad', parameters: { o: 5 } },
        ],
      },
    })
    expect(rows).toHaveLength(1)
    expect(streamErrors).toEqual([{ stream: 'bad', subscription: 1, message: expect.any(String) }])
  })

  test('a bucket definition that cannot be evaluated ends the request', async () => {
    const config = `
bucket_definitions:
  d:
    parameters: SELECT json_keys(request.jwt() ->> 'o') AS k
    data: [SELECT id FROM t WHERE id = bucket.k]
`
    await expect(
      previewOf({ config, tables: { t: previewTable('id', ['1']) }, jwt: { o: 'x' } }),
    ).rejects.toMatchObject({
      code: 'bad-parameters',
      message: expect.stringContaining('"d"'),
    })
  })

  test('[137] a row that cannot be evaluated is named with the streams that it is left out of', async () => {
    const config = streamsConfig({
      keys: 'SELECT id, json_keys(o) AS keys FROM t',
      all: 'SELECT id FROM t AS everything',
    })
    const { rows, warnings } = await previewOf({
      config,
      tables: { t: previewTable('id, o', ['1', '{}'], ['2', '[]']) },
    })
    expect(rows.map(({ type, id }) => `${type}/${id}`)).toEqual(['everything/1', 'everything/2', 't/1'])
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('Row 2 of public.t is left out of keys: '),
    ])
  })
})

test('integers that a number cannot hold are exact in rows and in the request', async () => {
  const config = streamsConfig({ s: `SELECT id, j FROM t WHERE id = auth.parameter('n')` })
  const big = 9_007_199_254_740_993n
  const tables = { t: previewTable('id int8, j jsonb', { id: big, j: { n: [big] } }, { id: big - 1n, j: null }) }
  expect(await rowsOf({ config, tables, jwt: { n: big } })).toEqual([
    't/9007199254740993 {"id":9007199254740993,"j":"{\\"n\\":[9007199254740993]}"}',
  ])
})
