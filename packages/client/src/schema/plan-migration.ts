import type { ColumnType } from './column.ts'
import type { Schema } from './schema.ts'
import type { ResolvedTable } from './table.ts'

/** A table as it was stored: enough to say what must change. */
export type StoredTable = {
  readonly name: string
  readonly view_name: string
  readonly local_only: boolean
  readonly insert_only: boolean
  readonly include_metadata: boolean
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[]
}

export type TableChange =
  | { readonly kind: 'create'; readonly table: ResolvedTable }
  | { readonly kind: 'drop'; readonly table: StoredTable }
  | { readonly kind: 'add-columns'; readonly table: ResolvedTable; readonly columns: ResolvedTable['columns'] }
  | { readonly kind: 'rebuild'; readonly table: ResolvedTable; readonly before: StoredTable }

/** What must happen to tables so that `before` becomes `after`. Indexes and triggers are not its business. */
export function planMigration(before: readonly StoredTable[], after: Schema): TableChange[] {
  const changes: TableChange[] = []
  const kept = new Map<string, StoredTable>()
  for (const stored of before) {
    const table = after.tables.find((table) => isSameTable(stored, table))
    if (table === undefined) changes.push({ kind: 'drop', table: stored })
    else kept.set(table.name, stored)
  }
  for (const table of after.tables) {
    const stored = kept.get(table.name)
    if (stored === undefined) changes.push({ kind: 'create', table })
    else if (!table.insertOnly) changes.push(...planColumns(stored, table))
    else if (JSON.stringify(stored.columns) !== JSON.stringify(table.columns)) {
      changes.push({ kind: 'drop', table: stored }, { kind: 'create', table })
    }
  }
  return changes
}

/** Moving between local and synced, or to another name, starts a new table. */
function isSameTable(stored: StoredTable, table: ResolvedTable): boolean {
  return (
    stored.name === table.name &&
    stored.view_name === table.viewName &&
    stored.local_only === table.localOnly &&
    stored.insert_only === table.insertOnly
  )
}

function planColumns(before: StoredTable, table: ResolvedTable): TableChange[] {
  const sameStart = before.columns.every(
    ({ name, type }, index) => table.columns[index]?.name === name && table.columns[index].type === type,
  )
  if (!sameStart || before.include_metadata !== table.trackMetadata) return [{ kind: 'rebuild', table, before }]
  const columns = table.columns.slice(before.columns.length)
  if (columns.length === 0) return []
  // The columns for metadata stand last.
  return table.trackMetadata ? [{ kind: 'rebuild', table, before }] : [{ kind: 'add-columns', table, columns }]
}
