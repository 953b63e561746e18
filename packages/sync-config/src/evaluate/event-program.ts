import type { PlanEvent } from '../plan.ts'
import type { EventOutcome, EventProgram } from '../types.ts'
import { compilePayload } from './payload.ts'
import type { RowColumn } from './row-columns.ts'
import { readsOf, rowFailure } from './row-program.ts'
import { compileFilters, type TableScope } from './row-scope.ts'

const NOTHING: EventOutcome = { kind: 'nothing' }

export function compileEvent(
  event: PlanEvent,
  table: TableScope,
): { readonly program: EventProgram; readonly reads: readonly RowColumn[] } {
  const scope = table.openQuery({ table: event.table, expansions: [] })
  const { ofRow: passes } = compileFilters(event.filters, scope)
  const payload = compilePayload(event.columns, scope)
  return {
    program: {
      event: event.name,
      evaluate: (row) => {
        table.turn.number += 1
        try {
          return passes(row) ? { kind: 'payload', data: payload.write(row).data } : NOTHING
        } catch (error) {
          return { kind: 'error', message: rowFailure(error) }
        }
      },
    },
    reads: readsOf(table.columns, event.filters, payload.sources),
  }
}
