import type { SqliteValue } from '../types.ts'
import { compareValues, EvaluationError } from '../values/value.ts'
import type { ScalarFunction } from './functions.ts'
import { isArray, type Json } from './json.ts'
import { type JsonStyle, jsonToValue } from './json-functions.ts'
import { readJson } from './json-text.ts'

/** `x BETWEEN low AND high`: NULL where one of the comparisons is. */
export const between: ScalarFunction = (x = null, low = null, high = null) => {
  const toLow = compareValues(low, x)
  const toHigh = compareValues(x, high)
  if (toLow === undefined || toHigh === undefined) return null
  return toLow <= 0 && toHigh <= 0 ? 1n : 0n
}

/** `x IN ARRAY[…]`: NULL where it is not found and one of the values is NULL. */
export const inList: ScalarFunction = (x = null, ...values) => {
  if (x === null) return null
  let hasNull = false
  for (const value of values) {
    const order = compareValues(x, value)
    if (order === 0) return 1n
    if (order === undefined) hasNull = true
  }
  return hasNull ? null : 0n
}

/** `x IN array`, an array as JSON text. */
export function inJson(style: JsonStyle): ScalarFunction {
  const valuesOf = arrayReader(style)
  return (x = null, array = null) => {
    if (x === null || array === null) return null
    for (const value of valuesOf(array)) {
      if (value !== null && compareValues(x, value) === 0) return 1n
    }
    return 0n
  }
}

/** Remembers the last array: it is often the same in every row. JSON null is never equal to anything. */
function arrayReader(style: JsonStyle): (array: SqliteValue) => readonly SqliteValue[] {
  let last: SqliteValue | undefined
  let values: readonly SqliteValue[] = []
  return (array) => {
    if (array === last) return values
    const elements = typeof array === 'string' ? readJson(array) : null
    if (!isArray(elements))
      throw new EvaluationError('Cannot look into the right side of IN: expected a JSON array as text')
    values = elements.map((element: Json) => (element === null ? null : jsonToValue(element, style)))
    last = array
    return values
  }
}
