import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { leadingReal, toSqliteInteger } from './sqlite-number.ts'
import { unescapeJson, writeJsonString, type JsonString } from './sqlite-json-string.ts'

/**
 * JSON as SQLite keeps it: numbers and strings as they were written, so that what is taken out of a document is written
 * as it was, white space and the extensions of JSON5 apart.
 */
export type JsonNode =
  | { readonly kind: 'null' }
  | { readonly kind: 'true' }
  | { readonly kind: 'false' }
  /** Decimal, or hexadecimal behind `0x`. */
  | { readonly kind: 'integer'; readonly digits: string }
  | { readonly kind: 'real'; readonly digits: string }
  | JsonString
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] }

export type JsonMember = { readonly name: JsonString; readonly value: JsonNode }

export function malformedJson(): EvaluationError {
  return new EvaluationError('Cannot read JSON: the text is malformed')
}

/** Standard JSON without white space. */
export function nodeToJson(node: JsonNode): string {
  switch (node.kind) {
    case 'null':
    case 'true':
    case 'false':
      return node.kind
    case 'integer':
      return HEXADECIMAL.test(node.digits) ? hexToDecimal(node.digits) : node.digits
    case 'real':
      return node.digits.replace(/^(-?)\./, '$10.').replace(/\.(?!\d)/, '.0')
    case 'string':
      return writeJsonString(node)
    case 'array':
      return `[${node.items.map(nodeToJson).join(',')}]`
    case 'object':
      return `{${node.members.map(({ name, value }) => `${writeJsonString(name)}:${nodeToJson(value)}`).join(',')}}`
  }
}

/** The value of a scalar; an array or object as JSON text. */
export function nodeToValue(node: JsonNode): SqliteValue {
  switch (node.kind) {
    case 'null':
      return null
    case 'true':
      return 1n
    case 'false':
      return 0n
    case 'integer':
      return integerValue(node.digits)
    case 'real':
      return leadingReal(node.digits)
    case 'string':
      return unescapeJson(node)
    case 'array':
    case 'object':
      return nodeToJson(node)
  }
}

const HEXADECIMAL = /^-?0x/i
/** More hexadecimal digits than these, without leading zeros, do not fit 64 bits. */
const HEX_DIGITS_MAX = 16

function integerValue(digits: string): bigint | number {
  if (!HEXADECIMAL.test(digits)) {
    return digits.length > 20 ? leadingReal(digits) : toDecimal(digits)
  }
  const { isNegative, significant } = readHex(digits)
  if (significant.length > HEX_DIGITS_MAX) throw malformedJson()
  const value = toSqliteInteger(BigInt(`0x${significant || '0'}`))
  return isNegative ? -value : value
}

function toDecimal(digits: string): bigint | number {
  const value = BigInt(digits)
  return typeof toSqliteInteger(value) === 'bigint' ? value : leadingReal(digits)
}

function hexToDecimal(digits: string): string {
  const { isNegative, significant } = readHex(digits)
  const magnitude = significant.length > HEX_DIGITS_MAX ? '9.0e999' : String(BigInt(`0x${significant || '0'}`))
  return isNegative ? `-${magnitude}` : magnitude
}

function readHex(digits: string): { readonly isNegative: boolean; readonly significant: string } {
  return { isNegative: digits.startsWith('-'), significant: digits.replace(/^-?0x0*/i, '') }
}
