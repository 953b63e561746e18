import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { PATIENT, SEED } from '../evaluate/expressions.test-parts.ts'
import { type Outcome, RealSqlite } from '../evaluate/real-sqlite.test-parts.ts'
import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { SQLITE_FUNCTIONS } from './sqlite-functions.ts'
import { arrayLength, eachSqliteElement, extractByPath, extractJson, extractValue, isValidJson } from './sqlite-json.ts'

const sqlite = new RealSqlite()

function outcomeOf(compute: () => SqliteValue): Outcome {
  try {
    const value = compute()
    return { value: value === 0 ? 0 : value }
  } catch (error) {
    if (error instanceof EvaluationError) return 'fails'
    throw error
  }
}

const space = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: fc.constantFrom(' ', '\n', '\t ') },
  { weight: 1, arbitrary: fc.constantFrom('\f', '\u00A0', '\u2028', '\uFEFF', '/* x */', '// x\n', '/**/') },
)
const number = fc.oneof(
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.constantFrom('0', '-0', '1.50', '1e2', '1E+2', '12e-3', '9223372036854775807', '9223372036854775808', '0.0'),
  fc.constantFrom('-9223372036854775808', '+1', '.5', '5.', '-.5', '-5.', '0x1f', '-0X1F', '+0x10', '5.e1', '1e999'),
  fc.constantFrom('0xffffffffffffffff', '0x8000000000000000', '-0x8000000000000000', '0x1ffffffffffffffff', '0x00001'),
  fc.constantFrom('Infinity', '-Infinity', '+inf', 'NaN', 'nan', 'QNaN', 'INF', '01', '1.2.3', '1e', '--1', '-', '-a'),
)
const character = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', '.', ' ', 'é', '😀', '/', '0', '1') },
  fc.constantFrom('\\n', '\\u0041', '\\ud83d\\ude00', '\\"', '\\\\', '\\/', '\\t', '\\u00e9'),
  fc.constantFrom(
    "\\'",
    '\\v',
    '\\x41',
    '\\0',
    '\\01',
    '\\\n',
    '\\\r\n',
    '\\\u2028',
    '\t',
    '\n',
    '\x1F',
    "'",
    '"',
    '\\q',
  ),
)
const content = fc.array(character, { maxLength: 4 }).map((parts) => parts.join(''))
const string = fc.oneof(
  { weight: 4, arbitrary: content.map((inner) => `"${inner}"`) },
  { weight: 1, arbitrary: content.map((inner) => `'${inner}'`) },
)
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('"a"', '"b"', '"a.b"', '"\\u0061"', '""') },
  { weight: 1, arbitrary: string },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'a',
      '_b',
      '$c',
      'é',
      'true',
      'truex',
      'null',
      'nanx',
      'NaN',
      'inf',
      '\\u0061',
      '1',
      'a-b',
    ),
  },
)

function json(depth: number): fc.Arbitrary<string> {
  const scalar = fc.oneof(number, string, fc.constantFrom('true', 'false', 'null', 'True', 'nul', ''))
  if (depth === 0) return scalar
  const inner = fc.tuple(space, json(depth - 1), space).map((parts) => parts.join(''))
  const member = fc.tuple(space, name, space, fc.constant(':'), inner).map((parts) => parts.join(''))
  const comma = fc.oneof({ weight: 9, arbitrary: fc.constant('') }, fc.constant(','))
  const list = (part: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc.tuple(fc.array(part, { maxLength: 3 }), comma).map(([parts, last]) => parts.join(',') + last)
  return fc.oneof(
    scalar,
    { weight: 2, arbitrary: list(inner).map((parts) => `[${parts}]`) },
    { weight: 3, arbitrary: list(member).map((parts) => `{${parts}}`) },
  )
}

/** One character taken away, or put in. */
const damaged = fc
  .tuple(json(2), fc.nat(40), fc.constantFrom('', ...'{}[]:,"\'\\ 0.eE+-xntfu/*'.split('')))
  .map(([text, at, put]) => text.slice(0, at) + put + text.slice(put === '' ? at + 1 : at))
/** Half a surrogate pair is no text in SQLite. */
const LONE_SURROGATE = /\\ud83d(?!\\ude00)|(?<!\\ud83d)\\ude00/
const document = fc
  .oneof({ weight: 6, arbitrary: json(3) }, { weight: 2, arbitrary: damaged }, fc.json())
  .filter((text) => text.isWellFormed() && !LONE_SURROGATE.test(text))

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('.a', '.b', '[0]', '[1]', '[#-1]', '."a.b"', '."a"') },
  fc.constantFrom(
    '.',
    '..',
    '[',
    ']',
    '[]',
    '[#]',
    '[#-]',
    '[-1]',
    '[00]',
    '[a]',
    '."a',
    '.""',
    '.a"b',
    ' ',
    '.é',
    '[#-2]',
  ),
  fc.constantFrom(
    '."\\u0061"',
    '.\\u0061',
    '."a\\"b"',
    '[99999999999999999999]',
    '[#-99999999999999999999]',
    '."x"y',
    '$',
  ),
)
const steps = fc.array(step, { maxLength: 3 }).map((parts) => parts.join(''))
const path = fc.oneof({ weight: 5, arbitrary: steps.map((rest) => `$${rest}`) }, steps)
const key: fc.Arbitrary<SqliteValue> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('a', 'b', 'a.b', '[0]', '[#-1]', '[a]', '', 'é', 'a b', 'a"b', '1', '-1', '[', '[]'),
  },
  path,
  fc.bigInt({ min: -4n, max: 4n }),
  fc.constantFrom(null, 1.5, 2 ** 40, -(2n ** 63n)),
)

/** Everything that reads JSON, by paths and keys. */
function expectSame(json: SqliteValue, at: string, of: SqliteValue): void {
  const same = (sql: string, compute: () => SqliteValue, ...values: SqliteValue[]): void => {
    const expected = sqlite.run(sql, values)
    const actual = outcomeOf(compute)
    expect({ [sql]: actual }).toEqual({
      [sql]: expected === 'fails' ? expected : outcomeOf(() => expected.value),
    })
  }
  same('json_valid(?1)', () => isValidJson(json), json)
  same('json_extract(?1, ?2)', () => extractByPath(json, at), json, at)
  same("json_extract(?1, '$')", () => extractByPath(json, '$'), json)
  same("json_extract(?1, ?2, '$.a', ?3)", () => extractByPath(json, at, '$.a', of), json, at, of)
  same("?1 -> '$'", () => extractJson(json, '$'), json)
  same('?1 -> ?2', () => extractJson(json, of), json, of)
  same('?1 ->> ?2', () => extractValue(json, of), json, of)
  same('json_array_length(?1)', () => arrayLength(json), json)
  same('json_array_length(?1, ?2)', () => arrayLength(json, at), json, at)
  const each = (): SqliteValue =>
    eachSqliteElement(json)
      .map(({ key, value }) => `${describe(key)} ${describe(value)}`)
      .join(';')
  same(EACH, each, json)
}

/** Kinds and bytes of all keys and values, in order. */
const EACH = `ifnull((SELECT group_concat(typeof(key) || hex(key) || ' ' || typeof(value) || hex(value), ';')
  FROM json_each(?1)), '')`

function describe(value: SqliteValue): string {
  return (['typeof', 'hex'] as const).map((name) => String(SQLITE_FUNCTIONS[name]?.(value))).join('')
}

test('what is read of JSON, its extensions and damaged texts is what SQLite reads', PATIENT, () => {
  fc.assert(
    fc.property(document, path, key, (text, at, of) => expectSame(text, at, of)),
    { seed: SEED, numRuns: 1_500 },
  )
})

/** What has the header of binary JSON is not looked at further, unless it begins like the text of JSON. */
test('a blob is binary JSON, or the text of JSON', PATIENT, () => {
  fc.assert(
    fc.property(document, path, key, (text, at, of) => {
      const binary = sqlite.run('jsonb(?1)', [text])
      if (binary === 'fails') return
      expectSame(binary.value, at, of)
      if (!text.startsWith('+')) expectSame(new TextEncoder().encode(text), at, of)
    }),
    { seed: SEED, numRuns: 700 },
  )
})

test('no text is too long or too deep to be read or refused', PATIENT, () => {
  const many = 5_000_000
  expect(extractValue(`${'\f'.repeat(many)}1`, '$')).toBe(1n)
  expect(extractValue(`{${'a'.repeat(many)}:1}`, 'a')).toBe(null)
  expect(extractByPath('{}', `$."${'a'.repeat(many)}"`)).toBe(null)
  expect(extractValue('1'.repeat(many), '$')).toBe(Infinity)
  expect(outcomeOf(() => extractValue('['.repeat(many), '$'))).toBe('fails')
  expect(extractValue(`${'['.repeat(1000)}${']'.repeat(1000)}`, '$')).toHaveLength(2000)
  expect(outcomeOf(() => extractValue(`${'['.repeat(1001)}${']'.repeat(1001)}`, '$'))).toBe('fails')
})
