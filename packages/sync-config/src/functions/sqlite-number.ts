import type { SqliteValue } from '../types.ts'

/** Numbers as SQLite reads them from text and converts them. */

const INTEGER_MIN = -(2n ** 63n)
const INTEGER_MAX = 2n ** 63n - 1n

/** Reals beyond these become the least and the greatest integer: the last doubles that are inside the range. */
const REAL_TO_INTEGER_MAX = 9_223_372_036_854_774_784

/** An integer-valued real is as good as the integer where all its neighbours are too: below 2^51. */
const SAFE_REAL = 2 ** 51

/** Digits of the significand are read until another one might not fit 64 bits. The others count as zeros. */
const SIGNIFICAND_FULL = (2n ** 64n - 10n) / 10n

/** Digits of the greatest integer. */
const INTEGER_DIGITS = 19

/** The integer, or the nearest real where it does not fit 64 bits. */
export function toSqliteInteger(value: bigint): bigint | number {
  return value < INTEGER_MIN || value > INTEGER_MAX ? Number(value) : value
}

/** What SQLite sees of a value that comes from outside: it has no NaN, and no integers beyond 64 bits. */
export function toSqliteValue(value: SqliteValue): SqliteValue {
  if (typeof value === 'bigint') return toSqliteInteger(value)
  return Number.isNaN(value) ? null : value
}

/** Toward zero; beyond the range, its end. */
export function realToInteger(value: number): bigint {
  if (value > REAL_TO_INTEGER_MAX) return INTEGER_MAX
  if (value < -REAL_TO_INTEGER_MAX) return INTEGER_MIN
  return BigInt(Math.trunc(value))
}

const INTEGER_PREFIX = /^[\t-\r ]*([+-]?)0*(\d*)/

/** The integer that a text begins with, 0 without one; beyond the range, its end. */
export function leadingInteger(text: string): bigint {
  const [, sign = '', digits = ''] = INTEGER_PREFIX.exec(text) ?? []
  const isNegative = sign === '-'
  if (digits.length > INTEGER_DIGITS) return isNegative ? INTEGER_MIN : INTEGER_MAX
  const value = isNegative ? -BigInt(digits) : BigInt(digits)
  if (value > INTEGER_MAX) return INTEGER_MAX
  return value < INTEGER_MIN ? INTEGER_MIN : value
}

/** `isReal`: has a point or an exponent. `isWhole`: nothing but white space stands around it. */
type NumberText = {
  readonly isReal: boolean
  readonly isWhole: boolean
  readonly sign: string
  readonly digits: string
  readonly fraction: string
  readonly exponent: string
}

const NUMBER_PREFIX = /^[\t-\r ]*([+-]?)(?=\.?\d)(\d*)(\.\d*)?([eE][+-]?\d+)?/
const SPACE_ONLY = /^[\t-\r ]*$/

/** Undefined where the text does not begin with a number. */
function readNumber(text: string): NumberText | undefined {
  const match = NUMBER_PREFIX.exec(text)
  if (match === null) return undefined
  const [matched, sign = '', digits = '', fraction = '', exponent = ''] = match
  return {
    isReal: fraction !== '' || exponent !== '',
    isWhole: SPACE_ONLY.test(text.slice(matched.length)),
    sign,
    digits,
    fraction: fraction.slice(1),
    exponent: exponent.slice(1),
  }
}

/** The real that a text begins with, 0.0 without one. */
export function leadingReal(text: string): number {
  const number = readNumber(text)
  return number === undefined ? 0 : realOf(number)
}

/** Undefined where the text is not a number, with white space at most around it. */
export function parseSqliteNumber(text: string): bigint | number | undefined {
  const number = readNumber(text)
  return number === undefined || !number.isWhole ? undefined : numberOf(number)
}

/** The number that a text begins with, an integer if it has neither point nor exponent; the integer 0 without one. */
export function leadingNumber(text: string): bigint | number {
  const number = readNumber(text)
  return number === undefined ? 0n : numberOf(number)
}

/** As `leadingNumber`, but an integer too where a real is integer-valued and small enough to be sure. */
export function leadingNumeric(text: string): bigint | number {
  const value = leadingNumber(text)
  if (typeof value === 'bigint' || !Number.isInteger(value)) return value
  return value >= -SAFE_REAL && value < SAFE_REAL ? BigInt(value) : value
}

function numberOf(number: NumberText): bigint | number {
  if (number.isReal) return realOf(number)
  const digits = number.digits.replace(/^0+/, '')
  if (digits.length > INTEGER_DIGITS) return realOf(number)
  const value = number.sign === '-' ? -BigInt(digits) : BigInt(digits)
  return value < INTEGER_MIN || value > INTEGER_MAX ? realOf(number) : value
}

/** SQLite looks at about 19 digits, and at no exponent beyond four: more of them cannot round otherwise. */
function realOf({ sign, digits, fraction, exponent }: NumberText): number {
  const all = digits + fraction
  let taken = /^0*/.exec(all)?.[0].length ?? 0
  let significand = 0n
  for (; taken < all.length && significand < SIGNIFICAND_FULL; taken += 1) {
    significand = significand * 10n + BigInt(all.charAt(taken))
  }
  const value = Number(`${significand}e${digits.length - taken + readExponent(exponent)}`)
  return sign === '-' ? -value : value
}

const EXPONENT_MAX = 10_000

function readExponent(text: string): number {
  return Math.max(-EXPONENT_MAX, Math.min(EXPONENT_MAX, Number(text)))
}
