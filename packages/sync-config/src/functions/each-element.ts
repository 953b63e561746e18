import type { SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { EvaluationError } from '../values/value.ts'
import { isArray, type JsonReading, orderedKeys, parseJson } from './json.ts'
import { jsonToValue } from './json-functions.ts'
import { eachSqliteElement } from './sqlite-json.ts'

/** A row of `json_each`. */
export type Element = { readonly key: SqliteValue; readonly value: SqliteValue }

const REALS: JsonReading = { numbers: 'real', repeatedKeys: 'same' }
export type ElementOptions = Pick<ValueOptions, 'fixedJsonExtract' | 'engine'>

const NONE: readonly Element[] = []

/**
 * Elements of an array by index, members of an object by name, or a scalar alone; none for NULL. Numbers are reals, also
 * inside nested values, but integers beyond 2^53 stay exact. Throws `EvaluationError` for anything but JSON text. In
 * SQLite's rules integers are integers, and all that has JSON as its text is taken apart.
 */
export function eachElement(json: SqliteValue, style: ElementOptions): readonly Element[] {
  if (style.engine === 'sqlite') return eachSqliteElement(json)
  if (json === null) return NONE
  if (typeof json !== 'string') throw new EvaluationError('Cannot take json_each apart: expected JSON text')
  const content = parseJson(json, REALS)
  if (typeof content !== 'object' || content === null) return [{ key: null, value: jsonToValue(content, style) }]
  if (isArray(content)) {
    return content.map((element, index) => ({ key: BigInt(index), value: jsonToValue(element, style) }))
  }
  return orderedKeys(content).map((key) => ({ key, value: jsonToValue(content.get(key), style) }))
}
