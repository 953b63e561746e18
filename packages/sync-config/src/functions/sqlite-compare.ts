import type { SqliteValue } from '../types.ts'
import { leadingReal, parseSqliteNumber } from './sqlite-number.ts'
import { compareBytes, compareTexts, decodeText, textOf } from './sqlite-text.ts'

/** Neither true nor false: NULL. */
export type Truth = boolean | null

/** Text and blobs by the number that they begin with. */
export function truthOf(value: SqliteValue): Truth {
  if (value === null) return null
  switch (typeof value) {
    case 'bigint':
      return value !== 0n
    case 'number':
      return value !== 0
    case 'string':
      return leadingReal(value) !== 0
    default:
      return leadingReal(decodeText(value)) !== 0
  }
}

export function truthToValue(truth: Truth): SqliteValue {
  if (truth === null) return null
  return truth ? 1n : 0n
}

/** NOT: unknown stays unknown. */
export function negateTruth(truth: Truth): Truth {
  return truth === null ? null : !truth
}

/**
 * What a CAST says of the side of a comparison that it is: a number wants to be compared with numbers, a text with
 * texts, a blob with what is there. Undefined for a side that says nothing.
 */
export type Affinity = 'number' | 'text' | 'blob' | undefined

/** How two sides are converted before they are compared. */
export type Conversion = 'number' | 'text' | 'none'

export function conversionOf(left: Affinity, right: Affinity): Conversion {
  if (left === 'number' || right === 'number') return 'number'
  if (left !== undefined && right !== undefined) return 'none'
  return left === 'text' || right === 'text' ? 'text' : 'none'
}

/**
 * Below zero, zero or above; undefined where a side is NULL. Numbers come before text, text before blobs. Infinite
 * reals are numbers; there is no NaN.
 */
export function compareSqlite(a: SqliteValue, b: SqliteValue, conversion: Conversion): number | undefined {
  if (a === null || b === null) return undefined
  if (conversion !== 'none' && (typeof a === 'string' || typeof b === 'string')) {
    const convert = conversion === 'number' ? toNumber : toText
    return compareKinds(convert(a), convert(b))
  }
  return compareKinds(a, b)
}

type Present = Exclude<SqliteValue, null>

function toNumber(value: Present): Present {
  return typeof value === 'string' ? (parseSqliteNumber(value) ?? value) : value
}

function toText(value: Present): Present {
  return value instanceof Uint8Array ? value : textOf(value)
}

function compareKinds(a: Present, b: Present): number {
  const order = kindOrder(a) - kindOrder(b)
  if (order !== 0) return order
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b)
  if (a < b) return -1
  return a > b ? 1 : 0
}

function kindOrder(value: Present): number {
  if (typeof value === 'string') return 1
  return value instanceof Uint8Array ? 2 : 0
}

/** `x IN (…)`: NULL where x is not among them and either x or one of them is NULL. False among none. */
export function isAmong(value: SqliteValue, others: readonly SqliteValue[], conversion: Conversion): Truth {
  let isUnknown = false
  for (const other of others) {
    const order = compareSqlite(value, other, conversion)
    if (order === 0) return true
    isUnknown ||= order === undefined
  }
  return isUnknown ? null : false
}

/** `x BETWEEN low AND high`. */
export function isBetween(low: number | undefined, high: number | undefined): Truth {
  const above = low === undefined ? null : low >= 0
  const below = high === undefined ? null : high <= 0
  if (above === false || below === false) return false
  return above === null || below === null ? null : true
}
