import { expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, sourceTable } from '../testing/builders.ts'

const TYPES = {
  mood: { kind: 'enum', values: ['sad', 'very happy'] },
  positive: { kind: 'domain', base: 'int4' },
  tags: { kind: 'domain', base: 'text[]' },
  pair: {
    kind: 'composite',
    members: [
      ['n', 'int4'],
      ['t', 'text'],
    ],
  },
  nest: {
    kind: 'composite',
    members: [
      ['p', 'pair'],
      ['list', 'int4[]'],
      ['on', 'bool'],
      ['at', 'timestamptz'],
    ],
  },
} as const

/** The value of a column of one of the types, with structured types on or off. */
function read(type: string, text: string, custom: boolean, precision = 'microseconds'): unknown {
  const config = JSON.stringify({
    config: { edition: 3, custom_postgres_types: custom, timestamp_max_precision: precision },
    streams: { s: { query: 'SELECT c FROM t' } },
  })
  const table = sourceTable('t', `c ${type}`, TYPES)
  const outcome = loadPlan(planOf(config), { generation: 1, bucketsMax: 1 }).forTable(table)?.evaluate([text])
  expect(outcome?.errors).toEqual([])
  return (JSON.parse(outcome?.objects[0]?.data ?? '') as { readonly c: unknown }).c
}

test.each([
  ['mood[]', '{sad,"very happy",NULL}', '["sad","very happy",null]'],
  ['positive[]', '{3,4}', '[3,4]'],
  ['tags[]', '{"{a,b}","{c,d}"}', '[["a","b"],["c","d"]]'],
  ['pair', '(1,"a,b")', '{"n":1,"t":"a,b"}'],
  ['pair', '(,)', '{"n":null,"t":null}'],
  ['pair', '(1,"")', '{"n":1,"t":""}'],
  ['pair', String.raw`(1,"say ""hi"" \\ there")`, String.raw`{"n":1,"t":"say \"hi\" \\ there"}`],
  ['pair[]', String.raw`{"(1,x)","(2,\"y z\")",NULL}`, '[{"n":1,"t":"x"},{"n":2,"t":"y z"},null]'],
  [
    'nest',
    '("(1,x)","{1,2}",t,"2024-01-01 00:00:00+00")',
    '{"p":{"n":1,"t":"x"},"list":[1,2],"on":1,"at":"2024-01-01T00:00:00.000000Z"}',
  ],
])('[22, 41] %s %s is structured with the flag on and raw text with it off', (type, text, json) => {
  expect(read(type, text, true)).toBe(json)
  expect(read(type, text, false)).toBe(text)
})

test('[41] a domain is its base type, whatever the flag says', () => {
  for (const custom of [true, false]) {
    expect(read('positive', '3', custom)).toBe(3)
    expect(read('tags', '{a,b}', custom)).toBe('["a","b"]')
  }
})

test('[36] the precision of times reaches into composites', () => {
  const text = '(,,,"2024-01-01 00:00:00.9999+00")'
  expect(read('nest', text, true, 'milliseconds')).toBe(
    '{"p":null,"list":null,"on":null,"at":"2024-01-01T00:00:00.999Z"}',
  )
})

test.each([
  ['int4range', '[1,5)', '{"lower":1,"upper":5,"lower_exclusive":0,"upper_exclusive":1}'],
  ['int4range', '(,)', '{"lower":null,"upper":null,"lower_exclusive":1,"upper_exclusive":1}'],
  ['int4range', 'empty', 'empty'],
  ['numrange', '(1.5,]', '{"lower":"1.5","upper":null,"lower_exclusive":1,"upper_exclusive":0}'],
  [
    'tstzrange',
    '["2024-01-01 00:00:00+00",)',
    '{"lower":"2024-01-01T00:00:00.000000Z","upper":null,"lower_exclusive":0,"upper_exclusive":1}',
  ],
  [
    'int4multirange',
    '{[1,3),[5,8)}',
    '[{"lower":1,"upper":3,"lower_exclusive":0,"upper_exclusive":1},{"lower":5,"upper":8,"lower_exclusive":0,"upper_exclusive":1}]',
  ],
  ['int4multirange', '{}', '[]'],
])('[42] the range %s %s is structured with the flag on and raw text with it off', (type, text, json) => {
  expect(read(type, text, true)).toBe(json)
  expect(read(type, text, false)).toBe(text)
})

test.each([
  ['pair', '(1'],
  ['pair', '1,x'],
  ['mood[]', '{sad'],
  ['int4range', '[1;5)'],
  ['int4multirange', '[1,2'],
])('[43] %s %j, which cannot be decoded, is passed on as it is', (type, text) => {
  expect(read(type, text, true)).toBe(text)
})
