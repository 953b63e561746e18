import { didYouMean } from './file/suggest.ts'
import { matchesTable } from './match-table.ts'
import { readPlanBody, type ReferenceTarget } from './plan.ts'
import type { Diagnostic, Plan, PostgresType, SourceTable, TablePattern } from './types.ts'

/** What a config names that the source does not have, or has otherwise. */
export type TableDiagnostic = Diagnostic & {
  readonly kind: 'unknown-table' | 'unknown-column' | 'no-id' | 'never-equal' | 'hidden-table'
}

/**
 * Compares the tables and columns that a config names with those of the source. All that it finds are warnings: a table
 * or a column may be made later, and until then the one has no rows and the other is NULL.
 */
export function checkPlanAgainstTables(plan: Plan, tables: readonly SourceTable[]): readonly TableDiagnostic[] {
  const { references } = readPlanBody(plan)
  const found = references.flatMap(({ place, target }) => {
    return checkTarget(target, tables).map((fault): TableDiagnostic => ({ severity: 'warning', ...fault, ...place }))
  })
  const byText = new Map(found.map((diagnostic) => [JSON.stringify(diagnostic), diagnostic]))
  return [...byText.values()].toSorted((a, b) => a.line - b.line || a.column - b.column)
}

type Fault = Pick<TableDiagnostic, 'kind' | 'message'>

const NONE: readonly Fault[] = []

function checkTarget(target: ReferenceTarget, tables: readonly SourceTable[]): readonly Fault[] {
  if (target.kind === 'cte') return checkCte(target.name, tables)
  const { table } = target
  const matching = tables.filter((each) => matchesTable(table, each))
  switch (target.kind) {
    case 'table':
      return matching.length > 0 ? NONE : [{ kind: 'unknown-table', message: describeMissing(table, tables) }]
    case 'column':
      return checkColumn(target.column, table, matching)
    case 'id-of-star':
      return matching
        .filter(({ columns }) => !columns.some(({ name }) => name === 'id'))
        .map((each) => {
          const advice = 'by which clients tell rows apart: select a unique column AS id'
          return { kind: 'no-id', message: `Table ${titleOf(each)} has no column "id", ${advice}` }
        })
    case 'text-comparison':
      return columnsOfKind(target, matching, 'number').map((title) => {
        const fault = `${title} is a number and never equals ${target.with}, which is text`
        return { kind: 'never-equal', message: `${fault}: compare CAST(${target.column} AS text)` }
      })
    case 'number-comparison':
      return columnsOfKind(target, matching, 'text').map((title) => {
        const fault = `${title} is synced as text and never equals the number ${target.with}`
        return {
          kind: 'never-equal',
          message: `${fault}: write '${target.with}', or compare CAST(${target.column} AS numeric)`,
        }
      })
    case 'column-comparison':
      return checkColumns(target, matching, tables)
  }
}

type ColumnName = { readonly table: TablePattern; readonly column: string }

/** Titles of the columns of that name whose values are of a kind. */
function columnsOfKind(
  { column }: ColumnName,
  tables: readonly SourceTable[],
  kind: 'number' | 'text',
): readonly string[] {
  return tables.flatMap((table) => {
    const type = table.columns.find(({ name }) => name === column)?.type
    return type !== undefined && valueKind(type) === kind ? `Column "${column}" of ${titleOf(table)}` : []
  })
}

function checkColumns(
  target: ReferenceTarget & { kind: 'column-comparison' },
  matching: readonly SourceTable[],
  tables: readonly SourceTable[],
): readonly Fault[] {
  const others = tables.filter((table) => matchesTable(target.with.table, table))
  for (const [kind, otherKind] of [
    ['number', 'text'],
    ['text', 'number'],
  ] as const) {
    const [one] = columnsOfKind(target, matching, kind)
    const [other] = columnsOfKind(target.with, others, otherKind)
    if (one === undefined || other === undefined) continue
    const advice = 'cast one of them, as in CAST(column AS text)'
    const fault = `${one} is synced as ${kind}, and never equals the ${otherKind} in ${other.replace('Column', 'column')}`
    return [{ kind: 'never-equal', message: `${fault}: ${advice}` }]
  }
  return NONE
}

/** Of the tables behind a wildcard one is enough that has it. */
function checkColumn(column: string, table: TablePattern, matching: readonly SourceTable[]): readonly Fault[] {
  const names = matching.map(({ columns }) => columns.map(({ name }) => name))
  if (matching.length === 0 || names.some((each) => each.includes(column))) return NONE
  const [only, second] = matching
  const where =
    only === undefined || second !== undefined ? `any table ${patternText(table)}` : `table ${titleOf(only)}`
  const message = `Column "${column}" is not in ${where}${didYouMean(column, names.flat())}: it counts as NULL`
  return [{ kind: 'unknown-column', message }]
}

function checkCte(name: string, tables: readonly SourceTable[]): readonly Fault[] {
  const hidden = tables.find((table) => table.name === name && table.schema === 'public')
  if (hidden === undefined) return NONE
  const advice = `write ${titleOf(hidden)} for the table, or give the other another name`
  const message = `Queries that say "${name}" mean this common table expression, not the table: ${advice}`
  return [{ kind: 'hidden-table', message }]
}

function titleOf({ schema, name }: SourceTable): string {
  return `${schema}.${name}`
}

function patternText({ schema, isSchemaWildcard, name, isWildcard }: TablePattern): string {
  return `${isSchemaWildcard ? `"${schema}"` : schema}.${isWildcard ? `"${name}"` : name}`
}

function describeMissing(table: TablePattern, tables: readonly SourceTable[]): string {
  if (table.isWildcard || table.isSchemaWildcard) {
    return `No table is called like ${patternText(table)}: those that are made later are synced once they exist`
  }
  const inSchema = tables.filter(({ schema }) => schema === table.schema).map(({ name }) => name)
  return `Table ${patternText(table)} does not exist${didYouMean(table.name, inSchema)}: it is synced once it does`
}

const NUMBERS = new Set(['int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'bool'])

/** What values of a type are once they are synced: exact decimals, for one, are text. */
function valueKind(type: PostgresType): 'number' | 'text' | 'binary' {
  if (type.kind === 'domain') return valueKind(type.base)
  if (type.kind !== 'base') return 'text'
  return NUMBERS.has(type.name) ? 'number' : type.name === 'bytea' ? 'binary' : 'text'
}
