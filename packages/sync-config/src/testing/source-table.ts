import type { PreviewTable } from '../preview/decode-input.ts'
import { readTypeName, type TypeDescriptions } from '../preview/type-names.ts'
import type { SourceTable } from '../types.ts'

/** For tests: a table for `preview`, its columns as `id, due date, tags text[]` (text where no type is given). */
export function previewTable(columns: string, ...rows: PreviewTable['rows']): PreviewTable {
  return { columns: readColumns(columns), rows }
}

/** For tests: a table as replication describes it; its key is its first column. */
export function sourceTable(name: string, columns: string, types: TypeDescriptions = {}): SourceTable {
  const read = readColumns(columns).map(({ name: column, type }) => {
    return { name: column, type: readTypeName(type, types) ?? { kind: 'base' as const, name: type } }
  })
  return { schema: 'public', name, columns: read, identity: read.slice(0, 1).map((column) => column.name) }
}

function readColumns(columns: string): PreviewTable['columns'] {
  return columns.split(/,\s*(?![^(]*\))/).map((column) => {
    const [name = '', ...type] = column.trim().split(' ')
    return { name, type: type.join(' ') || 'text' }
  })
}
