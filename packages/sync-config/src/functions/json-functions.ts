import type { SqliteValue } from '../types.ts'
import { EvaluationError, valueToText } from '../values/value.ts'
import type { ScalarFunction } from './functions.ts'
import { isArray, isArrayIndex, type Json, orderedKeys, writeJson } from './json.ts'
import { readJson } from './json-text.ts'

/** Does `->>` and its kin take JSON null and keys with dots as SQLite does? */
export type JsonStyle = { readonly fixedJsonExtract: boolean }

/** What was found as a value: text, number, 1 or 0; JSON text of an array or object. Undefined for nothing. */
export function jsonToValue(found: Json | undefined, style: JsonStyle): SqliteValue {
  switch (typeof found) {
    case 'undefined':
      return null
    case 'boolean':
      return found ? 1n : 0n
    case 'object':
      if (found === null) return style.fixedJsonExtract ? null : 'null'
      return writeJson(found)
    default:
      return found
  }
}

/** `json -> path`: JSON text of what is there. */
export function arrow(style: JsonStyle): ScalarFunction {
  const split = pathSplitter((path) => splitKey(path, style))
  return (json = null, path = null) => {
    if (json === null || path === null) return null
    const found = walk(readJson(json), split(path))
    if (found === undefined || (found === null && !style.fixedJsonExtract)) return null
    return writeJson(found)
  }
}

/** `json ->> path`: the value of what is there. */
export function doubleArrow(style: JsonStyle): ScalarFunction {
  const split = pathSplitter((path) => splitKey(path, style))
  return (json = null, path = null) => {
    if (json === null || path === null) return null
    return jsonToValue(walk(readJson(json), split(path)), style)
  }
}

export function jsonExtract(style: JsonStyle): ScalarFunction {
  const split = pathSplitter(splitPath)
  return (json = null, path = null) => {
    if (json === null || path === null) return null
    return jsonToValue(walk(readJson(json), split(path)), style)
  }
}

/** With a path: of the JSON that the text found there holds, be it an array or a string. */
export function jsonArrayLength(style: JsonStyle): ScalarFunction {
  const extract = jsonExtract(style)
  return (json = null, path) => {
    const found = path === undefined ? json : extract(json, path)
    if (found === null) return null
    const array = readJson(found)
    return BigInt(isArray(array) ? array.length : 0)
  }
}

export const jsonKeys: ScalarFunction = (json = null) => {
  if (json === null) return null
  const object = readJson(json)
  if (typeof object !== 'object' || object === null || isArray(object)) {
    throw new EvaluationError('Cannot list keys: expected a JSON object')
  }
  return JSON.stringify(orderedKeys(object))
}

export const jsonValid: ScalarFunction = (json = null) => {
  if (json === null) return 0n
  try {
    readJson(json)
    return 1n
  } catch (error) {
    if (error instanceof EvaluationError) return 0n
    throw error
  }
}

/** Remembers the last path: it is the same in every row. */
function pathSplitter(split: (path: string) => readonly string[]): (path: SqliteValue) => readonly string[] {
  let last: SqliteValue | undefined
  let parts: readonly string[] = []
  return (path) => {
    if (path === last) return parts
    parts = split(valueToText(path))
    last = path
    return parts
  }
}

function splitKey(path: string, { fixedJsonExtract }: JsonStyle): readonly string[] {
  if (path.startsWith('$')) return splitPath(path)
  return fixedJsonExtract ? [path] : path.split('.')
}

/** `$.a.0` has the parts `a` and `0`. Brackets and quotes mean nothing here. */
function splitPath(path: string): readonly string[] {
  if (!path.startsWith('$')) throw new EvaluationError('Cannot extract from JSON: expected a path that starts with "$"')
  return path.split('.').slice(1)
}

/** Undefined for what is not there, and inside a scalar. */
function walk(json: Json, parts: readonly string[]): Json | undefined {
  let at: Json | undefined = json
  for (const part of parts) {
    if (typeof at !== 'object' || at === null) return undefined
    if (isArray(at)) at = isArrayIndex(part) ? at[Number(part)] : undefined
    else at = at.get(part)
  }
  return at
}
