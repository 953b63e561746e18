import { compileSyncConfig } from '../compile.ts'
import { loadPlan } from '../load.ts'
import { sourceTable } from './builders.ts'
import { rowOf } from './worked-example.ts'

export type ExpressionSetting = {
  readonly edition?: 1 | 2 | 3
  /** Keys of `config` beside the edition. */
  readonly flags?: { readonly [key: string]: boolean | string | number }
  /** Columns beside `id`, as in `sourceTable`, and their values as in `rowOf`. */
  readonly columns?: string
  readonly row?: string
}

/**
 * For tests: what an expression over a row gives, as it stands in the data of an object: `1`, `1.0`, `"text"`, `null`;
 * `absent` (blobs are, too), `error` for a row error, and `refused` where the config is.
 */
export function valueOf(expression: string, { edition = 3, flags = {}, columns, row }: ExpressionSetting = {}): string {
  const query = `SELECT key AS id, ${expression} AS v FROM t`
  const body =
    edition === 3
      ? { streams: { s: { auto_subscribe: true, query } } }
      : { bucket_definitions: { s: { data: [query] } } }
  const result = compileSyncConfig(JSON.stringify({ config: { edition, ...flags }, ...body }))
  if (result.kind === 'refused') return 'refused'
  const table = sourceTable('t', columns === undefined ? 'key' : `key, ${columns}`)
  const program = loadPlan(result.plan, { generation: 1, bucketsMax: 1 }).forTable(table)
  const outcome = program?.evaluate(['k', ...(row === undefined ? [] : rowOf(row))])
  if (outcome === undefined || outcome.errors.length > 0) return 'error'
  const data = outcome.objects[0]?.data ?? ''
  return data === '{"id":"k"}' ? 'absent' : data.slice('{"id":"k","v":'.length, -1)
}

/** For tests: what a column of a Postgres type gives for a text that Postgres prints. */
export function columnValue(type: string, text: string, setting: ExpressionSetting = {}): string {
  return valueOf('c', { ...setting, columns: `c ${type}`, row: text })
}
