import type { SqliteValue } from '../types.ts'
import { EvaluationError, valueToText } from '../values/value.ts'
import { toInteger } from './json.ts'

const LEADING_INTEGER = /^[ \t\n\v\f\r]*([+-]?\d+)/
const LEADING_NUMBER = /^[ \t\n\v\f\r]*([+-]?(?:\d+(\.\d*)?|(\.\d+))([eE][+-]?\d+)?)/

/** Reals are rounded down; text counts by the digits it begins with. Throws `EvaluationError` for NaN and infinities. */
export function castInteger(value: SqliteValue): bigint | null {
  if (value === null || typeof value === 'bigint') return value
  if (typeof value === 'number') {
    if (!Number.isFinite(value))
      throw new EvaluationError(`Cannot cast to integer: expected a finite number, got ${value}`)
    return BigInt(Math.floor(value))
  }
  const digits = LEADING_INTEGER.exec(valueToText(value))?.[1]
  return digits === undefined ? 0n : toInteger(digits)
}

/** Text counts by the number it begins with: a real if that has a point or an exponent. */
export function castNumeric(value: SqliteValue): bigint | number | null {
  if (value === null || typeof value === 'bigint' || typeof value === 'number') return value
  const match = LEADING_NUMBER.exec(valueToText(value))
  if (match === null) return 0n
  const [, number = '0', fraction, onlyFraction, exponent] = match
  const isReal = fraction !== undefined || onlyFraction !== undefined || exponent !== undefined
  return isReal ? Number(number) : toInteger(number)
}

export function castReal(value: SqliteValue): number | null {
  if (value === null || typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  return Number(LEADING_NUMBER.exec(valueToText(value))?.[1] ?? 0)
}

export function castText(value: SqliteValue): string | null {
  return value === null ? null : valueToText(value)
}

export function castBlob(value: SqliteValue): Uint8Array | null {
  return value === null ? null : bytesOf(value)
}

/** A blob itself, else its text as UTF-8. */
export function bytesOf(value: SqliteValue): Uint8Array {
  return value instanceof Uint8Array ? value : new TextEncoder().encode(valueToText(value))
}
