import { readPlanBody } from './plan.ts'
import type { Plan, TablePattern } from './types.ts'

/** What a plan does, for people. */
export type PlanDescription = {
  /** Streams, and bucket definitions of the older editions. */
  readonly streams: readonly { readonly name: string; readonly isDefault: boolean; readonly priority: number }[]
  /** Tables whose rows go into buckets. */
  readonly dataTables: readonly TablePattern[]
  /** Tables that decide which buckets a client gets. */
  readonly lookupTables: readonly TablePattern[]
  /** Names of tables on the client; undefined where it is that of the table of the source. */
  readonly outputs: readonly (string | undefined)[]
}

export function describePlan(plan: Plan): PlanDescription {
  const { streams, evaluators, lookups } = readPlanBody(plan)
  return {
    streams: streams.map(({ name, isDefault, priority }) => ({ name, isDefault, priority })),
    dataTables: unique(evaluators.map(({ table }) => table)),
    lookupTables: unique(lookups.map(({ table }) => table)),
    outputs: [...new Set(evaluators.map(({ output }) => output ?? undefined))],
  }
}

function unique(tables: readonly TablePattern[]): readonly TablePattern[] {
  return [...new Map(tables.map((table) => [JSON.stringify(table), table])).values()]
}
