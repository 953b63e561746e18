import { describe, expect, test } from 'vitest'
import { readTypeName, type TypeDescriptions } from '../preview/type-names.ts'
import { columnForm, readValue, type ValueOptions } from './column-form.ts'
import { EvaluationError } from './value.ts'

const TYPES: TypeDescriptions = {
  mood: { kind: 'enum', values: ['ok', 'sad'] },
  price: { kind: 'domain', base: 'numeric' },
  moment: { kind: 'domain', base: 'timestamptz' },
  numbers: { kind: 'domain', base: 'int4[]' },
  pair: {
    kind: 'composite',
    members: [
      ['a', 'int4'],
      ['b', 'timestamptz'],
    ],
  },
  wide: {
    kind: 'composite',
    members: [
      ['p', 'pair'],
      ['list', 'pair[]'],
      ['t', 'text'],
      ['ok', 'bool'],
      ['j', 'jsonb'],
    ],
  },
  floatrange: { kind: 'range', base: 'float8' },
  textrange: { kind: 'range', base: 'text' },
  span: { kind: 'domain', base: 'int4range' },
  odd: {
    kind: 'composite',
    members: [
      ['r', 'int4range'],
      ['f', 'float8'],
      ['x', 'bytea'],
      ['d', 'price'],
      ['m', 'int4multirange'],
    ],
  },
}
const EXPRESSIONS = { fixedJsonExtract: true, engine: 'default' } as const
const LEGACY: ValueOptions = { times: { iso: false, fractionDigits: 6 }, customTypes: false, ...EXPRESSIONS }
const MODERN: ValueOptions = { times: { iso: true, fractionDigits: 6 }, customTypes: true, ...EXPRESSIONS }

function convert(type: string, text: string, options: ValueOptions): unknown {
  const known = readTypeName(type, TYPES)
  if (known === undefined) throw new Error(`${type} is no type`)
  return readValue(columnForm(known, options), text)
}

describe('in every edition', () => {
  test.each([
    ['int2', '-3', -3n],
    ['int8', '9223372036854775807', 9223372036854775807n],
    ['oid', '4294967295', 4294967295n],
    ['float8', '1e+21', 1e21],
    ['float4', '0.1', 0.1],
    ['float8', 'NaN', Number.NaN],
    ['float8', '-Infinity', -Infinity],
    ['numeric', '10.50', '10.50'],
    ['bool', 't', 1n],
    ['bool', 'f', 0n],
    ['text', ' a\\b"c ', ' a\\b"c '],
    ['char(4)', 'ab  ', 'ab  '],
    ['uuid', '5c2f8d1e-0000-4000-8000-000000000000', '5c2f8d1e-0000-4000-8000-000000000000'],
    ['jsonb', '{"a": 1.0, "b": [1, 2]}', '{"a": 1.0, "b": [1, 2]}'],
    ['bytea', '\\x00ff10', Uint8Array.of(0, 255, 16)],
    ['bytea', '\\x', new Uint8Array()],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', 'infinity', '9999-12-31'],
    ['date', '-infinity', '0000-01-01'],
    ['date', '0044-03-15 BC', '0044-03-15 BC'],
    ['timetz', '08:09:10+02', '08:09:10+02'],
    ['interval', '1 day 02:03:04', '1 day 02:03:04'],
    ['inet', '10.0.0.1/8', '10.0.0.1/8'],
    ['pg_lsn', '16/B374D848', '00000016/B374D848'],
    ['mood', 'sad', 'sad'],
    ['vector', '[1,2]', '[1,2]'],
    ['price', '1.50', '1.50'],
    ['numbers', '{1,2}', '[1,2]'],
    ['int4[]', '{1,NULL,3}', '[1,null,3]'],
    ['int4[]', '{}', '[]'],
    ['int4[]', '[0:1]={7,8}', '[7,8]'],
    ['int4[]', '{{1,2},{3,NULL}}', '[[1,2],[3,null]]'],
    ['bool[]', '{t,f,NULL}', '[1,0,null]'],
    ['float8[]', '{1,2.5,NaN,1e+30}', '[1.0,2.5,null,1e+30]'],
    ['numeric[]', '{1.50,2}', '["1.50","2"]'],
    ['bytea[]', '{"\\\\x00"}', '[null]'],
    ['date[]', '{2024-01-01,infinity}', '["2024-01-01","9999-12-31"]'],
    ['text[]', '{a,"b c","NULL",NULL,"x\\"y\\\\z","{,}",""}', '["a","b c","NULL",null,"x\\"y\\\\z","{,}",""]'],
    ['jsonb[]', '{"{\\"k\\": [1, 2]}",NULL}', '[{"k": [1, 2]},null]'],
    ['int4[]', 'no array', 'no array'],
  ])('%s %j is %o', (type, text, value) => {
    expect(convert(type, text, LEGACY)).toEqual(value)
    expect(convert(type, text, MODERN)).toEqual(value)
  })
})

describe('times', () => {
  const precise = (fractionDigits: number): ValueOptions => ({
    ...MODERN,
    times: { iso: true, fractionDigits },
  })

  test.each([
    ['time', '08:09:10.5', '08:09:10.5', '08:09:10.500000'],
    ['time', '24:00:00', '24:00:00', '24:00:00.000000'],
    ['timestamp', '2024-02-29 08:09:10.5', '2024-02-29 08:09:10.5', '2024-02-29T08:09:10.500000'],
    ['timestamp', '12024-01-01 00:00:00', '12024-01-01 00:00:00', '12024-01-01T00:00:00.000000'],
    ['timestamp', 'infinity', '9999-12-31 23:59:59', '9999-12-31T23:59:59.000000'],
    ['timestamp', '-infinity', '0000-01-01 00:00:00', '0000-01-01T00:00:00.000000'],
    ['timestamp', '0044-03-15 12:00:00 BC', null, null],
    ['timestamptz', '2024-02-29 06:09:10.25+00', '2024-02-29 06:09:10.25Z', '2024-02-29T06:09:10.250000Z'],
    ['timestamptz', '2024-03-01 00:30:00+02', '2024-02-29 22:30:00Z', '2024-02-29T22:30:00.000000Z'],
    ['timestamptz', '2024-12-31 23:30:00.000001-05:30', '2025-01-01 05:00:00.000001Z', '2025-01-01T05:00:00.000001Z'],
    ['timestamptz', '1880-01-01 00:19:32+00:19:32', '1880-01-01 00:00:00Z', '1880-01-01T00:00:00.000000Z'],
    ['timestamptz', '0050-01-01 01:00:00+02', '0049-12-31 23:00:00Z', '0049-12-31T23:00:00.000000Z'],
    ['timestamptz', '0001-01-01 00:00:00+02', null, null],
    ['timestamptz', '0044-03-15 12:00:00+00 BC', null, null],
    ['timestamptz', '9999-12-31 23:00:00-02', null, null],
    ['timestamptz', '12024-01-01 00:00:00+00', null, null],
    ['timestamptz', 'infinity', '9999-12-31 23:59:59Z', '9999-12-31T23:59:59.000000Z'],
    ['timestamptz', '-infinity', '0000-01-01 00:00:00Z', '0000-01-01T00:00:00.000000Z'],
    ['timestamp[]', '{"2024-01-01 00:00:00"}', '["2024-01-01 00:00:00"]', '["2024-01-01T00:00:00.000000"]'],
  ])('%s %j is %j as printed and %j as ISO 8601', (type, text, printed, iso) => {
    expect(convert(type, text, LEGACY)).toBe(printed)
    expect(convert(type, text, MODERN)).toBe(iso)
  })

  test('fewer digits cut, and never round', () => {
    const text = '2024-01-01 00:00:00.987654+00'
    expect([0, 3, 6].map((digits) => convert('timestamptz', text, precise(digits)))).toEqual([
      '2024-01-01T00:00:00Z',
      '2024-01-01T00:00:00.987Z',
      '2024-01-01T00:00:00.987654Z',
    ])
    expect(convert('timestamptz', 'infinity', precise(0))).toBe('9999-12-31T23:59:59Z')
    expect(convert('timestamptz[]', `{"${text}"}`, precise(3))).toBe('["2024-01-01T00:00:00.987Z"]')
  })
})

describe('types of the user', () => {
  test.each([
    ['mood[]', '{ok,"sad"}', '["ok","sad"]'],
    ['moment[]', '{"2024-01-01 00:00:00+00"}', '["2024-01-01T00:00:00.000000Z"]'],
    ['numbers[]', '{"{1,2}","{3}"}', '[[1,2],[3]]'],
    ['vector[]', '{"[1,2]"}', '["[1,2]"]'],
    ['box[]', '{(1,1),(0,0);(2,2),(1,1)}', '["(1,1),(0,0)","(2,2),(1,1)"]'],
    ['pair', '(7,"2024-03-01 10:00:00+00")', '{"a":7,"b":"2024-03-01T10:00:00.000000Z"}'],
    ['pair', '(,)', '{"a":null,"b":null}'],
    ['pair', '(1,2,3)', '(1,2,3)'],
    [
      'wide',
      '("(1,)","{""(2,)"",NULL}","say ""hi"", \\\\o/",t,"{""k"": 1}")',
      '{"p":{"a":1,"b":null},"list":[{"a":2,"b":null},null],"t":"say \\"hi\\", \\\\o/","ok":1,"j":{"k": 1}}',
    ],
    ['int4range', '(,5]', '{"lower":null,"upper":5,"lower_exclusive":1,"upper_exclusive":0}'],
    ['int4range[]', '{empty,"[1,2)"}', '["empty",{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1}]'],
    [
      'tstzrange',
      '["2024-01-01 00:00:00+00",infinity)',
      '{"lower":"2024-01-01T00:00:00.000000Z","upper":"9999-12-31T23:59:59.000000Z","lower_exclusive":0,"upper_exclusive":1}',
    ],
    ['floatrange', '[1,2.5]', '{"lower":1.0,"upper":2.5,"lower_exclusive":0,"upper_exclusive":0}'],
    [
      'textrange',
      '["a ""b""","\\\\c,)"]',
      '{"lower":"a \\"b\\"","upper":"\\\\c,)","lower_exclusive":0,"upper_exclusive":0}',
    ],
    ['textrange', '["",)', '{"lower":"","upper":null,"lower_exclusive":0,"upper_exclusive":1}'],
    ['span', 'empty', 'empty'],
    ['span', '[1,2)', '{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1}'],
    [
      'odd',
      '(empty,NaN,"\\\\x00",1.50,"{[1,2),[5,)}")',
      '{"r":"empty","f":null,"x":null,"d":"1.50","m":[{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1},{"lower":5,"upper":null,"lower_exclusive":0,"upper_exclusive":1}]}',
    ],
    [
      'daterange',
      '[2024-01-01,infinity)',
      '{"lower":"2024-01-01","upper":"9999-12-31","lower_exclusive":0,"upper_exclusive":1}',
    ],
    ['tsrange', '("0044-03-15 12:00:00 BC",]', '{"lower":null,"upper":null,"lower_exclusive":1,"upper_exclusive":0}'],
    ['citext[]', '{a,NULL}', '["a",null]'],
  ])('%s %j is raw text in older editions and %j in newer ones', (type, text, value) => {
    if (type !== 'box[]') expect(convert(type, text, LEGACY)).toBe(text)
    expect(convert(type, text, MODERN)).toBe(value)
  })

  test.each([
    ['pair', '(x,)'],
    ['pair', '(1.5,)'],
    ['pair', '1,2'],
    ['pair', '(1,2'],
    ['wide', '(,,,yes,)'],
    ['odd', '(,x,,,)'],
    ['odd', '(,"",,,)'],
    ['odd', '([1;2),,,,)'],
    ['floatrange', '[a,b]'],
    ['int4range', '[1,2'],
    ['int4range', ''],
    ['int4multirange', '[1,2)'],
    ['int4[]', '{1,x}'],
    ['int4[]', '{1,{2}'],
    ['int4[]', '{1}}'],
    ['bool[]', '{true}'],
  ])('%s %j is not what the type prints and stays as it is', (type, text) => {
    expect(convert(type, text, MODERN)).toBe(text)
  })

  test('boxes are split at commas in older editions, where they should not be', () => {
    expect(convert('box[]', '{(1,1),(0,0);(2,2),(1,1)}', LEGACY)).toBe('["(1","1)","(0","0);(2","2)","(1","1)"]')
  })

  test('a value nested deeper than ten levels is an error of its row', () => {
    let types: TypeDescriptions = { n0: { kind: 'composite', members: [['m', 'int4']] } }
    for (let level = 1; level < 12; level++) {
      types = { ...types, [`n${level}`]: { kind: 'composite', members: [['m', `n${level - 1}`]] } }
    }
    const nested = (level: number): string => (level === 0 ? '(1)' : `("${nested(level - 1).replaceAll('"', '""')}")`)
    const read = (level: number): unknown => {
      const type = readTypeName(`n${level}`, types)
      return type && readValue(columnForm(type, MODERN), nested(level))
    }
    expect(read(9)).toBe(`${'{"m":'.repeat(10)}1${'}'.repeat(10)}`)
    expect(() => read(10)).toThrow(EvaluationError)
  })
})
