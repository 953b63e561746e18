import type { SourceTable, TablePattern } from './types.ts'

/** Schemas of Postgres itself. */
const SYSTEM_SCHEMA = /^(pg_|information_schema$)/

/** Does the pattern stand for the table? */
export function matchesTable(pattern: TablePattern, table: Pick<SourceTable, 'schema' | 'name'>): boolean {
  const isSchema = pattern.isSchemaWildcard
    ? !SYSTEM_SCHEMA.test(table.schema) && table.schema.startsWith(pattern.schema.slice(0, -1))
    : table.schema === pattern.schema
  if (!isSchema) return false
  return pattern.isWildcard ? table.name.startsWith(pattern.name.slice(0, -1)) : table.name === pattern.name
}

/** The part of a table's name that the wildcard stands for; empty without one. */
export function tableSuffix(pattern: TablePattern, name: string): string {
  return pattern.isWildcard ? name.slice(pattern.name.length - 1) : ''
}

/** May there be a table that both stand for? */
export function mayShareTable(a: TablePattern, b: TablePattern): boolean {
  return (
    mayShareName([a.schema, a.isSchemaWildcard], [b.schema, b.isSchemaWildcard]) &&
    mayShareName([a.name, a.isWildcard], [b.name, b.isWildcard])
  )
}

type NamePattern = readonly [name: string, isWildcard: boolean]

function mayShareName([a, isWildcardA]: NamePattern, [b, isWildcardB]: NamePattern): boolean {
  const [beginA, beginB] = [isWildcardA ? a.slice(0, -1) : a, isWildcardB ? b.slice(0, -1) : b]
  if (isWildcardA && isWildcardB) return beginA.startsWith(beginB) || beginB.startsWith(beginA)
  if (isWildcardA) return beginB.startsWith(beginA)
  return isWildcardB ? beginA.startsWith(beginB) : a === b
}
