import { matchesTable, tableSuffix } from '../match-table.ts'
import { type PlanBody, type PlanEvaluator, partText } from '../plan.ts'
import type { SourceTable } from '../types.ts'
import { findIdPosition } from './payload.ts'
import type { RowColumns } from './row-columns.ts'

/** See `TableProgram.ownId`. */
export function findOwnId(body: PlanBody, table: SourceTable, columns: RowColumns): number | undefined {
  /** SELECT lists by type. */
  const lists = new Map<string, string>()
  const positions = new Set<number | undefined>()
  for (const evaluator of body.evaluators) {
    if (!matchesTable(evaluator.table, table)) continue
    const type = evaluator.output ?? table.name
    const list = `${tableSuffix(evaluator.table, table.name)}/${partText(evaluator.columns)}`
    if ((lists.get(type) ?? list) !== list) return undefined
    lists.set(type, list)
    positions.add(findIdPosition(evaluator.columns, columns))
  }
  const isShared = [...lists.keys()].some((type) =>
    body.evaluators.some((evaluator) => mayMakeElsewhere(evaluator, type, table)),
  )
  const [position] = positions
  return isShared || positions.size !== 1 ? undefined : position
}

/** May there be another table whose rows the evaluator makes objects of the type of? */
function mayMakeElsewhere({ table: pattern, output }: PlanEvaluator, type: string, table: SourceTable): boolean {
  if (output === null) {
    const hasName = matchesTable({ ...pattern, isSchemaWildcard: true, schema: '%' }, { schema: '', name: type })
    return hasName && (pattern.isSchemaWildcard || pattern.schema !== table.schema || type !== table.name)
  }
  if (output !== type) return false
  return pattern.isWildcard || pattern.isSchemaWildcard || !matchesTable(pattern, table)
}
