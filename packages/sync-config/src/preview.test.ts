import type { JsonObject } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { preview, type PreviewInput } from './preview.ts'
import type { PreviewData, PreviewRequest, PreviewTable } from './preview/decode-input.ts'
import { previewTable, streamsConfig } from './testing/builders.ts'

type Case = {
  readonly config: string
  readonly tables: { readonly [name: string]: PreviewTable }
  readonly types?: NonNullable<PreviewData['types']>
}

/** Rows as `type/id data`, with the priority behind them where it is not 3. */
async function rowsFor(
  example: Case,
  jwt: JsonObject,
  request: Partial<PreviewRequest> = {},
): Promise<readonly string[]> {
  const data =
    example.types === undefined ? { tables: example.tables } : { tables: example.tables, types: example.types }
  const result = await preview({ config: example.config, data, request: { jwt, ...request } })
  if ('errors' in result) throw new Error(result.errors.map(({ message }) => message).join('\n'))
  expect(result.streamErrors).toEqual([])
  return result.rows.map(({ type, id, data: json, priority }) => {
    return `${type}/${id} ${json}${priority === 3 ? '' : ` (priority ${priority})`}`
  })
}

function subscribed(stream: string, parameters: JsonObject, priority?: number): Partial<PreviewRequest> {
  return { subscriptions: [priority === undefined ? { stream, parameters } : { stream, parameters, priority }] }
}

describe('bucket definitions', () => {
  test('two columns compared with one parameter must both be equal to it', async () => {
    const example = {
      config: `
bucket_definitions:
  own:
    parameters: SELECT token_parameters.user_id AS u
    data:
      - SELECT id FROM notes WHERE author = bucket.u AND editor = bucket.u
`,
      tables: { notes: previewTable('id, author, editor', ['1', 'ann', 'bob'], ['2', 'ann', 'ann']) },
    }
    expect(await rowsFor(example, { sub: 'ann', parameters: { user_id: 'bob' } })).toEqual(['notes/2 {"id":"2"}'])
    expect(await rowsFor(example, { sub: 'bob' })).toEqual([])
  })

  test('a star of older editions fills gaps and does not overwrite', async () => {
    const example = {
      config: `
bucket_definitions:
  s:
    data:
      - SELECT label AS title, * FROM goods
`,
      tables: { goods: previewTable('id, title, label', ['1', 'a', 'b'], ['2', 'a', null]) },
    }
    expect(await rowsFor(example, {})).toEqual([
      'goods/1 {"title":"b","id":"1","label":"b"}',
      'goods/2 {"title":"a","id":"2","label":null}',
    ])
  })
})

describe('streams', () => {
  const CHANNEL: Case = {
    config: `
config: { edition: 3 }
streams:
  channel:
    priority: 2
    query: |
      SELECT id, text FROM messages
      WHERE channel = subscription.parameter('channel')
        AND channel IN (SELECT channel FROM joined WHERE person = auth.user_id())
`,
    tables: {
      messages: previewTable('id, channel, text', ['m1', 'c1', 'a'], ['m2', 'c2', 'b'], ['m3', 'c3', 'c']),
      joined: previewTable('id, person, channel', ['1', 'ann', 'c1'], ['2', 'ann', 'c2']),
    },
  }
  const M1 = 'messages/m1 {"id":"m1","text":"a"}'
  const M2 = 'messages/m2 {"id":"m2","text":"b"}'

  test('a stream without auto_subscribe gives nothing until it is subscribed', async () => {
    expect(await rowsFor(CHANNEL, { sub: 'ann' })).toEqual([])
    expect(await rowsFor(CHANNEL, { sub: 'ann' }, { subscriptions: [{ stream: 'channel' }] })).toEqual([])
    expect(await rowsFor(CHANNEL, { sub: 'ann' }, { subscriptions: [{ stream: 'other' }] })).toEqual([])
  })

  test('each subscription counts by itself, with its own priority; two conditions on a column are an intersection', async () => {
    const both = {
      subscriptions: [
        { stream: 'channel', parameters: { channel: 'c1' } },
        { stream: 'channel', parameters: { channel: 'c2' }, priority: 0 },
      ],
    }
    expect(await rowsFor(CHANNEL, { sub: 'ann' }, both)).toEqual([`${M1} (priority 2)`, `${M2} (priority 0)`])
    expect(await rowsFor(CHANNEL, { sub: 'ann' }, subscribed('channel', { channel: 'c3' }))).toEqual([])
    const twice = {
      subscriptions: [
        { stream: 'channel', parameters: { channel: 'c1' }, priority: 3 },
        { stream: 'channel', parameters: { channel: 'c1' }, priority: 1 },
      ],
    }
    expect(await rowsFor(CHANNEL, { sub: 'ann' }, twice)).toEqual([`${M1} (priority 1)`])
  })

  test('a subquery may name columns of the query around it', async () => {
    const example = {
      config: streamsConfig({
        invoices: `SELECT id, total FROM invoices
          WHERE auth.user_id() IN (SELECT person FROM clerks WHERE clerks.office = invoices.office AND clerks.rank > 2)`,
      }),
      tables: {
        invoices: previewTable('id, office, total int4', ['i1', 'A', '10'], ['i2', 'B', '20']),
        clerks: previewTable('id, person, office, rank int4', ['1', 'ann', 'A', '3'], ['2', 'ann', 'B', '1']),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual(['invoices/i1 {"id":"i1","total":10}'])
  })

  test('keys compare by kind: text is not a number, true is 1, NULL matches nothing', async () => {
    const example = {
      config: streamsConfig({ s: `SELECT id FROM items WHERE k = subscription.parameter('k')` }),
      tables: { items: previewTable('id, k numeric', ['a', '1'], ['b', '1.0'], ['c', null]) },
    }
    const numbers = {
      ...example,
      tables: { items: previewTable('id, k float8', ['a', '1'], ['b', '1.5'], ['c', null]) },
    }
    expect(await rowsFor(example, {}, subscribed('s', { k: '1' }))).toEqual(['items/a {"id":"a"}'])
    expect(await rowsFor(example, {}, subscribed('s', { k: 1 }))).toEqual([])
    expect(await rowsFor(example, {}, subscribed('s', { k: null }))).toEqual([])
    expect(await rowsFor(numbers, {}, subscribed('s', { k: true }))).toEqual(['items/a {"id":"a"}'])
    expect(await rowsFor(numbers, {}, subscribed('s', { k: 1 }))).toEqual(['items/a {"id":"a"}'])
  })

  test('a later column overwrites an earlier one of the same name, a star too; binary data is left out', async () => {
    const example = {
      config: streamsConfig({ s: 'SELECT note AS name, *, price AS cost, thumb FROM goods' }),
      tables: {
        goods: previewTable(
          'id int8, name, note, price float8, thumb bytea',
          ['1', 'pen', 'ünï', '1.5', '\\x00'],
          ['2', 'cap', null, '2', null],
        ),
      },
    }
    expect(await rowsFor(example, {})).toEqual([
      'goods/1 {"name":"pen","id":1,"note":"ünï","price":1.5,"cost":1.5}',
      'goods/2 {"name":"cap","id":2,"note":null,"price":2.0,"thumb":null,"cost":2.0}',
    ])
  })

  test('names: quoted ones keep their case, a table can have a schema and an alias, which is its name on the client', async () => {
    const example = {
      config: streamsConfig({ t: 'SELECT p."fullName" AS "Name", P.ID FROM Shop."Users" AS p' }),
      tables: {
        users: { schema: 'shop', name: 'Users', ...previewTable('id, fullName', ['1', 'Ann']) },
        other: { name: 'Users', ...previewTable('id, fullName', ['2', 'Bob']) },
      },
    }
    expect(await rowsFor(example, {})).toEqual(['p/1 {"Name":"Ann","id":"1"}'])
  })
})

describe('values', () => {
  test('a row of JSON values becomes what Postgres would print', async () => {
    const example = {
      config: streamsConfig({ s: 'SELECT * FROM v' }),
      tables: {
        v: previewTable('id int4, b bool, j jsonb, tags text[], n numeric, missing', {
          id: 1,
          b: true,
          j: { k: [1, 'x'] },
          tags: ['a,b', 'NULL', null, 'say "hi"'],
          n: 1.5,
        }),
      },
    }
    expect(await rowsFor(example, {})).toEqual([
      'v/1 {"id":1,"b":1,"j":"{\\"k\\":[1,\\"x\\"]}","tags":"[\\"a,b\\",\\"NULL\\",null,\\"say \\\\\\"hi\\\\\\"\\"]","n":"1.5","missing":null}',
    ])
  })
})

describe('input and result', () => {
  const INPUT: PreviewInput = {
    config: streamsConfig({ s: 'SELECT * FROM items' }),
    data: { tables: { items: previewTable('id', ['1']) } },
    request: { jwt: { sub: 'ann' } },
  }

  test('a config that cannot be compiled gives its errors with their places', async () => {
    const result = await preview({
      ...INPUT,
      config: 'config:\n  edition: 3\nstreams:\n  s:\n    query: SELECT FROM x WHERE',
    })
    expect(result).toEqual({
      errors: [
        { message: 'Cannot read the query: expected an expression, got the end of the query', line: 5, column: 31 },
      ],
    })
  })

  test('tables and columns that the data leaves out are warnings', async () => {
    const config = streamsConfig({ s: 'SELECT id, nmae FROM items', t: 'SELECT * FROM itmes' })
    const result = await preview({
      ...INPUT,
      config,
      data: { tables: { items: previewTable('id, name', ['1', 'a']) } },
    })
    expect('warnings' in result && result.warnings.map(({ message }) => message)).toEqual([
      'Column "nmae" is not in table public.items (did you mean "name"?): it counts as NULL',
      'Table public.itmes does not exist (did you mean "items"?): it is synced once it does',
    ])
    expect('rows' in result && result.rows).toEqual([{ type: 'items', id: '1', data: '{"id":"1"}', priority: 3 }])
  })

  test('two rows with one id are both shown; one row in two buckets is shown once with the smaller priority', async () => {
    const config = `
config: { edition: 3 }
streams:
  a: { auto_subscribe: true, priority: 2, query: "SELECT kind AS id, id AS number FROM items" }
  b: { auto_subscribe: true, priority: 1, query: "SELECT kind AS id, id AS number FROM items WHERE owner = auth.user_id()" }
`
    const data = { tables: { items: previewTable('id, kind, owner', ['1', 'k', 'ann'], ['2', 'k', 'bob']) } }
    const result = await preview({ ...INPUT, config, data })
    expect('rows' in result && result.rows).toEqual([
      { type: 'items', id: 'k', data: '{"id":"k","number":"1"}', priority: 1 },
      { type: 'items', id: 'k', data: '{"id":"k","number":"2"}', priority: 2 },
    ])
  })

  test.each([
    ['int4', 'abc'],
    ['int2', '40000'],
    ['int8', '1.5'],
    ['float8', 'wide'],
    ['numeric', '1,5'],
    ['bool', 'x'],
    ['bool', 'true'],
    ['uuid', '1'],
    ['date', 'today'],
    ['bytea', 'zz'],
    ['jsonb', '{'],
    ['int4[]', '{1,abc}'],
    ['int4[]', '1'],
  ])('a value that is not of its type (%s: %j) is refused with table, row and column', async (type, text) => {
    const data = { tables: { items: previewTable(`id, n ${type}`, ['1', null], ['2', text]) } }
    const message = expect.stringContaining('Cannot read column "n" in row 2 of table "items": expected ') as unknown
    expect(await preview({ ...INPUT, data })).toEqual({ errors: [{ message, line: 1, column: 1 }] })
  })

  test('data of another form is refused by name', async () => {
    const data = { tables: { items: { ...previewTable('id', ['1', '2']) } } }
    await expect(preview({ ...INPUT, data })).rejects.toMatchObject({
      code: 'bad-preview-input',
      message: 'Cannot read row 1 of table "items": expected 1 values, got ["1","2"]',
    })
  })
})
