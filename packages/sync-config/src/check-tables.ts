import { didYouMean } from './file/suggest.ts'
import { type PlanReference, readPlanBody } from './plan.ts'
import type { Diagnostic, Plan, PostgresType, SourceTable, TablePattern } from './types.ts'

/**
 * Compares the tables and columns that a config names with those of the source. An unknown table is a warning, as it
 * may be made later; an unknown column of a known table is an error.
 */
export function checkPlanAgainstTables(plan: Plan, tables: readonly SourceTable[]): readonly Diagnostic[] {
  const { references } = readPlanBody(plan)
  const found = references.flatMap((reference) => checkReference(reference, tables) ?? [])
  const byText = new Map(found.map((diagnostic) => [JSON.stringify(diagnostic), diagnostic]))
  return [...byText.values()].toSorted((a, b) => a.line - b.line || a.column - b.column)
}

function checkReference({ place, target }: PlanReference, tables: readonly SourceTable[]): Diagnostic | undefined {
  const say = (severity: Diagnostic['severity'], message: string): Diagnostic => ({ severity, message, ...place })
  const table = tables.find(({ schema, name }) => schema === target.table.schema && name === target.table.name)
  if (table === undefined) {
    return target.kind === 'table' ? say('warning', describeMissing(target.table, tables)) : undefined
  }
  const names = table.columns.map(({ name }) => name)
  const title = `${table.schema}.${table.name}`
  switch (target.kind) {
    case 'table':
      return undefined
    case 'column':
      if (names.includes(target.column)) return undefined
      return say('error', `Column "${target.column}" is not in table ${title}${didYouMean(target.column, names)}`)
    case 'id-of-star':
      if (names.includes('id')) return undefined
      return say(
        'warning',
        `Table ${title} has no column "id", by which clients tell rows apart: select a unique column AS id`,
      )
    case 'text-comparison': {
      const type = table.columns.find(({ name }) => name === target.column)?.type
      if (type === undefined || !isNumber(type)) return undefined
      return say(
        'warning',
        `Column "${target.column}" of ${title} is a number and never equals ${target.with}, which is text`,
      )
    }
  }
}

function describeMissing(table: TablePattern, tables: readonly SourceTable[]): string {
  const inSchema = tables.filter(({ schema }) => schema === table.schema).map(({ name }) => name)
  return `Table ${table.schema}.${table.name} does not exist${didYouMean(table.name, inSchema)}: it is synced once it does`
}

const NUMBERS = new Set(['int2', 'int4', 'int8', 'oid', 'float4', 'float8'])

function isNumber(type: PostgresType): boolean {
  if (type.kind === 'domain') return isNumber(type.base)
  return type.kind === 'base' && NUMBERS.has(type.name)
}
