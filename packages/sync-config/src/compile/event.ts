import { CHECKPOINT_COLUMNS, isCheckpointEvent } from '../checkpoint-events.ts'
import type { EventEntry } from '../file/config-file.ts'
import type { PlanColumn, PlanEvent } from '../plan.ts'
import type { Select } from '../sql/tree.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { readOlderColumns } from './older-columns.ts'
import { lowerScalar } from './older-expression.ts'
import { readOnlyTable } from './older-scope.ts'
import type { QueryContext } from './query-context.ts'
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
    if (columns !== undefined && isCheckpointEvent(entry.name)) checkCheckpoint(context, select, columns)
    if (columns === undefined || (select.where !== undefined && filter === undefined)) return []
    const filters = splitFilters(filter === undefined ? [] : [filter.expression])
    return { name: entry.name, table: rows.table, filters, columns }
  })
}

/** A star may have the columns: which ones a table has is not known here. */
function checkCheckpoint(context: QueryContext, select: Select, columns: readonly PlanColumn[]): void {
  const missing = CHECKPOINT_COLUMNS.filter(
    (wanted) => !columns.some((column) => column.kind === 'star' || column.name === wanted),
  )
  if (missing.length === 0) return
  context.refuse(
    select.items[0] ?? select,
    `A write checkpoint needs ${missing.map((name) => `"${name}"`).join(' and ')}: select user_id, checkpoint and, where clients name themselves, client_id`,
  )
}
