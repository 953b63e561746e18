import type { SqliteValue } from '../types.ts'
import { kindOfValue } from '../values/value.ts'
import type { ScalarFunction } from './functions.ts'
import type { FunctionName } from './signatures.ts'
import {
  add,
  bitAnd,
  bitOr,
  divide,
  integerOf,
  multiply,
  remainder,
  shiftLeft,
  shiftRight,
  subtract,
} from './sqlite-arithmetic.ts'
import { compareSqlite, isAmong, isBetween, truthOf, truthToValue } from './sqlite-compare.ts'
import { arrayLength, eachSqliteElement, extractByPath, extractJson, extractValue, isValidJson } from './sqlite-json.ts'
import { leadingNumeric, leadingReal } from './sqlite-number.ts'
import { bytesOf, lengthOf, positionOf, substringOf, textOf } from './sqlite-text.ts'

/** What functions and operators do in SQLite. Those that are missing do what they do by default. */
export const SQLITE_FUNCTIONS: { readonly [Name in FunctionName]?: ScalarFunction } = {
  '+': binary(add),
  '-': binary(subtract),
  '*': binary(multiply),
  '/': binary(divide),
  '%': binary(remainder),
  '&': binary(bitAnd),
  '|': binary(bitOr),
  '<<': binary(shiftLeft),
  '>>': binary(shiftRight),
  '||': binary((left, right) => (left === null || right === null ? null : textOf(left) + textOf(right))),
  '->': binary(extractJson),
  '->>': binary(extractValue),
  cast_text: strict(textOf),
  cast_blob: strict(bytesOf),
  cast_integer: strict(integerOf),
  cast_real: strict((value) =>
    typeof value === 'object' || typeof value === 'string' ? leadingReal(textOf(value)) : Number(value),
  ),
  cast_numeric: strict((value) =>
    typeof value === 'object' || typeof value === 'string' ? leadingNumeric(textOf(value)) : value,
  ),
  between: (x = null, low = null, high = null) =>
    truthToValue(isBetween(compareSqlite(x, low, 'none'), compareSqlite(x, high, 'none'))),
  in_list: (x = null, ...others) => truthToValue(isAmong(x, others, 'none')),
  in_json: (x = null, json = null) => truthToValue(isAmong(x, elementsOf(json), 'none')),
  hex: (value = null) => (value === null ? '' : hexOf(bytesOf(value))),
  ifnull: binary((value, otherwise) => value ?? otherwise),
  iif: (condition = null, whenTrue = null, whenFalse = null) => (truthOf(condition) === true ? whenTrue : whenFalse),
  instr: binary((value, part) => (value === null || part === null ? null : positionOf(value, part))),
  json_array_length: (json = null, path = '$') => arrayLength(json, path),
  json_extract: (json = null, ...paths) => extractByPath(json, ...paths),
  json_valid: (value = null) => isValidJson(value),
  length: strict(lengthOf),
  substring: (value = null, start = null, ...rest) => substring(value, start, rest),
  typeof: (value = null) => kindOfValue(value),
}

/** The right side of `x IN array`. */
export function elementsOf(json: SqliteValue): readonly SqliteValue[] {
  return eachSqliteElement(json).map(({ value }) => value)
}

function binary(combine: (left: SqliteValue, right: SqliteValue) => SqliteValue): ScalarFunction {
  return (left = null, right = null) => combine(left, right)
}

/** NULL for NULL. */
function strict(convert: (value: Exclude<SqliteValue, null>) => SqliteValue): ScalarFunction {
  return (value = null) => (value === null ? null : convert(value))
}

function substring(value: SqliteValue, start: SqliteValue, [count]: readonly SqliteValue[]): SqliteValue {
  if (value === null || start === null || count === null) return null
  return substringOf(value, integerOf(start), count === undefined ? undefined : integerOf(count))
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('')
}
