import type { PostgresType } from '../types.ts'
import { type ArrayText, MalformedText, parseArrayText, parseCompositeText } from '../values/structured-text.ts'
import type { DecodedTable } from './decode-input.ts'

/** So many are named; a file of the wrong form would name thousands. */
const PROBLEMS_MAX = 20

/**
 * Texts that Postgres would never print for the type of their column, one message each. The service takes for granted
 * that Postgres printed what it reads; people who write data by hand make mistakes.
 */
export function checkTexts(tables: readonly DecodedTable[]): readonly string[] {
  const problems: string[] = []
  for (const { table, rows } of tables) {
    for (const [index, row] of rows.entries()) {
      for (const [position, { name, type }] of table.columns.entries()) {
        const text = row[position] ?? null
        const expected = text === null ? undefined : findMisfit(text, type)
        if (expected === undefined) continue
        const place = `column ${JSON.stringify(name)} in row ${index + 1} of table ${JSON.stringify(table.name)}`
        problems.push(`Cannot read ${place}: expected ${expected}, got ${JSON.stringify(text?.slice(0, 60))}`)
        if (problems.length === PROBLEMS_MAX) return problems
      }
    }
  }
  return problems
}

/** What the type asks for where `text` is something else. Types without a rule of their own take every text. */
function findMisfit(text: string, type: PostgresType): string | undefined {
  switch (type.kind) {
    case 'base':
      return findBaseMisfit(text, type.name)
    case 'domain':
      return findMisfit(text, type.base)
    case 'array':
      return unlessMalformed('an array as {1,2}', () =>
        findMisfitIn(parseArrayText(text, type.delimiter), type.element),
      )
    case 'composite':
      return unlessMalformed('a composite as (1,2)', () => {
        const parts = parseCompositeText(text)
        return type.members
          .map(([, member], index) => {
            const part = parts[index] ?? null
            return part === null ? undefined : findMisfit(part, member)
          })
          .find((expected) => expected !== undefined)
      })
    default:
      return undefined
  }
}

function findMisfitIn(elements: ArrayText, type: PostgresType): string | undefined {
  for (const element of elements) {
    if (element === null) continue
    const expected = typeof element === 'string' ? findMisfit(element, type) : findMisfitIn(element, type)
    if (expected !== undefined) return expected
  }
  return undefined
}

function unlessMalformed(expected: string, find: () => string | undefined): string | undefined {
  try {
    return find()
  } catch (error) {
    if (error instanceof MalformedText) return expected
    throw error
  }
}

const INTEGERS: { readonly [type: string]: readonly [least: bigint, most: bigint] } = {
  int2: [-(2n ** 15n), 2n ** 15n - 1n],
  int4: [-(2n ** 31n), 2n ** 31n - 1n],
  int8: [-(2n ** 63n), 2n ** 63n - 1n],
  oid: [0n, 2n ** 32n - 1n],
}

const NUMBER = /^(?:-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|NaN|-?Infinity)$/
const REAL = [NUMBER, 'a number'] as const

const FORMS: { readonly [type: string]: readonly [form: RegExp, expected: string] } = {
  bool: [/^[tf]$/, 't or f'],
  bytea: [/^\\x(?:[\da-f]{2})*$/i, 'bytes as \\x00ff'],
  date: [/^(?:\d{4,}-\d\d-\d\d(?: BC)?|-?infinity)$/, 'a date as 2024-05-01'],
  float4: REAL,
  float8: REAL,
  numeric: REAL,
  uuid: [/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i, 'a UUID'],
}

function findBaseMisfit(text: string, type: string): string | undefined {
  const range = INTEGERS[type]
  if (range !== undefined) {
    const fits = /^-?\d+$/.test(text) && BigInt(text) >= range[0] && BigInt(text) <= range[1]
    return fits ? undefined : `a whole number (${type}, ${range[0]} to ${range[1]})`
  }
  if (type === 'json' || type === 'jsonb') return isJson(text) ? undefined : 'JSON'
  const form = FORMS[type]
  return form === undefined || form[0].test(text) ? undefined : `${form[1]} (${type})`
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
