import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RealSqlite } from '../evaluate/real-sqlite.test-parts.ts'
import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { functionsOf } from './functions.ts'
import type { ExtensionName } from './signatures.ts'

const OPTIONS: ValueOptions = {
  times: { iso: true, fractionDigits: 6 },
  customTypes: true,
  fixedJsonExtract: true,
  engine: 'default',
}
const ENGINES = ['default', 'sqlite'] as const

const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'A', 'b', ' ', '%', '_', '!', 'ä', 'Ä', '🐟', '7'), maxLength: 8 }),
  fc.constantFrom('', '7', ' -3x', '2.5', '-2.5', '1e3', 'a\0b', '9223372036854775808'),
)
const value: fc.Arbitrary<SqliteValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt(-(2n ** 63n) + 1n, 2n ** 63n - 1n),
  fc.bigInt(-12n, 12n),
  fc.constantFrom(0, -0),
  fc.double({ noNaN: true }),
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.integer({ min: -100_000, max: 100_000 }).map((number) => number / 1000),
  text,
  text.map((written) => new TextEncoder().encode(written)),
)
const time: fc.Arbitrary<SqliteValue> = fc.oneof(
  fc
    .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    .chain((date) =>
      fc.constantFrom(date.toISOString(), date.toISOString().slice(0, 10), date.toISOString().slice(11)),
    ),
  fc.constantFrom('2024-02-29', '2024-1-1', '10:00', '2024-01-02 10:00:05.5 +02:30', '-0001-02-03'),
  fc.constantFrom(
    '2024-01-02T',
    '2024-01-02x',
    '2024-13-01',
    '2021-01-03 23:59:59-14:00',
    '2460000.25',
    ' 12 ',
    'x',
    '',
  ),
  fc.bigInt(-(10n ** 12n), 10n ** 12n),
  fc.double({ min: 0, max: 5_400_000, noNaN: true }),
  value,
)
const modifiers = fc.constantFrom([], [], ['unixepoch'], ['subsec'], ['unixepoch', 'subsec'], ['subsec', 'unixepoch'])
const format = fc
  .array(fc.constantFrom(...Array.from('deFGgHIjklmMpPRsSTuUVwWY%f').map((letter) => `%${letter}`), ' ', '-', '%q'), {
    maxLength: 6,
  })
  .map((parts) => parts.join(''))

const CASES: readonly (readonly [ExtensionName, string, fc.Arbitrary<readonly SqliteValue[]>])[] = [
  ['abs', 'abs(?1)', fc.tuple(value)],
  ['date', 'date', fc.tuple(time, modifiers).map(([x, words]) => [x, ...words])],
  ['like', '?1 LIKE ?2', fc.tuple(value, value)],
  ['like', '?1 LIKE ?2 ESCAPE ?3', fc.tuple(value, text, fc.constantFrom('!', '%', '_', 'a', 'Ä', '🐟'))],
  ['ltrim', 'ltrim(?1)', fc.tuple(value)],
  ['ltrim', 'ltrim(?1, ?2)', fc.tuple(value, value)],
  ['nullif', 'nullif(?1, ?2)', fc.tuple(value, value)],
  ['replace', 'replace(?1, ?2, ?3)', fc.tuple(value, value, value)],
  ['round', 'round(?1)', fc.tuple(value)],
  ['round', 'round(?1, ?2)', fc.tuple(value, value)],
  ['rtrim', 'rtrim(?1)', fc.tuple(value)],
  ['rtrim', 'rtrim(?1, ?2)', fc.tuple(value, value)],
  ['strftime', 'strftime', fc.tuple(format, time, modifiers).map(([shape, x, words]) => [shape, x, ...words])],
  ['substr', 'substr(?1, ?2)', fc.tuple(value, value)],
  ['substr', 'substr(?1, ?2, ?3)', fc.tuple(value, value, value)],
  ['time', 'time', fc.tuple(time, modifiers).map(([x, words]) => [x, ...words])],
  ['trim', 'trim(?1)', fc.tuple(value)],
  ['trim', 'trim(?1, ?2)', fc.tuple(value, value)],
]

test.each(CASES)('%s gives in both engines what %s gives in SQLite', (name, sql, argumentsOf) => {
  const sqlite = new RealSqlite()
  fc.assert(
    fc.property(argumentsOf, (args) => {
      const call = sql.includes('?') ? sql : `${sql}(${args.map((_, index) => `?${index + 1}`).join(', ')})`
      const expected = sqlite.run(call, args)
      for (const engine of ENGINES)
        expect({ value: functionsOf({ ...OPTIONS, engine })(name)(...args) }).toEqual(expected)
    }),
    { numRuns: 1000 },
  )
})

test('the least integer has no absolute value', () => {
  expect(() => functionsOf(OPTIONS)('abs')(-(2n ** 63n))).toThrow(/more than 64 bits/)
})
