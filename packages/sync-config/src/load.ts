import { compileTable } from './evaluate/table-program.ts'
import { readPlanBody } from './plan.ts'
import { compileStreams, resolveRequest } from './resolve/resolve.ts'
import type { LoadedPlan, LoadOptions, Plan, Turn } from './types.ts'

/** Makes a compiled plan ready to run. Throws `bad-plan` when it was not made by this version. */
export function loadPlan(plan: Plan, options: LoadOptions): LoadedPlan {
  const body = readPlanBody(plan)
  const generationOf = options.generationOf ?? (() => options.generation)
  const streams = compileStreams(body, generationOf)
  return {
    hash: plan.hash,
    tables: plan.tables,
    forTable: (table) => compileTable(body, table, { generationOf, rowCharactersMax: options.rowCharactersMax }),
    resolve: (request, readLookups, turn = UNENDING) =>
      resolveRequest(streams, request, { readLookups, options, turn }),
  }
}

const UNENDING: Turn = { isOver: false, isOverAfterStep: () => false, next: async () => {} }
