import type { CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteIdentifier } from './source-error.ts'

export type PublicationState = {
  readonly isForAllTables: boolean
  /** Kinds of change that it leaves out: `insert`, `update`, `delete`, `truncate`. */
  readonly leftOut: readonly string[]
  readonly isViaRoot: boolean
  /** May this role alter it? */
  readonly isOwner: boolean
}

const READ_PUBLICATION = `
  SELECT puballtables::text AS all_tables,
         pubinsert::text AS insert,
         pubupdate::text AS update,
         pubdelete::text AS delete,
         pubtruncate::text AS truncate,
         pubviaroot::text AS via_root,
         pg_has_role(pubowner, 'USAGE')::text AS is_owner
  FROM pg_publication
  WHERE pubname = $1`

const KINDS = ['insert', 'update', 'delete', 'truncate'] as const

export async function findPublication(session: Session, name: string): Promise<PublicationState | undefined> {
  const [row] = await session.query(READ_PUBLICATION, [name])
  if (row === undefined) return undefined
  return {
    isForAllTables: row.all_tables === 'true',
    leftOut: KINDS.filter((kind) => row[kind] !== 'true'),
    isViaRoot: row.via_root === 'true',
    isOwner: row.is_owner === 'true',
  }
}

/** SQL that makes the publication for exactly these tables. */
export function createPublicationSql(name: string, tables: readonly CatalogTable[]): string {
  const target = tables.length === 0 ? '' : ` FOR TABLE ${tables.map(quoteTable).join(', ')}`
  return `CREATE PUBLICATION ${quoteIdentifier(name)}${target};`
}

export function addTablesSql(name: string, tables: readonly CatalogTable[]): string {
  return `ALTER PUBLICATION ${quoteIdentifier(name)} ADD TABLE ${tables.map(quoteTable).join(', ')};`
}

export function publishEverythingSql(name: string): string {
  return `ALTER PUBLICATION ${quoteIdentifier(name)} SET (publish = 'insert, update, delete, truncate');`
}

export function quoteTable(table: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`
}
