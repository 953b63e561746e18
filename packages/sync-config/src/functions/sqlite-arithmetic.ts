import type { SqliteValue } from '../types.ts'
import { leadingInteger, leadingNumber, realToInteger, toSqliteInteger } from './sqlite-number.ts'
import { textOf } from './sqlite-text.ts'

/** `+ - * /`, by SQLite: integers that do not fit 64 bits become reals, division by zero is NULL. */
export type Arithmetic = (left: SqliteValue, right: SqliteValue) => SqliteValue

export const add = arithmetic(
  (left, right) => left + right,
  (left, right) => left + right,
)
export const subtract = arithmetic(
  (left, right) => left - right,
  (left, right) => left - right,
)
export const multiply = arithmetic(
  (left, right) => left * right,
  (left, right) => left * right,
)
export const divide = arithmetic(
  (left, right) => (right === 0n ? null : left / right),
  (left, right) => (right === 0 ? null : left / right),
)

function arithmetic(
  ofIntegers: (left: bigint, right: bigint) => bigint | null,
  ofReals: (left: number, right: number) => number | null,
): Arithmetic {
  return (left, right) => {
    if (left === null || right === null) return null
    const [first, second] = [numberOf(left), numberOf(right)]
    if (typeof first === 'bigint' && typeof second === 'bigint') {
      const result = ofIntegers(first, second)
      if (result === null) return null
      return typeof toSqliteInteger(result) === 'bigint' ? result : ofReals(Number(first), Number(second))
    }
    const result = ofReals(Number(first), Number(second))
    return Number.isNaN(result) ? null : result
  }
}

/** Of integers an integer, otherwise a real; the operands are cut to integers. Its sign is that of the left one. */
export function remainder(left: SqliteValue, right: SqliteValue): SqliteValue {
  if (left === null || right === null) return null
  const divisor = integerOf(right)
  if (divisor === 0n) return null
  const result = integerOf(left) % divisor
  const isInteger = typeof numberOf(left) === 'bigint' && typeof numberOf(right) === 'bigint'
  return isInteger ? result : Number(result)
}

export const bitAnd = ofBits((left, right) => left & right)
export const bitOr = ofBits((left, right) => left | right)
export const shiftLeft = ofBits((left, right) => shift(left, right))
export const shiftRight = ofBits((left, right) => shift(left, -right))

function ofBits(combine: (left: bigint, right: bigint) => bigint): Arithmetic {
  return (left, right) => (left === null || right === null ? null : combine(integerOf(left), integerOf(right)))
}

/** To the left by `count`; to the right, keeping the sign, where it is negative. */
function shift(value: bigint, count: bigint): bigint {
  if (count >= 64n) return 0n
  if (count <= -64n) return value < 0n ? -1n : 0n
  return BigInt.asIntN(64, value << count)
}

/** As CAST to integer. */
export function integerOf(value: Exclude<SqliteValue, null>): bigint {
  if (typeof value === 'bigint') return value
  return typeof value === 'number' ? realToInteger(value) : leadingInteger(textOf(value))
}

/** What arithmetic works with. */
function numberOf(value: Exclude<SqliteValue, null>): bigint | number {
  return typeof value === 'bigint' || typeof value === 'number' ? value : leadingNumber(textOf(value))
}
