import { expect, test } from 'vitest'
import { type ExpressionSetting, valueOf } from '../testing/evaluate-expression.ts'

const ROW: ExpressionSetting = {
  columns: 'j jsonb, r1 float8, i int4',
  row: '{"a":1,"b":{"c":"x"},"d":[1,2],"a.b":"dot","n":null,"t":true,"f":1.0} | 1 | 5',
}

type Editions = readonly (1 | 2 | 3)[]

const ALL: Editions = [1, 2, 3]
const OLDER: Editions = [1, 2]
const NEWER: Editions = [2, 3]

test.each<readonly [editions: Editions, expression: string, value: string]>([
  [ALL, '1 = 1.0', '1'],
  [ALL, "'a' < 'B'", '0'],
  [ALL, "10 < '9'", '1'],
  [ALL, 'NULL AND 0', '0'],
  [ALL, "1 AND '2x'", '1'],
  [ALL, "NOT '0.5'", '1'],
  [ALL, 'NOT 0.5', '0'],
  [ALL, '-7 / 2', '-3'],
  [ALL, '7 / 2.0', '3.5'],
  [ALL, '1.0 / 0', 'null'],
  [ALL, "'3' * '4'", '12'],
  [ALL, '9223372036854775807 + 1', '9223372036854775808'],
  [ALL, "r1 || 'a'", '"1a"'],
  [ALL, 'length(12.0)', '2'],
  [ALL, "CAST(' 12ab' AS integer)", '12'],
  [ALL, "CAST('.5' AS numeric)", '0.5'],
  [ALL, 'hex(255)', '"323535"'],
  [ALL, "iif(0.1, 'y', 'n')", '"y"'],
  [ALL, "j ->> 'f'", '1.0'],
  [ALL, "j -> 'f'", '"1.0"'],
  [[1], "j ->> 'a.b'", 'null'],
  [NEWER, "j ->> 'a.b'", '"dot"'],
  [[1], "j ->> 'b.c'", '"x"'],
  [NEWER, "j ->> 'b.c'", 'null'],
  [ALL, "j ->> '$.b.c'", '"x"'],
  [[1], "j ->> 'n'", '"null"'],
  [NEWER, "j ->> 'n'", 'null'],
  [[1], "j -> 'n'", 'null'],
  [NEWER, "j -> 'n'", '"null"'],
  [ALL, "j ->> 't'", '1'],
  [ALL, "j ->> 'b'", String.raw`"{\"c\":\"x\"}"`],
  [ALL, "json_extract(j, '$.d.1')", '2'],
  [ALL, "json_extract(j, '$.d[1]')", 'null'],
  [OLDER, '1 != NULL', 'null'],
  [[3], '1 != NULL', '1'],
  [[3], '1 NOT IN ARRAY[2, NULL]', '1'],
  [[3], 'i IS TRUE', '0'],
  [ALL, "substring('hello', -9, 3)", '"hel"'],
  [ALL, "substring('hello', 3, -2)", '"he"'],
  [ALL, "unixepoch('2024-01-02T03:04:05+02:00')", '1704157445'],
  [ALL, 'unixepoch(2460000.5)', '1677283200'],
  [ALL, "datetime(1700000000.25, 'unixepoch', 'subsec')", '"2023-11-14 22:13:20.250"'],
  [ALL, "datetime('2024-01-02')", '"2024-01-02 00:00:00"'],
])('in editions %j %s is %s', (editions, expression, value) => {
  for (const edition of editions) expect(valueOf(expression, { ...ROW, edition })).toBe(value)
})
