import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { isArray, type JsonReading, orderedKeys, parseJson } from './json.ts'
import { type JsonStyle, jsonToValue } from './json-functions.ts'

/** A row of `json_each`. */
export type Element = { readonly key: SqliteValue; readonly value: SqliteValue }

const REALS: JsonReading = { numbers: 'real', repeatedKeys: 'same' }
const NONE: readonly Element[] = []

/**
 * Elements of an array by index, members of an object by name, or a scalar alone; none for NULL. Numbers are reals, also
 * inside nested values, but integers beyond 2^53 stay exact. Throws `EvaluationError` for anything but JSON text.
 */
export function eachElement(json: SqliteValue, style: JsonStyle): readonly Element[] {
  if (json === null) return NONE
  if (typeof json !== 'string') throw new EvaluationError('Cannot take json_each apart: expected JSON text')
  const content = parseJson(json, REALS)
  if (typeof content !== 'object' || content === null) return [{ key: null, value: jsonToValue(content, style) }]
  if (isArray(content)) {
    return content.map((element, index) => ({ key: BigInt(index), value: jsonToValue(element, style) }))
  }
  return orderedKeys(content).map((key) => ({ key, value: jsonToValue(content.get(key), style) }))
}
