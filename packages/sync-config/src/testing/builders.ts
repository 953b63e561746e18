import type { JsonObject } from '@headwater/protocol'
import { compileSyncConfig } from '../compile.ts'
import type { PreviewTable } from '../preview/decode-input.ts'
import { readTypeName, type TypeDescriptions } from '../preview/type-names.ts'
import type { Diagnostic, Plan, Request, SourceTable } from '../types.ts'

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

/** For tests: a config of edition 3 with one default stream per entry. */
export function streamsConfig(streams: { readonly [name: string]: string | readonly string[] }): string {
  const entries = Object.entries(streams).map(([name, query]) => [
    name,
    { auto_subscribe: true, ...(typeof query === 'string' ? { query } : { queries: query }) },
  ])
  // JSON is YAML.
  return JSON.stringify({ config: { edition: 3 }, streams: Object.fromEntries(entries) }, null, 1)
}

/** For tests: the plan of a config that must compile. */
export function planOf(config: string): Plan {
  const result = compileSyncConfig(config)
  if (result.kind === 'refused') throw new Error(result.diagnostics.map(describe).join('\n'))
  return result.plan
}

/** For tests: what is said about a config, as `line:column message`. */
export function saidOf(config: string, severity: Diagnostic['severity'] = 'error'): readonly string[] {
  return compileSyncConfig(config)
    .diagnostics.filter((diagnostic) => diagnostic.severity === severity)
    .map(describe)
}

function describe({ line, column, message }: Diagnostic): string {
  return `${line}:${column} ${message}`
}

/** For tests: a request of a user who asks for the defaults. */
export function requestOf(claims: JsonObject, more: Partial<Request> = {}): Request {
  return { claims, parameters: {}, includeDefaults: true, subscriptions: [], ...more }
}
