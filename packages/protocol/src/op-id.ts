import type { Branded } from './branded.ts'
import { HeadwaterError } from './errors.ts'

/**
 * A position in an operation log: 0 for "before everything", otherwise 1 … 9223372036854775807.
 * Decimal text on the wire, because JSON numbers lose digits above 2^53.
 */
export type OpId = Branded<bigint, 'OpId'>

export const OP_ID_ZERO = 0n as OpId

/** Clients hold op ids as signed 64-bit integers. */
export const OP_ID_MAX = 9_223_372_036_854_775_807n as OpId

const DECIMAL = /^\d{1,19}$/

/** Brands a number that is already known to be in range. */
export function toOpId(value: bigint): OpId {
  return value as OpId
}

/** Reads decimal text; an empty string counts as 0, as clients may send it. Throws `bad-op-id`. */
export function parseOpId(text: string): OpId {
  if (text === '') return OP_ID_ZERO
  if (!DECIMAL.test(text)) throw badOpId(text)
  const value = BigInt(text)
  if (value > OP_ID_MAX) throw badOpId(text)
  return value as OpId
}

function badOpId(text: string): HeadwaterError {
  return new HeadwaterError(
    'bad-op-id',
    `Cannot read an op id: expected decimal digits from 0 to ${OP_ID_MAX}, got ${JSON.stringify(text.slice(0, 40))}`,
  )
}
