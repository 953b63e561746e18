import type { PostgresType, SourceTable } from '@headwater/sync-config'
import type { OperatorSchema, SchemaTable } from './http/operator.ts'

/** Types of Postgres that are no text on the client. */
const SQLITE_TYPES: { readonly [name: string]: SchemaTable['columns'][number]['sqlite_type'] } = {
  bool: 'integer',
  bytea: 'blob',
  float4: 'real',
  float8: 'real',
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  oid: 'integer',
}

/** The source's tables as operators' tools read them. */
export function describeSchema(tables: readonly SourceTable[]): OperatorSchema {
  const bySchema = Map.groupBy(tables, ({ schema }) => schema)
  return {
    connections: [
      {
        id: 'default',
        tag: 'default',
        schemas: [...bySchema].map(([name, inside]) => ({ name, tables: inside.map(describeTable) })),
      },
    ],
    defaultConnectionTag: 'default',
    defaultSchema: 'public',
  }
}

function describeTable({ name, columns }: SourceTable): SchemaTable {
  return {
    name,
    columns: columns.map((column) => {
      const type = nameOf(column.type)
      return { name: column.name, sqlite_type: sqliteTypeOf(column.type), internal_type: type, type, pg_type: type }
    }),
  }
}

function nameOf(type: PostgresType): string {
  return type.kind === 'array' ? `${nameOf(type.element)}[]` : type.name
}

function sqliteTypeOf(type: PostgresType): SchemaTable['columns'][number]['sqlite_type'] {
  if (type.kind === 'domain') return sqliteTypeOf(type.base)
  return type.kind === 'base' ? (SQLITE_TYPES[type.name] ?? 'text') : 'text'
}
