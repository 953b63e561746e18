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
  test('a definition without parameters is one bucket for everybody; a star leaves columns with _ out', async () => {
    const example = {
      config: `
bucket_definitions:
  reference:
    data:
      - SELECT * FROM currencies
      - SELECT code AS id, name FROM country_codes AS countries WHERE NOT retired
`,
      tables: {
        currencies: previewTable('id, symbol, _loaded_at', ['EUR', '€', '2024-01-01']),
        country_codes: previewTable(
          'code, name, retired bool',
          ['NL', 'Netherlands', 'f'],
          ['SU', 'Soviet Union', 't'],
          ['XX', 'Unknown', null],
        ),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual([
      'countries/NL {"id":"NL","name":"Netherlands"}',
      'countries/XX {"id":"XX","name":"Unknown"}',
      'currencies/EUR {"id":"EUR","symbol":"€"}',
    ])
    expect(await rowsFor(example, { sub: 'ann' }, { includeDefaults: false })).toEqual([])
  })

  test('a static parameter query gives a user their own rows', async () => {
    const example = {
      config: `
bucket_definitions:
  my_loans:
    parameters: SELECT request.user_id() AS reader
    data:
      - SELECT id, title, due FROM loans WHERE reader_id = bucket.reader
`,
      tables: {
        loans: previewTable(
          'id, reader_id, title, due date',
          ['l1', 'ann', 'Emma', '2024-05-01'],
          ['l2', 'bob', 'Ulysses', null],
          ['l3', null, 'Lost', null],
        ),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual(['loans/l1 {"id":"l1","title":"Emma","due":"2024-05-01"}'])
    expect(await rowsFor(example, { sub: 'bob' })).toEqual(['loans/l2 {"id":"l2","title":"Ulysses","due":null}'])
    expect(await rowsFor(example, { sub: 'zoe' })).toEqual([])
    expect(await rowsFor(example, {})).toEqual([])
  })

  test('a parameter query over a table combines its columns with values of the token', async () => {
    const example = {
      config: `
bucket_definitions:
  branch:
    parameters: |
      SELECT branch_id, request.jwt() ->> 'tier' AS tier
      FROM staff WHERE person = request.user_id() AND active
    data:
      - SELECT id, name FROM shelves WHERE branch = bucket.branch_id AND tier = bucket.tier
`,
      tables: {
        staff: previewTable(
          'id, person, branch_id, active bool',
          ['1', 'ann', 'north', 't'],
          ['2', 'ann', 'south', 'f'],
          ['3', 'bob', 'south', 't'],
        ),
        shelves: previewTable(
          'id, branch, tier, name',
          ['s1', 'north', 'gold', 'Poetry'],
          ['s2', 'north', 'base', 'Prose'],
          ['s3', 'south', 'gold', 'Maps'],
        ),
      },
    }
    expect(await rowsFor(example, { sub: 'ann', tier: 'gold' })).toEqual(['shelves/s1 {"id":"s1","name":"Poetry"}'])
    expect(await rowsFor(example, { sub: 'bob', tier: 'base' })).toEqual([])
    expect(await rowsFor(example, { sub: 'bob', tier: 'gold' })).toEqual(['shelves/s3 {"id":"s3","name":"Maps"}'])
  })

  test('a filter on the token guards a global bucket, and _priority sets its priority', async () => {
    const example = {
      config: `
bucket_definitions:
  audit:
    parameters: SELECT 0 AS _priority WHERE request.jwt() ->> 'role' = 'auditor'
    data:
      - SELECT id, line FROM audit_log
`,
      tables: { audit_log: previewTable('id int8, line', ['7', 'opened']) },
    }
    expect(await rowsFor(example, { sub: 'ann', role: 'auditor' })).toEqual([
      'audit_log/7 {"id":7,"line":"opened"} (priority 0)',
    ])
    expect(await rowsFor(example, { sub: 'bob', role: 'clerk' })).toEqual([])
    expect(await rowsFor(example, { sub: 'cy' })).toEqual([])
  })

  test('several parameter queries are a union, and OR over the same parameter puts a row under either column', async () => {
    const example = {
      config: `
bucket_definitions:
  plot:
    parameters:
      - SELECT id AS plot FROM plots WHERE owner = request.user_id()
      - SELECT plot_id AS plot FROM helpers WHERE person = request.user_id()
    data:
      - SELECT id, name FROM plots WHERE id = bucket.plot
      - SELECT id, crop FROM beds WHERE plot_a = bucket.plot OR plot_b = bucket.plot
`,
      tables: {
        plots: previewTable('id, owner, name', ['p1', 'ann', 'Hill'], ['p2', 'bob', 'Dale']),
        helpers: previewTable('id, person, plot_id', ['h1', 'cy', 'p1']),
        beds: previewTable('id, plot_a, plot_b, crop', ['b1', 'p1', 'p2', 'rye'], ['b2', 'p2', 'p2', 'oat']),
      },
    }
    expect(await rowsFor(example, { sub: 'cy' })).toEqual([
      'beds/b1 {"id":"b1","crop":"rye"}',
      'plots/p1 {"id":"p1","name":"Hill"}',
    ])
    expect(await rowsFor(example, { sub: 'bob' })).toEqual([
      'beds/b1 {"id":"b1","crop":"rye"}',
      'beds/b2 {"id":"b2","crop":"oat"}',
      'plots/p2 {"id":"p2","name":"Dale"}',
    ])
  })

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
  test('own rows, filtered by a boolean column; a star brings every column', async () => {
    const example = {
      config: streamsConfig({ my_tasks: 'SELECT * FROM tasks WHERE assignee = auth.user_id() AND NOT archived' }),
      tables: {
        tasks: previewTable(
          'id, assignee, archived bool, _rank int4',
          ['t1', 'ann', 'f', '1'],
          ['t2', 'ann', 't', '2'],
          ['t3', 'bob', 'f', '3'],
        ),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual([
      'tasks/t1 {"id":"t1","assignee":"ann","archived":0,"_rank":1}',
    ])
    expect(await rowsFor(example, { sub: 'ann' }, { includeDefaults: false })).toEqual([])
  })

  test('OR of a row filter and an equality gives the union, each row once', async () => {
    const example = {
      config: streamsConfig({ recipes: 'SELECT id, name FROM recipes WHERE shared OR cook = auth.user_id()' }),
      tables: {
        recipes: previewTable(
          'id, cook, shared bool, name',
          ['r1', 'ann', 'f', 'Soup'],
          ['r2', 'bob', 't', 'Stew'],
          ['r3', 'ann', 't', 'Pie'],
          ['r4', 'bob', 'f', 'Secret'],
        ),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual([
      'recipes/r1 {"id":"r1","name":"Soup"}',
      'recipes/r2 {"id":"r2","name":"Stew"}',
      'recipes/r3 {"id":"r3","name":"Pie"}',
    ])
  })

  test('a condition on the request decides access and filters no rows', async () => {
    const query = `SELECT id, amount FROM payroll WHERE auth.parameter('role') = 'finance' OR person = auth.user_id()`
    const example = {
      config: streamsConfig({ payroll: query }),
      tables: { payroll: previewTable('id, person, amount numeric', ['p1', 'ann', '10.50'], ['p2', 'bob', '9']) },
    }
    const [first, second] = ['payroll/p1 {"id":"p1","amount":"10.50"}', 'payroll/p2 {"id":"p2","amount":"9"}']
    expect(await rowsFor(example, { sub: 'ann', role: 'finance' })).toEqual([first, second])
    expect(await rowsFor(example, { sub: 'bob', role: 'clerk' })).toEqual([second])
  })

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

  test('nested subqueries follow one table to the next', async () => {
    const example = {
      config: streamsConfig({
        repairs: `SELECT id, job FROM repairs WHERE truck_id IN (
          SELECT id FROM trucks WHERE depot_id IN (SELECT depot_id FROM drivers WHERE person = auth.user_id()))`,
      }),
      tables: {
        repairs: previewTable('id, truck_id, job', ['r1', 't1', 'oil'], ['r2', 't2', 'tyre'], ['r3', 't3', 'belt']),
        trucks: previewTable('id, depot_id', ['t1', 'd1'], ['t2', 'd1'], ['t3', 'd2']),
        drivers: previewTable('id, person, depot_id', ['x', 'ann', 'd1']),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual([
      'repairs/r1 {"id":"r1","job":"oil"}',
      'repairs/r2 {"id":"r2","job":"tyre"}',
    ])
    expect(await rowsFor(example, { sub: 'bob' })).toEqual([])
  })

  test('values from independent tables combine freely', async () => {
    const example = {
      config: streamsConfig({
        prices: `SELECT id FROM prices
          WHERE region IN (SELECT region FROM areas WHERE person = auth.user_id())
            AND list IN (SELECT list FROM lists WHERE person = auth.user_id())`,
      }),
      tables: {
        prices: previewTable(
          'id, region, list',
          ['1', 'n', 'std'],
          ['2', 's', 'vip'],
          ['3', 'n', 'b2b'],
          ['4', 'n', 'vip'],
        ),
        areas: previewTable('id, person, region', ['a', 'ann', 'n'], ['b', 'ann', 's']),
        lists: previewTable('id, person, list', ['c', 'ann', 'std'], ['d', 'ann', 'vip']),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual([
      'prices/1 {"id":"1"}',
      'prices/2 {"id":"2"}',
      'prices/4 {"id":"4"}',
    ])
  })

  test('a value of the request in a subquery asks whether there is such a row', async () => {
    const example = {
      config: streamsConfig({
        handbook:
          'SELECT id, page FROM handbook WHERE auth.user_id() IN (SELECT person FROM employees WHERE NOT suspended)',
      }),
      tables: {
        handbook: previewTable('id, page', ['h1', 'Welcome']),
        employees: previewTable('id, person, suspended bool', ['1', 'ann', 'f'], ['2', 'bob', 't']),
      },
    }
    expect(await rowsFor(example, { sub: 'ann' })).toEqual(['handbook/h1 {"id":"h1","page":"Welcome"}'])
    expect(await rowsFor(example, { sub: 'bob' })).toEqual([])
    expect(await rowsFor(example, { sub: 'eve' })).toEqual([])
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

  test('OR below AND keeps the other conditions on each side', async () => {
    const example = {
      config: streamsConfig({
        files: `SELECT id FROM files WHERE tenant = auth.parameter('tenant')
          AND (owner = auth.user_id() OR id IN (SELECT file FROM shares WHERE person = auth.user_id()))`,
      }),
      tables: {
        files: previewTable(
          'id, tenant, owner',
          ['f1', 'T', 'ann'],
          ['f2', 'T', 'bob'],
          ['f3', 'U', 'ann'],
          ['f4', 'U', 'bob'],
        ),
        shares: previewTable('id, person, file', ['s1', 'ann', 'f2'], ['s2', 'ann', 'f4']),
      },
    }
    expect(await rowsFor(example, { sub: 'ann', tenant: 'T' })).toEqual([
      'files/f1 {"id":"f1"}',
      'files/f2 {"id":"f2"}',
    ])
  })

  test('NOT goes to the parts of a condition, and NOT NULL is true', async () => {
    const example = {
      config: streamsConfig({
        shifts: `SELECT id, state FROM shifts WHERE NOT (state = 'draft' OR cancelled)
          AND state NOT IN ARRAY['hidden', 'old'] AND ward = auth.parameter('ward')`,
      }),
      tables: {
        shifts: previewTable(
          'id, state, cancelled bool, ward',
          ['1', 'open', 'f', 'w'],
          ['2', 'draft', 'f', 'w'],
          ['3', 'open', 't', 'w'],
          ['4', 'old', 'f', 'w'],
          ['5', null, null, 'w'],
        ),
      },
    }
    expect(await rowsFor(example, { ward: 'w' })).toEqual([
      'shifts/1 {"id":"1","state":"open"}',
      'shifts/5 {"id":"5","state":null}',
    ])
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
  const VALUES: Omit<Case, 'config'> = {
    types: {
      mood: { kind: 'enum', values: ['ok'] },
      pair: {
        kind: 'composite',
        members: [
          ['a', 'int4'],
          ['b', 'timestamptz'],
        ],
      },
    },
    tables: {
      v: previewTable(
        'id, b bool, i int8, f float8, n numeric, ts timestamp, tz timestamptz, d date, arr int4[], bools bool[], m mood, p pair, j jsonb',
        '1|t|9007199254740993|2|1.50|2024-03-01 10:00:00|2024-03-01 10:00:00.5+02|infinity|{1,NULL,3}|{t,f}|ok|(7,"2024-03-01 10:00:00+00")|{"k": 1.0}'.split(
          '|',
        ),
      ),
    },
  }

  test('edition 3 writes ISO times and structured types', async () => {
    const data =
      '{"id":"1","b":1,"i":9007199254740993,"f":2.0,"n":"1.50","ts":"2024-03-01T10:00:00.000000",' +
      '"tz":"2024-03-01T08:00:00.500000Z","d":"9999-12-31","arr":"[1,null,3]","bools":"[1,0]","m":"ok",' +
      '"p":"{\\"a\\":7,\\"b\\":\\"2024-03-01T10:00:00.000000Z\\"}","j":"{\\"k\\": 1.0}"}'
    expect(await rowsFor({ ...VALUES, config: streamsConfig({ s: 'SELECT * FROM v' }) }, {})).toEqual([`v/1 ${data}`])
  })

  test('edition 1 writes times as printed and custom types raw', async () => {
    const config = 'bucket_definitions: { s: { data: [SELECT * FROM v] } }'
    const data =
      '{"id":"1","b":1,"i":9007199254740993,"f":2.0,"n":"1.50","ts":"2024-03-01 10:00:00",' +
      '"tz":"2024-03-01 08:00:00.5Z","d":"9999-12-31","arr":"[1,null,3]","bools":"[1,0]","m":"ok",' +
      '"p":"(7,\\"2024-03-01 10:00:00+00\\")","j":"{\\"k\\": 1.0}"}'
    expect(await rowsFor({ ...VALUES, config }, {})).toEqual([`v/1 ${data}`])
  })

  test('flags change what the edition says', async () => {
    const config = `
config:
  timestamps_iso8601: true
  timestamp_max_precision: milliseconds
  custom_postgres_types: true
bucket_definitions:
  s:
    data:
      - SELECT id, ts, tz, p FROM v
`
    const data =
      '{"id":"1","ts":"2024-03-01T10:00:00.000","tz":"2024-03-01T08:00:00.500Z",' +
      '"p":"{\\"a\\":7,\\"b\\":\\"2024-03-01T10:00:00.000Z\\"}"}'
    expect(await rowsFor({ ...VALUES, config }, {})).toEqual([`v/1 ${data}`])
  })

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
