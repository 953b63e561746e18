import { compare } from './logic.ts'
import { elementsIn, isConstantEach, readsRequest } from './operand.ts'
import type { SourceList } from './query-scope.ts'
import type { EachSource, Owner, TableSource } from './scope.ts'
import { type Conjunction, operandsOf, type Term } from './terms.ts'

/**
 * Decides where each constant array of a conjunction is taken apart, and with that which equalities lie within one
 * owner: those become tests. A constant array belongs to the table that it is compared with, the selected one (`primary`) first,
 * or is read by itself like one of the request. Undefined, and reported, when two places would have to have it.
 */
export function settle(
  conjunction: Conjunction,
  primary: TableSource | undefined,
  sources: SourceList,
): Conjunction | undefined {
  const constants = sources.eachesIn(
    conjunction.flatMap((term) => operandsOf(term).map(({ expression }) => expression)),
  )
  let terms = conjunction
  for (const each of constants.filter(isConstantEach)) {
    const uses = terms.flatMap((term) => usesOf(term, each))
    const bound = new Set(uses.flatMap(({ boundTo }) => boundTo ?? []))
    const isOfRequest = uses.some((use) => use.isOfRequest)
    const [table, second] = bound
    if (second !== undefined || (table !== undefined && isOfRequest)) {
      const message = 'The elements of this array cannot be mixed both with columns and with values from elsewhere'
      return each.context.refuse(each, `${message}: mention the array twice`)
    }
    const compared = uses.flatMap(({ comparedWith }) => comparedWith ?? [])
    const chosen = table ?? (isOfRequest ? undefined : firstOf(compared, primary))
    if (chosen !== undefined) terms = terms.map((term) => reassign(term, each, chosen))
  }
  return terms.map(simplify)
}

type Use = {
  /** A table that an expression over the array reads as well. */
  readonly boundTo: TableSource | undefined
  /** Does an expression over the array read the request as well? */
  readonly isOfRequest: boolean
  /** A table on the other side of an equality. */
  readonly comparedWith: TableSource | undefined
}

function usesOf(term: Term, each: EachSource): readonly Use[] {
  return operandsOf(term).flatMap((operand, side): Use | readonly Use[] => {
    if (!elementsIn(operand.expression).includes(each.number)) return []
    const other = term.kind === 'equal' ? [term.right, term.left][side]?.owner : undefined
    return {
      boundTo: operand.owner.kind === 'table' ? operand.owner : undefined,
      isOfRequest: operand.owner === each && readsRequest(operand.expression),
      comparedWith: operand.owner === each && other?.kind === 'table' ? other : undefined,
    }
  })
}

function firstOf(tables: readonly TableSource[], primary: TableSource | undefined): TableSource | undefined {
  if (primary !== undefined && tables.includes(primary)) return primary
  return tables.toSorted((a, b) => (JSON.stringify(a.table) < JSON.stringify(b.table) ? -1 : 1))[0]
}

function reassign(term: Term, each: EachSource, owner: Owner): Term {
  if (term.kind === 'expression') return term.owner === each ? { ...term, owner } : term
  if (term.kind === 'absent') return term
  const [left, right] = [term.left, term.right].map((side) => (side.owner === each ? { ...side, owner } : side))
  return left === undefined || right === undefined ? term : { ...term, left, right }
}

function simplify(term: Term): Term {
  if (term.kind !== 'equal') return term
  const { left, right, context, start, end } = term
  const owner = ownerOfBoth(left.owner, right.owner)
  if (owner === undefined) return term
  const expression = compare('=', left.expression, right.expression)
  return { kind: 'expression', owner, expression, context, start, end }
}

function ownerOfBoth(a: Owner, b: Owner): Owner | undefined {
  if (a === b || (a.kind === 'each' && b.kind === 'request')) return a
  return b.kind === 'each' && a.kind === 'request' ? b : undefined
}
