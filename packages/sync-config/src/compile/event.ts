import type { EventEntry } from '../file/config-file.ts'
import type { PlanEvent } from '../plan.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { readOlderColumns } from './older-columns.ts'
import { lowerScalar } from './older-expression.ts'
import { readOnlyTable } from './older-scope.ts'
import { splitFilters } from './route.ts'
import type { ParsedQuery } from './stream.ts'

/** Compiles the payloads of an event: what is told of rows that change, whoever is connected. */
export function compileEvent(
  entry: EventEntry,
  payloads: readonly ParsedQuery[],
  options: ValueOptions,
): readonly PlanEvent[] {
  return payloads.flatMap(({ context, select }) => {
    if (select.distinct !== undefined) context.refuse(select.distinct, 'DISTINCT does not exist in events')
    const rows = readOnlyTable(context, 'event', select)
    if (rows === undefined) return []
    const scope = { context, place: 'event' as const, options, rows }
    const columns = readOlderColumns(scope, select)
    const filter = select.where === undefined ? undefined : lowerScalar(scope, select.where)
    if (columns === undefined || (select.where !== undefined && filter === undefined)) return []
    const filters = splitFilters(filter === undefined ? [] : [filter.expression])
    return { name: entry.name, table: rows.table, filters, columns }
  })
}
