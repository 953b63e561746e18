import type { SqliteValue } from '../types.ts'
import { castInteger, castNumeric } from './casts.ts'
import type { ScalarFunction } from './functions.ts'

/** Integers stay integers, of any size; with a real on a side the result is one. */
type Sides = {
  readonly integers: (a: bigint, b: bigint) => bigint | null
  readonly reals: (a: number, b: number) => number | null
}

export const add = arithmetic({ integers: (a, b) => a + b, reals: (a, b) => a + b })
export const subtract = arithmetic({ integers: (a, b) => a - b, reals: (a, b) => a - b })
export const multiply = arithmetic({ integers: (a, b) => a * b, reals: (a, b) => a * b })
/** NULL for a division by zero; that of integers cuts the fraction off. */
export const divide = arithmetic({
  integers: (a, b) => (b === 0n ? null : a / b),
  reals: (a, b) => (b === 0 ? null : a / b),
})

function arithmetic({ integers, reals }: Sides): ScalarFunction {
  return (a = null, b = null) => {
    if (typeof a === 'bigint' && typeof b === 'bigint') return integers(a, b)
    const left = castNumeric(a)
    const right = castNumeric(b)
    if (left === null || right === null) return null
    if (typeof left === 'bigint' && typeof right === 'bigint') return integers(left, right)
    return reals(Number(left), Number(right))
  }
}

/** Of integers, with the sign of the left; a real side loses its fraction, and makes the result a real. */
export const remainder: ScalarFunction = (a = null, b = null) => {
  const left = castNumeric(a)
  const right = castNumeric(b)
  if (left === null || right === null) return null
  if (typeof left === 'bigint' && typeof right === 'bigint') return right === 0n ? null : left % right
  const divisor = toInt64(b)
  return divisor === 0n ? null : Number(toInt64(a) % divisor)
}

export const bitAnd = bitwise((a, b) => a & b)
export const bitOr = bitwise((a, b) => a | b)
/** A negative distance shifts the other way. */
export const shiftLeft = bitwise(shift)
export const shiftRight = bitwise((a, b) => shift(a, -b))

/** On integers of 64 bits, as in SQLite. */
function bitwise(combine: (a: bigint, b: bigint) => bigint): ScalarFunction {
  return (a = null, b = null) => (a === null || b === null ? null : combine(toInt64(a), toInt64(b)))
}

const INTEGER_BITS = 64

function shift(value: bigint, left: bigint): bigint {
  if (left <= -INTEGER_BITS) return value < 0n ? -1n : 0n
  if (left >= INTEGER_BITS) return 0n
  return left < 0n ? value >> -left : BigInt.asIntN(INTEGER_BITS, value << left)
}

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

/** Reals are cut towards zero, and everything outside 64 bits is put at their end, as SQLite converts. */
function toInt64(value: SqliteValue): bigint {
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return 0n
    if (!Number.isFinite(value)) return value > 0 ? INT64_MAX : INT64_MIN
    return clamp(BigInt(Math.trunc(value)))
  }
  return clamp(castInteger(value) ?? 0n)
}

function clamp(value: bigint): bigint {
  if (value > INT64_MAX) return INT64_MAX
  return value < INT64_MIN ? INT64_MIN : value
}
