import { createTestDatabase, startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startReplication } from './replication.test-parts.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

const TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'very happy');
  CREATE DOMAIN price AS numeric;
  CREATE DOMAIN moment AS timestamptz;
  CREATE DOMAIN numbers AS int[];
  CREATE TYPE pair AS (n int, t text);
  CREATE TYPE stay AS (during tstzrange, "Odd ""name""" pair, tags text[], ok bool, at timestamp(0), blob bytea);
  CREATE TYPE floats AS RANGE (subtype = float8);
  CREATE TYPE words AS RANGE (subtype = text)`

/** What a value is in op data: in edition 1, and in edition 3 where that differs. */
type Case = readonly [type: string, literal: string, older: string, newer?: string]

const SCALARS: readonly Case[] = [
  ['int2', "'-32768'", '-32768'],
  ['int4', "'2147483647'", '2147483647'],
  ['int8', "'9223372036854775807'", '9223372036854775807'],
  ['oid', "'4294967295'", '4294967295'],
  ['float4', "'0.1'", '0.1'],
  ['float4', "'16777216'", '16777216.0'],
  ['float4', "'1e-40'", '1e-40'],
  ['float4', "'-0'", '0.0'],
  ['float8', "'0.1'", '0.1'],
  ['float8', "'314'", '314.0'],
  ['float8', "'1e21'", '1e+21'],
  ['float8', "'1.5e-7'", '1.5e-7'],
  ['float8', "'5e-324'", '5e-324'],
  ['float8', "'NaN'", 'null'],
  ['float8', "'-Infinity'", 'null'],
  ['numeric', "'10.50'", '"10.50"'],
  ['numeric', "'NaN'", '"NaN"'],
  ['bool', "'t'", '1'],
  ['bool', "'f'", '0'],
  ['char(4)', "'ab'", '"ab  "'],
  ['"char"', "'x'", '"x"'],
  ['name', "'A name'", '"A name"'],
  ['text', "E'\\t\"\\\\'", String.raw`"\t\"\\"`],
  ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
  ['json', `'{"b":1,  "a": 1.0}'`, String.raw`"{\"b\":1,  \"a\": 1.0}"`],
  [
    'jsonb',
    `'{"b":1,"a":[1.0,123456789012345678901234567890]}'`,
    String.raw`"{\"a\": [1.0, 123456789012345678901234567890], \"b\": 1}"`,
  ],
  ['timetz', "'01:02:03+05:30'", '"01:02:03+05:30"'],
  ['interval', "'1 year -3 days 04:05:06.7'", '"1 year -3 days +04:05:06.7"'],
  ['money', "'-12.34'", '"-$12.34"'],
  ['bit(3)', "'101'", '"101"'],
  ['inet', "'10.0.0.1/8'", '"10.0.0.1/8"'],
  ['macaddr8', "'08:00:2b:01:02:03:04:05'", '"08:00:2b:01:02:03:04:05"'],
  ['point', "'(1,2)'", '"(1,2)"'],
  ['box', "'(3,4),(1,2)'", '"(3,4),(1,2)"'],
  ['tsvector', "'a fat cat:2'", `"'a' 'cat':2 'fat'"`],
  ['xid', "'5'", '"5"'],
  ['tid', "'(1,2)'", '"(1,2)"'],
  ['regclass', "'pg_class'", '"pg_class"'],
  ['pg_lsn', "'16/B374D848'", '"00000016/B374D848"'],
  ['mood', "'very happy'", '"very happy"'],
  ['price', "'1.50'", '"1.50"'],
  ['int4', 'NULL', 'null'],
]

const TIMES: readonly Case[] = [
  ['date', "'2024-02-29'", '"2024-02-29"'],
  ['date', "'infinity'", '"9999-12-31"'],
  ['date', "'-infinity'", '"0000-01-01"'],
  ['date', "'0044-03-15 BC'", '"0044-03-15 BC"'],
  ['date', "'12024-01-01'", '"12024-01-01"'],
  ['time', "'08:09:10.5'", '"08:09:10.5"', '"08:09:10.500000"'],
  ['time', "'24:00:00'", '"24:00:00"', '"24:00:00.000000"'],
  ['time(0)', "'08:09:10.5'", '"08:09:11"', '"08:09:11.000000"'],
  ['timestamp', "'2024-02-29 08:09:10.5'", '"2024-02-29 08:09:10.5"', '"2024-02-29T08:09:10.500000"'],
  ['timestamp', "'infinity'", '"9999-12-31 23:59:59"', '"9999-12-31T23:59:59.000000"'],
  ['timestamp', "'-infinity'", '"0000-01-01 00:00:00"', '"0000-01-01T00:00:00.000000"'],
  ['timestamp', "'0044-03-15 12:00 BC'", 'null'],
  ['timestamp', "'294276-12-31 23:59:59.999999'", '"294276-12-31 23:59:59.999999"', '"294276-12-31T23:59:59.999999"'],
  ['timestamptz', "'2024-02-29 08:09:10.25+02'", '"2024-02-29 06:09:10.25Z"', '"2024-02-29T06:09:10.250000Z"'],
  ['timestamptz', "'1880-01-01 00:19:32+00:19:32'", '"1880-01-01 00:00:00Z"', '"1880-01-01T00:00:00.000000Z"'],
  ['timestamptz', "'infinity'", '"9999-12-31 23:59:59Z"', '"9999-12-31T23:59:59.000000Z"'],
  ['timestamptz', "'-infinity'", '"0000-01-01 00:00:00Z"', '"0000-01-01T00:00:00.000000Z"'],
  ['timestamptz', "'0044-03-15 12:00+00 BC'", 'null'],
  ['timestamptz', "'0001-01-01 00:00:00+00'", '"0001-01-01 00:00:00Z"', '"0001-01-01T00:00:00.000000Z"'],
  ['timestamptz', "'9999-12-31 23:59:59+00'", '"9999-12-31 23:59:59Z"', '"9999-12-31T23:59:59.000000Z"'],
  ['timestamptz', "'10000-01-01 00:00:00+00'", 'null'],
  ['timestamptz', "'294276-12-31 00:00:00+00'", 'null'],
  ['moment', "'2024-01-01 00:00:00+00'", '"2024-01-01 00:00:00Z"', '"2024-01-01T00:00:00.000000Z"'],
]

const ARRAYS: readonly Case[] = [
  ['int4[]', "'{}'", '"[]"'],
  ['int4[]', "'{1,NULL,3}'", '"[1,null,3]"'],
  ['int4[]', "'[2:3][0:1]={{1,2},{3,4}}'", '"[[1,2],[3,4]]"'],
  ['bool[]', "'{t,f}'", '"[1,0]"'],
  ['float4[]', "'{1,0.1,NaN}'", '"[1.0,0.1,null]"'],
  ['numeric[]', "'{1.50}'", String.raw`"[\"1.50\"]"`],
  [
    'text[]',
    `'{"a,b","c\\"d",NULL,"NULL","null","","e\\\\f","{}"," "}'`,
    JSON.stringify('["a,b","c\\"d",null,"NULL","null","","e\\\\f","{}"," "]'),
  ],
  ['bytea[]', String.raw`'{"\\x00"}'`, '"[null]"'],
  ['jsonb[]', `ARRAY['{"k":[1,"x"]}', 'null', NULL]`, JSON.stringify('[{"k": [1, "x"]},null,null]')],
  ['date[]', "'{infinity}'", String.raw`"[\"9999-12-31\"]"`],
  [
    'timestamp[]',
    `'{"2024-01-01 00:00"}'`,
    String.raw`"[\"2024-01-01 00:00:00\"]"`,
    String.raw`"[\"2024-01-01T00:00:00.000000\"]"`,
  ],
  ['inet[]', "'{::1}'", String.raw`"[\"::1\"]"`],
  [
    'box[]',
    "'{(3,4),(1,2);(7,8),(5,6)}'",
    JSON.stringify('["(3","4)","(1","2);(7","8)","(5","6)"]'),
    JSON.stringify('["(3,4),(1,2)","(7,8),(5,6)"]'),
  ],
  ['mood[]', `'{sad,"very happy"}'`, JSON.stringify('{sad,"very happy"}'), JSON.stringify('["sad","very happy"]')],
  ['price[]', "'{1.50}'", '"{1.50}"', String.raw`"[\"1.50\"]"`],
  ['numbers', "'{1,2}'", '"[1,2]"'],
  ['numbers[]', `'{"{1,2}","{3}"}'`, JSON.stringify('{"{1,2}","{3}"}'), '"[[1,2],[3]]"'],
  [
    'int4range[]',
    `'{empty,"[1,2)"}'`,
    JSON.stringify('{empty,"[1,2)"}'),
    JSON.stringify('["empty",{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1}]'),
  ],
]

const STRUCTURES: readonly Case[] = [
  ['pair', `'(1,"a,b")'`, JSON.stringify('(1,"a,b")'), JSON.stringify('{"n":1,"t":"a,b"}')],
  ['pair', "'(,)'", '"(,)"', JSON.stringify('{"n":null,"t":null}')],
  ['pair', `'(,"")'`, JSON.stringify('(,"")'), JSON.stringify('{"n":null,"t":""}')],
  [
    'pair',
    `ROW(2, 'say "hi" \\ ( ''')`,
    JSON.stringify(`(2,"say ""hi"" \\\\ ( '")`),
    JSON.stringify(String.raw`{"n":2,"t":"say \"hi\" \\ ( '"}`),
  ],
  [
    'pair[]',
    `'{"(1,x)","(2,\\"y z\\")"}'`,
    JSON.stringify('{"(1,x)","(2,\\"y z\\")"}'),
    JSON.stringify('[{"n":1,"t":"x"},{"n":2,"t":"y z"}]'),
  ],
  [
    'stay',
    `ROW('[2024-01-01 00:00+00,)', ROW(1, 'a "b"'), ARRAY['x y', NULL], true, '2024-01-01 10:00', '\\x00')`,
    JSON.stringify(
      String.raw`("[""2024-01-01 00:00:00+00"",)","(1,""a """"b"""""")","{""x y"",NULL}",t,"2024-01-01 10:00:00","\\x00")`,
    ),
    JSON.stringify(
      String.raw`{"during":{"lower":"2024-01-01T00:00:00.000000Z","upper":null,"lower_exclusive":0,"upper_exclusive":1},"Odd \"name\"":{"n":1,"t":"a \"b\""},"tags":["x y",null],"ok":1,"at":"2024-01-01T10:00:00.000000","blob":null}`,
    ),
  ],
  ['int4range', "'[1,5]'", '"[1,6)"', JSON.stringify('{"lower":1,"upper":6,"lower_exclusive":0,"upper_exclusive":1}')],
  [
    'int4range',
    "'(,)'",
    '"(,)"',
    JSON.stringify('{"lower":null,"upper":null,"lower_exclusive":1,"upper_exclusive":1}'),
  ],
  ['int4range', "'empty'", '"empty"'],
  [
    'numrange',
    "'(1.50,2]'",
    '"(1.50,2]"',
    JSON.stringify('{"lower":"1.50","upper":"2","lower_exclusive":1,"upper_exclusive":0}'),
  ],
  [
    'floats',
    "'[1,2.5)'",
    '"[1,2.5)"',
    JSON.stringify('{"lower":1.0,"upper":2.5,"lower_exclusive":0,"upper_exclusive":1}'),
  ],
  [
    'words',
    `'["a ""b""","c,d]")'`,
    JSON.stringify(String.raw`["a ""b""","c,d]")`),
    JSON.stringify(String.raw`{"lower":"a \"b\"","upper":"c,d]","lower_exclusive":0,"upper_exclusive":1}`),
  ],
  [
    'daterange',
    "'[2024-01-01,infinity)'",
    '"[2024-01-01,infinity)"',
    JSON.stringify('{"lower":"2024-01-01","upper":"9999-12-31","lower_exclusive":0,"upper_exclusive":1}'),
  ],
  [
    'int4multirange',
    "'{[1,3),[5,8)}'",
    '"{[1,3),[5,8)}"',
    JSON.stringify(
      '[{"lower":1,"upper":3,"lower_exclusive":0,"upper_exclusive":1},{"lower":5,"upper":8,"lower_exclusive":0,"upper_exclusive":1}]',
    ),
  ],
  ['int4multirange', "'{}'", '"{}"', '"[]"'],
]

const CASES = [...SCALARS, ...TIMES, ...ARRAYS, ...STRUCTURES]

const OLDER = `bucket_definitions:
  all:
    data:
      - SELECT * FROM copied
      - SELECT * FROM streamed`
const NEWER = `config:
  edition: 3
streams:
  all:
    auto_subscribe: true
    queries:
      - SELECT * FROM copied
      - SELECT * FROM streamed`

describe('a value that Postgres prints becomes what the edition says, copied and streamed', () => {
  test.each([
    ['older', OLDER, CASES.map(([, , older]) => older)],
    ['newer', NEWER, CASES.map(([, , older, newer]) => newer ?? older)],
  ])('[30, 31, 33, 34, 35, 37, 38, 39, 40, 41, 42, 44] %s editions', async (_name, config, expected) => {
    await using db = await createTestDatabase(postgres)
    await db.sql(TYPES)
    const definitions = CASES.map(([type], index) => `c${index} ${type}`).join(', ')
    const values = CASES.map(([type, literal]) => `${literal}::${type}`).join(', ')
    await db.sql(`
      CREATE TABLE copied (id text PRIMARY KEY, ${definitions});
      CREATE TABLE streamed (LIKE copied INCLUDING ALL);
      INSERT INTO copied VALUES ('1', ${values})`)

    await using service = await startReplication(db, { config })
    await service.settle()
    await db.sql(`INSERT INTO streamed VALUES ('1', ${values})`)
    await service.settle()

    const data = await service.data()
    const wanted = named(expected)
    expect(named(valuesOf(data.get('copied/1') ?? ''))).toEqual(wanted)
    expect(named(valuesOf(data.get('streamed/1') ?? ''))).toEqual(wanted)
  })
})

/** The text of each member behind the id, in order. */
function valuesOf(data: string): readonly string[] {
  return data
    .slice(0, -1)
    .split(/,"c\d+":/)
    .slice(1)
}

function named(values: readonly string[]): readonly string[] {
  return values.map((value, index) => `${CASES[index]?.slice(0, 2).join(' ')} is ${value}`)
}
