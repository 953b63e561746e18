import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import type { ScalarFunction } from './functions.ts'
import { isArray, type Json, writeJson } from './json.ts'
import { readJson } from './json-text.ts'

/**
 * The elements of an array that a value can be equal to, as an array for `json_each`: without null, and with arrays and
 * objects as the text that `x IN array` compares with. Throws `EvaluationError` for what is not a JSON array.
 */
export const jsonElements: ScalarFunction = (array = null) => {
  if (array === null) return null
  const elements = readElements(array)
  if (elements === undefined)
    throw new EvaluationError('Cannot look into the right side of IN: expected a JSON array as text')
  return writeElements(array, elements)
}

/** The same for an array of which nobody knows what it is: NULL where it is none. */
export const jsonElementsIfArray: ScalarFunction = (array = null) => {
  const elements = readIfJson(array)
  return elements === undefined ? null : writeElements(array, elements)
}

function readElements(array: SqliteValue): readonly Json[] | undefined {
  const json = typeof array === 'string' ? readJson(array) : undefined
  return json !== undefined && isArray(json) ? json : undefined
}

function readIfJson(array: SqliteValue): readonly Json[] | undefined {
  try {
    return readElements(array)
  } catch (error) {
    if (error instanceof EvaluationError) return undefined
    throw error
  }
}

function writeElements(array: SqliteValue, elements: readonly Json[]): SqliteValue {
  if (elements.every((element) => typeof element !== 'object')) return array
  return writeJson(
    elements
      .filter((element) => element !== null)
      .map((element) => (typeof element === 'object' ? writeJson(element) : element)),
  )
}
