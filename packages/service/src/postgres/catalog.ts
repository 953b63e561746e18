import type { SourceTable, TablePattern } from '@headwater/sync-config'
import type { Session, SqlRow } from './connection.ts'
import type { ReplicaIdentity } from './pgoutput.ts'
import type { TypeCatalog } from './type-catalog.ts'

/** A table as the catalog shows it now. */
export type CatalogTable = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `r` ordinary, `p` partitioned, `v` view, `m` materialized view, `f` foreign table. */
  readonly kind: string
  readonly persistence: 'permanent' | 'unlogged' | 'temporary'
  readonly isPartition: boolean
  readonly identity: ReplicaIdentity
  /** In the order of the stream: by attribute number, without dropped columns and what the stream leaves out. */
  readonly columns: readonly CatalogColumn[]
  /** Names of the primary key's columns, in the order of the table; empty without one. */
  readonly primaryKey: readonly string[]
  /** Is row security on, and would this role see fewer rows because of it? */
  readonly isHiddenByRowSecurity: boolean
  readonly maySelect: boolean
  readonly mayUseSchema: boolean
  /** May this role put the table into a publication? */
  readonly isOwner: boolean
  readonly isPublished: boolean
  /** SQL condition that the publication puts on rows. */
  readonly rowFilter: string | undefined
  /** Rows, estimated by Postgres; 0 when it never looked. */
  readonly rowsEstimated: number
  /** Rows larger than this many bytes are candidates for storage out of line. */
  readonly toastTupleTarget: number
}

export type CatalogColumn = {
  readonly name: string
  readonly typeOid: number
  readonly typeModifier: number
  /** Part of the replica identity, as the stream flags it. */
  readonly isKey: boolean
  /** May values be stored out of line? */
  readonly isToastable: boolean
  /** Rows from before the column was added have a default that is not written in them. */
  readonly hasMissingDefault: boolean
}

/** Postgres' own default of toast_tuple_target for pages of 8 KiB. */
const TOAST_TUPLE_TARGET = 2_032

const READ_TABLES = `
  WITH wanted AS (
    SELECT DISTINCT c.oid
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS p (schema, schema_wildcard, name, wildcard)
      ON CASE WHEN p.schema_wildcard = 'true'
              THEN starts_with(n.nspname, left(p.schema, -1)) AND n.nspname !~ '^(pg_|information_schema$)'
              ELSE n.nspname = p.schema END
     AND CASE WHEN p.wildcard = 'true' THEN starts_with(c.relname, left(p.name, -1)) ELSE c.relname = p.name END
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  )
  SELECT c.oid::text AS oid,
         n.nspname AS schema,
         c.relname AS name,
         c.relkind::text AS kind,
         c.relpersistence::text AS persistence,
         c.relispartition::text AS is_partition,
         c.relreplident::text AS identity,
         c.reltuples::text AS tuples,
         row_security_active(c.oid)::text AS row_security,
         has_table_privilege(c.oid, 'SELECT')::text AS may_select,
         has_schema_privilege(n.oid, 'USAGE')::text AS may_use_schema,
         pg_has_role(c.relowner, 'USAGE')::text AS is_owner,
         (pt.tablename IS NOT NULL)::text AS is_published,
         pt.rowfilter AS row_filter,
         (SELECT option_value FROM pg_catalog.pg_options_to_table(c.reloptions)
          WHERE option_name = 'toast_tuple_target') AS toast_target,
         coalesce((
           SELECT json_agg(json_build_object(
                    'name', a.attname,
                    'type', a.atttypid::text,
                    'modifier', a.atttypmod,
                    'key', coalesce(a.attnum = ANY (ident.indkey::int2[]), false),
                    'primary', coalesce(a.attnum = ANY (prim.indkey::int2[]), false),
                    'toast', a.attstorage <> 'p',
                    'missing', a.atthasmissing) ORDER BY a.attnum)
           FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             AND CASE WHEN pt.attnames IS NULL THEN a.attgenerated = '' ELSE a.attname = ANY (pt.attnames) END
         ), '[]')::text AS columns
  FROM wanted
  JOIN pg_catalog.pg_class c ON c.oid = wanted.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index prim ON prim.indrelid = c.oid AND prim.indisprimary AND prim.indisvalid
  LEFT JOIN pg_catalog.pg_index ident ON ident.indrelid = c.oid AND ident.indisvalid
    AND CASE c.relreplident WHEN 'd' THEN ident.indisprimary WHEN 'i' THEN ident.indisreplident ELSE false END
  LEFT JOIN PUBLISHED pt ON pt.pubname = $5 AND pt.schemaname = n.nspname AND pt.tablename = c.relname
  ORDER BY n.nspname, c.relname`

/** From 15 on a publication names the columns it carries; before, generated ones are left out. */
function readTablesText(serverVersion: number): string {
  const published =
    serverVersion >= 150_000
      ? 'pg_catalog.pg_publication_tables'
      : '(SELECT pubname, schemaname, tablename, NULL::name[] AS attnames, NULL::text AS rowfilter FROM pg_catalog.pg_publication_tables)'
  return READ_TABLES.replace('PUBLISHED', published)
}

/** Every relation that the patterns name, in one query. `serverVersion` is server_version_num. */
export async function readCatalogTables(
  session: Session,
  patterns: readonly TablePattern[],
  publication: string,
  serverVersion: number,
): Promise<readonly CatalogTable[]> {
  if (patterns.length === 0) return []
  const rows = await session.query(readTablesText(serverVersion), [
    toArray(patterns.map((pattern) => pattern.schema)),
    toArray(patterns.map((pattern) => String(pattern.isSchemaWildcard))),
    toArray(patterns.map((pattern) => pattern.name)),
    toArray(patterns.map((pattern) => String(pattern.isWildcard))),
    publication,
  ])
  return rows.map(readTable)
}

/** The types must be loaded into `types` before. */
export function toSourceTable(table: CatalogTable, types: TypeCatalog): SourceTable {
  return {
    schema: table.schema,
    name: table.name,
    columns: table.columns.map((column) => ({ name: column.name, type: types.find(column.typeOid) })),
    identity: identityColumns(table),
  }
}

function identityColumns(table: CatalogTable): readonly string[] {
  const columns = table.identity === 'full' ? table.columns : table.columns.filter((column) => column.isKey)
  return columns.map((column) => column.name)
}

type ColumnJson = {
  readonly name: string
  readonly type: string
  readonly modifier: number
  readonly key: boolean
  readonly primary: boolean
  readonly toast: boolean
  readonly missing: boolean
}

const IDENTITIES: { readonly [letter: string]: ReplicaIdentity } = { d: 'default', n: 'nothing', f: 'full', i: 'index' }
const PERSISTENCE: { readonly [letter: string]: CatalogTable['persistence'] } = {
  p: 'permanent',
  u: 'unlogged',
  t: 'temporary',
}

function readTable(row: SqlRow): CatalogTable {
  const columns = JSON.parse(row.columns ?? '[]') as readonly ColumnJson[]
  const identity = IDENTITIES[row.identity ?? 'd'] ?? 'default'
  return {
    oid: Number(row.oid),
    schema: row.schema ?? '',
    name: row.name ?? '',
    kind: row.kind ?? 'r',
    persistence: PERSISTENCE[row.persistence ?? 'p'] ?? 'permanent',
    isPartition: row.is_partition === 'true',
    identity,
    columns: columns.map((column) => ({
      name: column.name,
      typeOid: Number(column.type),
      typeModifier: column.modifier,
      isKey: identity === 'full' || column.key,
      isToastable: column.toast,
      hasMissingDefault: column.missing,
    })),
    primaryKey: columns.filter((column) => column.primary).map((column) => column.name),
    isHiddenByRowSecurity: row.row_security === 'true',
    maySelect: row.may_select === 'true',
    mayUseSchema: row.may_use_schema === 'true',
    isOwner: row.is_owner === 'true',
    isPublished: row.is_published === 'true',
    rowFilter: row.row_filter ?? undefined,
    rowsEstimated: Math.max(0, Math.round(Number(row.tuples))),
    toastTupleTarget:
      row.toast_target === null || row.toast_target === undefined ? TOAST_TUPLE_TARGET : Number(row.toast_target),
  }
}

/** A Postgres array literal of texts. */
export function toArray(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`
}
