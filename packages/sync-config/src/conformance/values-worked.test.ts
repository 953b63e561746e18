import { describe, test } from 'vitest'
import { streamsConfig } from '../testing/builders.ts'
import { checkExample, exampleTable } from '../testing/worked-example.ts'

const TYPES = {
  mood: { kind: 'enum', values: ['ok'] },
  pair: {
    kind: 'composite',
    members: [
      ['a', 'int4'],
      ['b', 'timestamptz'],
    ],
  },
} as const

const V = exampleTable(
  'v',
  'id, b bool, i int8, f float8, n numeric, ts timestamp, tz timestamptz, d date, arr int4[], bools bool[], m mood, p pair, j jsonb',
  '1 | t | 9007199254740993 | 2 | 1.50 | 2024-03-01 10:00:00 | 2024-03-01 10:00:00.5+02 | infinity | {1,NULL,3} | {t,f} | ok | (7,"2024-03-01 10:00:00+00") | {"k": 1.0}',
)

describe('one row of many types', () => {
  test('[7, 20, 21, 22, 30, 31, 34, 35, 37, 38, 41] edition 3 writes ISO times and structured types', () =>
    checkExample({
      config: streamsConfig({ s: 'SELECT * FROM v' }),
      types: TYPES,
      tables: [V],
      buckets: {
        all: [
          'v/1 {"id":"1","b":1,"i":9007199254740993,"f":2.0,"n":"1.50","ts":"2024-03-01T10:00:00.000000",' +
            '"tz":"2024-03-01T08:00:00.500000Z","d":"9999-12-31","arr":"[1,null,3]","bools":"[1,0]","m":"ok",' +
            '"p":"{\\"a\\":7,\\"b\\":\\"2024-03-01T10:00:00.000000Z\\"}","j":"{\\"k\\": 1.0}"}',
        ],
      },
      requests: [{ claims: { sub: 'x' }, gets: ['all'] }],
    }))

  test('[5, 34, 35, 41] edition 1 writes times as printed and custom types as their text', () =>
    checkExample({
      config: 'bucket_definitions: { s: { data: [SELECT * FROM v] } }',
      types: TYPES,
      tables: [V],
      buckets: {
        all: [
          'v/1 {"id":"1","b":1,"i":9007199254740993,"f":2.0,"n":"1.50","ts":"2024-03-01 10:00:00",' +
            '"tz":"2024-03-01 08:00:00.5Z","d":"9999-12-31","arr":"[1,null,3]","bools":"[1,0]","m":"ok",' +
            '"p":"(7,\\"2024-03-01 10:00:00+00\\")","j":"{\\"k\\": 1.0}"}',
        ],
      },
      requests: [{ claims: { sub: 'x' }, gets: ['all'] }],
    }))

  test('[7, 36, 41] flags turn parts of a later edition on', () =>
    checkExample({
      config: `
config:
  timestamps_iso8601: true
  timestamp_max_precision: milliseconds
  custom_postgres_types: true
bucket_definitions:
  s:
    data:
      - SELECT id, ts, tz, p FROM v
`,
      types: TYPES,
      tables: [V],
      buckets: {
        all: [
          'v/1 {"id":"1","ts":"2024-03-01T10:00:00.000","tz":"2024-03-01T08:00:00.500Z",' +
            '"p":"{\\"a\\":7,\\"b\\":\\"2024-03-01T10:00:00.000Z\\"}"}',
        ],
      },
      requests: [{ claims: { sub: 'x' }, gets: ['all'] }],
    }))
})
