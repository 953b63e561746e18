import type { StreamEntry } from '../file/config-file.ts'
import { PRIORITY_DEFAULT } from '../file/format.ts'
import type { Expression, PlanEvaluator } from '../plan.ts'
import type { ValueOptions } from '../values/column-form.ts'
import type { DraftStream, DraftStreamRoute } from './assemble.ts'
import { isDangerous, requestSources } from './dangerous.ts'
import { readOlderColumns } from './older-columns.ts'
import { draftOlderRoute } from './older-draft.ts'
import { expandKeys, mergeKeys } from './older-route.ts'
import { type OlderScope, readOnlyTable } from './older-scope.ts'
import { lowerOlderWhere, type Part } from './older-stream-condition.ts'
import { splitFilters } from './route.ts'
import { outputName, type TableSource } from './scope.ts'
import type { ParsedQuery } from './stream.ts'

/**
 * Compiles a stream of edition 2: one table, whose rows are granted by its columns, by arrays in them, and by subqueries
 * without subqueries. Each alternative of the condition has buckets of its own.
 */
export function compileOlderStream(
  entry: StreamEntry,
  queries: readonly ParsedQuery[],
  options: ValueOptions,
): DraftStream {
  const routes = queries.flatMap((query, number) => compileQuery(entry, query, { options, number }))
  return { name: entry.name, kind: 'stream', isDefault: entry.autoSubscribe, priority: PRIORITY_DEFAULT, routes }
}

function compileQuery(
  entry: StreamEntry,
  { context, select }: ParsedQuery,
  { options, number }: { readonly options: ValueOptions; readonly number: number },
): readonly DraftStreamRoute[] {
  if (select.distinct !== undefined) context.refuse(select.distinct, 'DISTINCT does not exist in streams of edition 2')
  const rows = readOnlyTable(context, 'stream', select)
  if (rows === undefined) return []
  const scope: OlderScope & { rows: TableSource } = { context, place: 'stream', options, rows }
  const columns = readOlderColumns(scope, select)
  const conjunctions = lowerOlderWhere(scope, select.where)
  if (columns === undefined || conjunctions === undefined) return []
  const routes = conjunctions.map((parts) => makeRoute(parts, { query: number, rows, columns }))
  const place = select.where ?? select
  if (!entry.acceptDangerous && routes.some(isDangerous)) {
    context.warn(
      place,
      'Every client can choose what it gets here: the rows depend on parameters that clients send, and not on who they are. ' +
        'Add a condition with auth.user_id(), or set accept_potentially_dangerous_queries: true',
    )
  }
  if (entry.autoSubscribe && conjunctions.some((parts) => parts.some(readsSubscription))) {
    context.warn(
      place,
      `Clients that do not subscribe to "${entry.name}" get it by auto_subscribe without parameters, which are all NULL then`,
    )
  }
  return routes
}

type RouteParts = { readonly query: number; readonly rows: TableSource; readonly columns: PlanEvaluator['columns'] }

function makeRoute(parts: readonly Part[], { query, rows, columns }: RouteParts): DraftStreamRoute {
  const keys = mergeKeys(parts.flatMap((part) => part.keys))
  const evaluator: PlanEvaluator = {
    table: rows.table,
    ...expandKeys(keys.map(({ key }) => key)),
    filters: splitFilters(parts.flatMap((part) => part.filters)),
    columns,
    output: outputName(rows),
  }
  return draftOlderRoute({
    query,
    evaluators: [evaluator],
    filters: parts.flatMap((part) => part.tests),
    steps: parts.flatMap((part) => part.steps),
    values: keys.map(({ values }) => values),
    priority: null,
  })
}

function readsSubscription(part: Part): boolean {
  const values = [...part.keys, ...part.steps.flatMap((step) => (step.kind === 'lookup' ? step.keys : []))]
  const arrays = part.steps.flatMap((step) => (step.kind === 'each' ? step.argument : []))
  const expressions: readonly Expression[] = [
    ...part.tests,
    ...arrays,
    ...values.flatMap(({ value }) => (value.kind === 'request' ? value.expression : [])),
  ]
  return expressions.some((expression) => requestSources(expression).includes('subscription'))
}
