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
