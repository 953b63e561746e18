import type { RequestValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { isArray, JSON_DEPTH_MAX, type Json, parseJson } from './json.ts'

const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"/gs

/** An integer of fewer digits is one that a number holds. */
const LONG_DIGITS = /\d{16}/
const LONG_INTEGER = /(?:^|[[:,\s-])\d{16}/

/** Each level takes two characters. */
const SHALLOW_CHARS_MAX = 2 * JSON_DEPTH_MAX

/** To say where a longer text is wrong takes too long. */
const EXPLAINED_CHARS_MAX = 16 * 1024

/**
 * Reads JSON of a request or of a token's claims. Integers beyond 2^53 are bigints; of a key that stands twice the last
 * value counts. Throws `EvaluationError` for what is not JSON, or has more than `JSON_DEPTH_MAX` levels.
 */
export function parseRequestJson(text: string): RequestValue {
  if (!hasLongInteger(text)) {
    const value = parsePlainly(text)
    if (value !== undefined) return value
  }
  return toPlain(parseJson(text, { numbers: 'real', repeatedKeys: 'last' }))
}

/** Of strings with as many digits there are many: numbers of devices and rows. */
function hasLongInteger(text: string): boolean {
  return LONG_DIGITS.test(text) && LONG_INTEGER.test(text.replace(STRINGS, '""'))
}

/** Undefined for what is not JSON, when there is time to say where. */
function parsePlainly(text: string): RequestValue | undefined {
  let value: RequestValue
  try {
    value = JSON.parse(text)
  } catch (cause) {
    if (text.length <= EXPLAINED_CHARS_MAX) return undefined
    throw new EvaluationError(`Cannot read JSON: ${text.length} characters are none`, { cause })
  }
  if (text.length > SHALLOW_CHARS_MAX) checkDepth(value, JSON_DEPTH_MAX)
  return value
}

/** Whoever walks through the value later needs as much of the stack as it has levels. */
function checkDepth(value: RequestValue, levelsMax: number): void {
  if (typeof value !== 'object' || value === null) return
  if (levelsMax === 0) {
    throw new EvaluationError(`Cannot read JSON: expected at most ${JSON_DEPTH_MAX} levels of arrays and objects`)
  }
  for (const part of Object.values(value)) checkDepth(part, levelsMax - 1)
}

function toPlain(json: Json): RequestValue {
  if (typeof json !== 'object' || json === null) return json
  if (isArray(json)) return json.map(toPlain)
  const plain: Record<string, RequestValue> = {}
  for (const [key, value] of json) {
    if (key === '__proto__') define(plain, key, toPlain(value))
    else plain[key] = toPlain(value)
  }
  return plain
}

/** A property as any other, where an assignment would give the object a prototype. */
function define(object: object, key: string, value: RequestValue): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
}
