import type { SqliteValue } from '../types.ts'

/** Fails one definition for one row, or one stream for one request; others go on. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError'
}

/** A number as JavaScript prints it, with `.0` where neither a point nor an exponent shows that it is a real. NaN and infinities are `null`, as JSON has none. */
export function realToJson(value: number): string {
  if (!Number.isFinite(value)) return 'null'
  const text = String(value)
  return REAL_MARK.test(text) ? text : `${text}.0`
}

const REAL_MARK = /[.e]/

/** Text of a JSON value; undefined for a blob, which JSON cannot hold. */
export function valueToJson(value: SqliteValue): string | undefined {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'bigint':
      return String(value)
    case 'number':
      return realToJson(value)
    case 'string':
      return JSON.stringify(value)
    default:
      return undefined
  }
}

/**
 * The value as part of a key, in canonical JSON text: 1 and 1.0 are both `1`, text is quoted.
 * Undefined for what cannot be a key: NULL, blobs, and reals that are not finite.
 */
export function valueToKey(value: SqliteValue): string | undefined {
  if (typeof value === 'number') return realToKey(value)
  return value === null ? undefined : valueToJson(value)
}

export function realToKey(value: number): string | undefined {
  if (Number.isInteger(value)) return String(BigInt(value))
  return Number.isFinite(value) ? String(value) : undefined
}

/** Text of a value where text is asked for: an integral real has no fraction here. */
export function valueToText(value: SqliteValue): string {
  if (value === null) return ''
  if (value instanceof Uint8Array) return UTF8.decode(value)
  if (typeof value === 'number') return String(value === 0 ? 0 : value)
  return String(value)
}

/** What is not UTF-8 becomes U+FFFD; a byte order mark is a character like any other. */
/** As `typeof()` names it. */
export function kindOfValue(value: SqliteValue): 'null' | 'integer' | 'real' | 'text' | 'blob' {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'bigint':
      return 'integer'
    case 'number':
      return 'real'
    case 'string':
      return 'text'
    default:
      return 'blob'
  }
}

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true })

const LEADING_INTEGER = /^[ \t\n\v\f\r]*[+-]?(\d+)/

/** NULL and blobs are false, numbers true unless zero, text by the integer it begins with. */
export function isTrue(value: SqliteValue): boolean {
  if (value === null) return false
  switch (typeof value) {
    case 'bigint':
      return value !== 0n
    case 'number':
      return value !== 0
    case 'string': {
      const digits = LEADING_INTEGER.exec(value)?.[1]
      return digits !== undefined && /[1-9]/.test(digits)
    }
    default:
      return false
  }
}

/**
 * Below zero, zero or above; undefined when a side is NULL. Numbers come before text, text before blobs; nothing is
 * converted. Text compares by UTF-16 code units. NaN equals itself and is above every other number.
 */
export function compareValues(a: SqliteValue, b: SqliteValue): number | undefined {
  if (a === null || b === null) return undefined
  if (typeof a === 'string' && typeof b === 'string') return a === b ? 0 : a < b ? -1 : 1
  const order = kindOrder(a) - kindOrder(b)
  if (order !== 0) return order
  if (a instanceof Uint8Array) throw new EvaluationError('Cannot compare two binary values: convert them to text first')
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  if (a < b) return -1
  return a > b ? 1 : 0
}

function kindOrder(value: bigint | number | string | Uint8Array): number {
  if (typeof value === 'string') return 1
  return value instanceof Uint8Array ? 2 : 0
}
