import type { RequestValue } from '../types.ts'
import { isArray, type Json, parseJson } from './json.ts'

/** A text without so many digits in a row has no integer that a number cannot hold. */
const LONG_DIGITS = /\d{16}/

/**
 * Reads JSON of a request or of a token's claims. Integers beyond 2^53 are bigints; of a key that stands twice the last
 * value counts. Throws `EvaluationError` for what is not JSON.
 */
export function parseRequestJson(text: string): RequestValue {
  if (!LONG_DIGITS.test(text)) {
    try {
      const value: RequestValue = JSON.parse(text)
      return value
    } catch {
      // The reader below says what is wrong, and where.
    }
  }
  return toPlain(parseJson(text, { numbers: 'real', repeatedKeys: 'last' }))
}

function toPlain(json: Json): RequestValue {
  if (typeof json !== 'object' || json === null) return json
  if (isArray(json)) return json.map(toPlain)
  return Object.fromEntries(Array.from(json, ([key, value]) => [key, toPlain(value)]))
}
