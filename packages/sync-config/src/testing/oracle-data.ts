import type { JsonObject, JsonValue } from '@headwater/protocol'
import type { Choices } from './choices.ts'
import { ORACLE_COLUMNS, ORACLE_TABLES, type OracleRequest, type OracleRow, type OracleTables } from './oracle-tree.ts'

/** `typed`: values are of one kind per name, so that Postgres takes them too. */
export type OracleStyle = 'anything' | 'typed'

/** For tests: tables with up to `rowsMax` rows each, named `k0`, `k1`, …; names do not repeat across tables. */
export function makeTables(choices: Choices, rowsMax: number, style: OracleStyle): OracleTables {
  const entries = ORACLE_TABLES.map((table) => {
    return [table, choices.list(rowsMax, (index) => makeRow(choices, `k${index}`, style))] as const
  })
  return Object.fromEntries(entries)
}

export function makeRow(choices: Choices, id: string, style: OracleStyle): OracleRow {
  return { id, ...Object.fromEntries(ORACLE_COLUMNS.map(({ name }) => [name, makeCell(choices, name, style)])) }
}

function makeCell(choices: Choices, column: string, style: OracleStyle): string | null {
  if (choices.chance(12)) return null
  const isAny = style === 'anything'
  switch (column) {
    case 'a':
      return isAny ? choices.pick('x', 'x', 'y', '1', '2x', '') : choices.pick('x', 'x', 'y', '1')
    case 'b':
      return choices.pick('1', '1', '0', '2')
    case 'c':
      return choices.pick('t', 'f')
    case 'd':
      return choices.pick('1', '1', '1.5', '2')
    case 'l':
      if (isAny && choices.chance(15)) return choices.pick('"x"', '{"k": "x", "q": 1}', '1')
      return printArray(choices.list(3, () => makeElement(choices, style)))
    default:
      return printArray(choices.list(3, () => choices.pick('1', '2', '1.0', '1.5', 'null', '1')))
  }
}

function makeElement(choices: Choices, style: OracleStyle): string {
  if (style === 'typed') return choices.pick('"x"', '"y"', '"1"', 'null', '"x"')
  return choices.pick('"x"', '"y"', '"1"', '1', '1.0', 'null', 'true', '[1]', '"x"')
}

/** As jsonb prints it. */
function printArray(elements: readonly string[]): string {
  return `[${elements.join(', ')}]`
}

export function makeRequest(choices: Choices, style: OracleStyle): OracleRequest {
  return {
    auth: { sub: choices.pick('x', 'x', 'y', '1'), ...makeParameters(choices, style) },
    connection: makeParameters(choices, style),
    subscription: makeParameters(choices, style),
  }
}

function makeParameters(choices: Choices, style: OracleStyle): JsonObject {
  const isAny = style === 'anything'
  const scalar = (typed: JsonValue): JsonValue =>
    isAny && choices.chance(50) ? choices.pick<JsonValue>('x', 1, '1', 1.5, true, false, 2) : typed
  // `nums` is looked into by NOT IN, which takes nothing but arrays.
  const members: readonly (readonly [string, () => JsonValue])[] = [
    ['s', () => scalar(choices.pick('x', 'x', 'y', '1'))],
    ['n', () => scalar(choices.pick(1, 1, 0, 2, 1.5))],
    ['f', () => scalar(choices.pick(true, false))],
    ['list', () => makeList(choices, style)],
    ['nums', () => choices.list(3, () => choices.pick<JsonValue>(1, 2, 1.5, null, 1))],
  ]
  const present = members.filter(() => !choices.chance(10))
  return Object.fromEntries(present.map(([name, make]) => [name, choices.chance(5) && name !== 'nums' ? null : make()]))
}

function makeList(choices: Choices, style: OracleStyle): JsonValue {
  if (style === 'typed') return choices.list(3, () => choices.pick<JsonValue>('x', 'y', '1', null, 'x'))
  if (choices.chance(10)) return { k: 'x', q: 1 }
  return choices.list(3, () => choices.pick<JsonValue>('x', 'y', 1, '1', 1.5, null, true, [1], 'x'))
}
