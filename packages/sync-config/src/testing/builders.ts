import type { JsonObject } from '@headwater/protocol'
import { compileSyncConfig } from '../compile.ts'
import type { Diagnostic, Plan, Request } from '../types.ts'

export { previewTable, sourceTable } from './source-table.ts'

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
