import type { JsonValue } from '@headwater/protocol'
import type { OracleComparison, OracleFunction } from './oracle-tree.ts'

/** For tests: values as rules of their own know them; integers are bigint, reals number. */
export type OracleValue = null | bigint | number | string

export function isTruthy(value: OracleValue): boolean {
  if (typeof value === 'string') return (Number.parseInt(value, 10) || 0) !== 0
  return value !== null && value !== 0 && value !== 0n
}

export function toOracleBoolean(value: boolean): OracleValue {
  return value ? 1n : 0n
}

/** NULL where a side is NULL, but for `!=`, which is NOT of `=`. */
export function compare(left: OracleValue, operator: OracleComparison, right: OracleValue): OracleValue {
  if (operator === '!=') return toOracleBoolean(!isTruthy(compare(left, '=', right)))
  if (left === null || right === null) return null
  return toOracleBoolean(isInOrder(left, operator, right))
}

function isInOrder(
  left: bigint | number | string,
  operator: OracleComparison,
  right: bigint | number | string,
): boolean {
  const isText = [typeof left === 'string', typeof right === 'string']
  if (isText[0] !== isText[1]) return isText[1] === true ? operator.startsWith('<') : operator.startsWith('>')
  switch (operator) {
    // 1n and 1 are equal, but not identical.
    case '=':
      return !(left < right) && !(left > right)
    case '!=':
      return left < right || left > right
    case '<':
      return left < right
    case '<=':
      return left <= right
    case '>':
      return left > right
    case '>=':
      return left >= right
  }
}

export function textOf(value: Exclude<OracleValue, null>): string {
  return String(value)
}

export function callFunction(name: OracleFunction, args: readonly OracleValue[]): OracleValue {
  const [first = null, second = null] = args
  if (name === 'ifnull') return first ?? second
  if (first === null) return null
  switch (name) {
    case 'upper':
      return textOf(first).toUpperCase()
    case 'length':
      return BigInt(textOf(first).length)
    case '||':
      return second === null ? null : textOf(first) + textOf(second)
    case '+':
    case '-':
    case '*':
      return second === null ? null : calculate(numericOf(first), name, numericOf(second))
  }
}

function calculate(left: bigint | number, operator: '+' | '-' | '*', right: bigint | number): bigint | number {
  if (typeof left === 'bigint' && typeof right === 'bigint') {
    if (operator === '+') return left + right
    return operator === '-' ? left - right : left * right
  }
  const [a, b] = [Number(left), Number(right)]
  if (operator === '+') return a + b
  return operator === '-' ? a - b : a * b
}

function numericOf(value: bigint | number | string): bigint | number {
  if (typeof value !== 'string') return value
  const leading = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/.exec(value)?.[0]
  if (leading === undefined) return 0n
  return /[.eE]/.test(leading) ? Number(leading) : BigInt(leading)
}

/** What JSON null becomes: NULL, or text without `fixed_json_extract`. */
export type JsonNull = null | 'null'

/** Values that json_each gives for the text of a JSON value. */
export function elementsOf(
  json: OracleValue,
  jsonNull: JsonNull,
): readonly { readonly key: OracleValue; readonly value: OracleValue }[] {
  if (json === null) return []
  const parsed = JSON.parse(String(json)) as JsonValue
  if (Array.isArray(parsed)) {
    return parsed.map((value: JsonValue, index) => ({ key: BigInt(index), value: fromJson(value, jsonNull) }))
  }
  if (typeof parsed !== 'object' || parsed === null) return [{ key: null, value: fromJson(parsed, jsonNull) }]
  return Object.entries(parsed).map(([key, value]) => ({ key, value: fromJson(value, jsonNull) }))
}

/** A JSON value of a request or an array as a value: every number is a real. */
export function fromJson(value: JsonValue, jsonNull: JsonNull): OracleValue {
  if (value === null) return jsonNull
  if (typeof value === 'boolean') return toOracleBoolean(value)
  return typeof value === 'object' ? printJson(value) : value
}

function printJson(value: JsonValue): string {
  if (typeof value === 'number') return realText(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((each: JsonValue) => printJson(each)).join(',')}]`
  return `{${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}:${printJson(each)}`)
    .join(',')}}`
}

/** As a member of the data of an object. */
export function toJson(value: OracleValue): string {
  if (typeof value === 'number') return realText(value)
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value)
}

function realText(value: number): string {
  const text = String(value)
  return /[.e]/.test(text) ? text : `${text}.0`
}

/** A cell as Postgres prints it. */
export function readCell(text: string | null, postgres: string): OracleValue {
  if (text === null) return null
  switch (postgres) {
    case 'int4':
      return BigInt(text)
    case 'float8':
      return Number(text)
    case 'bool':
      return toOracleBoolean(text === 't')
    default:
      return text
  }
}
