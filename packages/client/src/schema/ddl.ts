import type { ColumnType } from './column.ts'
import { quoteName } from './quote.ts'
import type { Index } from './table-index.ts'
import type { ResolvedTable } from './table.ts'

/** Columns that `trackMetadata` adds. They are only written to, and always NULL at rest. */
const METADATA_COLUMNS = '_metadata TEXT, _deleted INTEGER'

/** The table under another name is what a rebuild fills before it takes the place of the old one. */
export function createTable(table: ResolvedTable, tableName = table.internalName): string {
  const columns = [
    'id TEXT NOT NULL PRIMARY KEY',
    ...table.columns.map(({ name, type }) => `${quoteName(name)} ${type}`),
  ]
  if (table.trackMetadata) columns.push(METADATA_COLUMNS)
  return `CREATE TABLE ${quoteName(tableName)}(${columns.join(', ')})`
}

/** What can be written to and never read: a view without rows. */
export function createInsertOnlyView(table: ResolvedTable): string {
  const columns = [
    'NULL AS id',
    ...table.columns.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${quoteName(name)}`),
  ]
  if (table.trackMetadata) columns.push('NULL AS _metadata', 'NULL AS _deleted')
  return `CREATE VIEW ${quoteName(table.internalName)} AS SELECT ${columns.join(', ')} WHERE 0`
}

export const INDEX_PREFIX = 'ix__'

export function indexName(table: ResolvedTable, index: Index): string {
  return `${INDEX_PREFIX}${table.internalName}__${index.name}`
}

export function createIndex(table: ResolvedTable, index: Index): string {
  const columns = index.columns.map(({ name, ascending }) => `${quoteName(name)}${ascending ? '' : ' DESC'}`)
  return `CREATE INDEX ${quoteName(indexName(table, index))} ON ${quoteName(table.internalName)}(${columns.join(', ')})`
}

/** A column's value from an operation's JSON, as the column stores it. */
export function valueFromJson(json: string, column: { readonly name: string; readonly type: ColumnType }): string {
  const path = `$.${JSON.stringify(column.name)}`
  return `CAST(json_extract(${json}, '${path.replaceAll("'", "''")}') AS ${column.type})`
}
