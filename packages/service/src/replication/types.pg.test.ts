import { createTestDatabase, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

/** One column of every type that Postgres has, and a few made up; with values that are easily told wrongly. */
const COLUMNS: readonly (readonly [type: string, ...values: string[]])[] = [
  ['int2', "'-32768'", "'32767'"],
  ['int4', "'-2147483648'", "'7'"],
  ['int8', "'-9223372036854775808'", "'9223372036854775807'"],
  ['numeric', "'NaN'", "'123456789012345678901234567890.000100'", "'-Infinity'"],
  ['numeric(10,2)', "'1.5'", "'-0.01'"],
  ['float4', "'NaN'", "'1.1'", "'-0'", "'1e-40'"],
  ['float8', "'Infinity'", "'0.1'", "'5e-324'", "'-0'"],
  ['money', "'-12.34'"],
  ['bool', "'t'", "'f'"],
  ['bytea', "''", "'\\x00ff0a5c'"],
  ['uuid', "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
  ['char(5)', "'ab'"],
  ['varchar(9)', "'héllo'"],
  ['text', "E'tab\\tline\\nback\\\\slash\\rreturn\\b\\f\\v'", "''", "'\\N'", "'😀\u2028'", "'null'"],
  ['name', "'a name'"],
  ['date', "'infinity'", "'0044-03-15 BC'", "'10000-01-01'"],
  ['time', "'24:00:00'", "'01:02:03.000004'"],
  ['timetz', "'01:02:03+05:30'"],
  ['timestamp', "'-infinity'", "'2024-02-29 23:59:59.999999'", "'0001-01-01 00:00:00 BC'"],
  ['timestamptz', "'infinity'", "'2024-03-31 02:30:00+02'", "'20000-01-01 00:00:00+00'"],
  ['interval', "'1 year 2 mons -3 days 04:05:06.7'", "'-1 day'"],
  ['inet', "'192.168.0.1/24'", "'::1'"],
  ['cidr', "'10.0.0.0/8'"],
  ['macaddr', "'08:00:2b:01:02:03'"],
  ['json', `'{"b": 1,  "a": [1.0, "\\u00e9"], "b": 2}'`],
  ['jsonb', `'{"b": 1,  "a": [1.0, "\\u00e9"], "b": 2}'`],
  ['xml', "'<a>1</a>'"],
  ['bit(3)', "'101'"],
  ['varbit', "'1'"],
  ['point', "'(1,2)'"],
  ['box', "'(3,4),(1,2)'"],
  ['polygon', "'((0,0),(1,1))'"],
  ['circle', "'<(0,0),5>'"],
  ['tsvector', "'a fat cat:2'"],
  ['tsquery', "'fat & rat'"],
  ['regclass', "'pg_class'"],
  ['pg_lsn', "'16/B374D848'"],
  ['int4[]', "'{}'", "'{1,NULL,3}'", "'[2:3]={1,2}'", "'{{1,2},{3,4}}'"],
  ['text[]', `'{"a,b","c\\"d",NULL,"NULL","","e\\\\f"}'`],
  ['box[]', "'{(1,2),(3,4);(5,6),(7,8)}'"],
  ['timestamptz[]', '\'{"2024-01-01 00:00:00+00",infinity}\''],
  ['int4range', "'[1,5)'", "'empty'", "'(,)'"],
  ['tstzrange', "'[2024-01-01 00:00+00,)'"],
  ['int4multirange', "'{[1,3),[5,8)}'"],
  ['mood', "'very happy'"],
  ['mood[]', '\'{sad,"very happy"}\''],
  ['positive', "'3'"],
  ['positive[]', "'{3,4}'"],
  ['tags', "'{a,b}'"],
  ['pair', `'(1,"a,b")'`, "'(,)'"],
  ['pair[]', `'{"(1,x)","(2,\\"y z\\")"}'`],
]

const TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'very happy');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE DOMAIN tags AS text[];
  CREATE TYPE pair AS (n int, t text)`

test('[sync-config 44] a row has the same bytes whether it was copied or streamed, for every type and odd session settings', async () => {
  await using db = await createTestDatabase(postgres)
  await db.sql(TYPES)
  await db.sql(`
    ALTER DATABASE ${db.name} SET DateStyle = 'SQL, DMY';
    ALTER DATABASE ${db.name} SET IntervalStyle = 'iso_8601';
    ALTER DATABASE ${db.name} SET TimeZone = 'Asia/Kolkata';
    ALTER DATABASE ${db.name} SET extra_float_digits = 0;
    ALTER DATABASE ${db.name} SET bytea_output = 'escape'`)
  const definitions = COLUMNS.map(([type], index) => `c${index} ${type}`).join(', ')
  await db.sql(
    `CREATE TABLE copied (id text PRIMARY KEY, ${definitions}); CREATE TABLE streamed (LIKE copied INCLUDING ALL)`,
  )
  const rows = Math.max(...COLUMNS.map((column) => column.length - 1))
  const insertInto = (table: string): string =>
    Array.from({ length: rows }, (_, row) => {
      const values = COLUMNS.map(([type, ...all]) => `${all[row] ?? 'NULL'}::${type}`)
      return `INSERT INTO ${table} VALUES ('${row}', ${values.join(', ')});`
    }).join('\n')
  await db.sql(insertInto('copied'))

  await using service = await startReplication(db, {
    config:
      'config:\n  edition: 3\nstreams:\n  all:\n    auto_subscribe: true\n    queries:\n      - SELECT * FROM copied\n      - SELECT * FROM streamed',
  })
  await service.settle()
  await db.sql(insertInto('streamed'))
  await service.settle()

  const data = await service.data()
  for (let row = 0; row < rows; row += 1) {
    expect(data.get(`streamed/${row}`)).toBe(data.get(`copied/${row}`))
  }
  expect(data.size).toBe(2 * rows)
})
