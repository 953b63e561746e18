import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import type { Functions, ScalarFunction } from './functions.ts'
import { makeLike } from './like.ts'
import type { ExtensionName } from './signatures.ts'
import { integerOf } from './sqlite-arithmetic.ts'
import { compareSqlite } from './sqlite-compare.ts'
import { dateText, formatTime, timeText } from './sqlite-dates.ts'
import { leadingReal, toSqliteValue } from './sqlite-number.ts'
import { manyDigits } from './sqlite-real-text.ts'
import { substringOf, textOf } from './sqlite-text.ts'

/** What extensions lead to. SQLite's rules hold in both engines. */
export function extensionFunctions(): Pick<Functions, ExtensionName> {
  return {
    abs: onValues((x = null) => (x === null ? null : absolute(x))),
    date: onValues(dateText),
    like: onValues(makeLike()),
    ltrim: onValues((x = null, characters = ' ') => trim(x, characters, { start: true, end: false })),
    nullif: onValues((x = null, y = null) => (compareSqlite(x, y, 'none') === 0 ? null : x)),
    replace: onValues(replace),
    round: onValues(round),
    rtrim: onValues((x = null, characters = ' ') => trim(x, characters, { start: false, end: true })),
    strftime: onValues(formatTime),
    substr: onValues(substr),
    time: onValues(timeText),
    trim: onValues((x = null, characters = ' ') => trim(x, characters, { start: true, end: true })),
  }
}

/** By default there are values that SQLite does not have. */
function onValues(call: ScalarFunction): ScalarFunction {
  return (...args) => call(...args.map(toSqliteValue))
}

const INTEGER_MIN = -(2n ** 63n)

function absolute(x: Exclude<SqliteValue, null>): bigint | number {
  if (typeof x === 'bigint') {
    if (x === INTEGER_MIN)
      throw new EvaluationError(`Cannot give the absolute value of ${x}: it needs more than 64 bits`)
    return x < 0n ? -x : x
  }
  const real = realOf(x)
  return real < 0 ? -real : real
}

function realOf(x: Exclude<SqliteValue, null>): number {
  return typeof x === 'bigint' || typeof x === 'number' ? Number(x) : leadingReal(textOf(x))
}

/** Reals beyond it have no fraction. */
const FRACTION_MAX = 2 ** 52
const ROUNDED_DIGITS_MAX = 30n

const round: ScalarFunction = (x = null, digits = 0n) => {
  if (x === null || digits === null) return null
  const wanted = integerOf(digits)
  const count = wanted < 0n ? 0 : Number(wanted > ROUNDED_DIGITS_MAX ? ROUNDED_DIGITS_MAX : wanted)
  const real = realOf(x)
  if (!(Math.abs(real) <= FRACTION_MAX)) return real
  if (real === 0) return 0
  if (count === 0) return Math.trunc(real + (real < 0 ? -0.5 : 0.5)) + 0
  return roundDigits(real, count)
}

/** By the digits that SQLite prints, halves away from zero. */
function roundDigits(real: number, count: number): number {
  const { digits, point } = manyDigits(Math.abs(real))
  const kept = point + count
  if (kept >= digits.length) return real
  if (kept < 0) return real < 0 ? -0 : 0
  const head = BigInt(digits.slice(0, kept) || '0') + (digits.charAt(kept) >= '5' ? 1n : 0n)
  const rounded = Number(`${head}e${-count}`)
  return real < 0 ? -rounded : rounded
}

/** Where there is nothing to look for, `x` stays as it is. */
const replace: ScalarFunction = (x = null, wanted = null, replacement = null) => {
  if (x === null || wanted === null) return null
  const part = textOf(wanted)
  if (part === '' || part.startsWith('\0')) return textOf(x)
  return replacement === null ? null : textOf(x).split(part).join(textOf(replacement))
}

function trim(x: SqliteValue, characters: SqliteValue, sides: Sides): string | null {
  if (x === null || characters === null) return null
  const [listed = ''] = textOf(characters).split('\0', 1)
  const trimmed = new Set(Array.from(listed))
  const text = Array.from(textOf(x))
  const isKept = (character: string): boolean => !trimmed.has(character)
  const from = sides.start ? text.findIndex(isKept) : 0
  const to = sides.end ? text.findLastIndex(isKept) + 1 : text.length
  return from < 0 ? '' : text.slice(from, to).join('')
}

type Sides = { readonly start: boolean; readonly end: boolean }

const substr: ScalarFunction = (x = null, start = null, count) => {
  if (x === null || start === null || count === null) return null
  return substringOf(x, integerOf(start), count === undefined ? undefined : integerOf(count))
}
