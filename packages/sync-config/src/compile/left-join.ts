import type { FunctionName } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { Site } from './query-context.ts'
import type { EachSource, TableSource } from './scope.ts'
import { CONJUNCTIONS_MAX } from './alternatives.ts'
import { type Condition, type Conjunction, multiplyOut, operandsOf, type Term } from './terms.ts'

/** A table behind LEFT JOIN. */
export type OptionalSource = Site & {
  readonly source: TableSource
  /** Undefined without ON. */
  readonly on: Condition | undefined
  /** Sources of subqueries and arrays in ON. */
  readonly inside: readonly (TableSource | EachSource)[]
}

/**
 * What the tables behind LEFT JOIN add to the alternatives of a query. An alternative that says nothing about such a
 * table holds with a row of it and without, so nothing is added. One that needs a value of it holds only where there is
 * a row: there the join is an inner one. Any other is refused, and undefined the result.
 */
export function applyLeftJoins(
  conjunctions: readonly Conjunction[],
  optional: readonly OptionalSource[],
  primary: TableSource,
): readonly Conjunction[] | undefined {
  let applied = conjunctions
  // From the last on: its ON may need those before it.
  for (const joined of optional.toReversed()) {
    const next: Conjunction[] = []
    for (const terms of applied) {
      const expanded = applyLeftJoin(terms, joined, primary)
      if (expanded === undefined) return undefined
      next.push(...expanded)
    }
    if (next.length > CONJUNCTIONS_MAX) return refuseAlternatives(joined)
    applied = next
  }
  return applied
}

function refuseAlternatives({ context, start, end }: OptionalSource): undefined {
  const message = `With this join there are more than ${CONJUNCTIONS_MAX} alternatives: split the query into several`
  return context.refuse({ start, end }, message)
}

function applyLeftJoin(
  terms: Conjunction,
  joined: OptionalSource,
  primary: TableSource,
): readonly Conjunction[] | undefined {
  const { source, on } = joined
  const reading = terms.filter((term) => operandsOf(term).some(({ owner }) => owner === source))
  const [first] = reading
  if (source !== primary) {
    if (first === undefined) return [terms]
    if (!reading.some((term) => needsRow(term, source))) {
      const advice = 'write JOIN where there must be one; that there is none cannot be asked of a row'
      return first.context.refuse(first, `This may hold where LEFT JOIN finds no row of "${source.name}": ${advice}`)
    }
  }
  if (on === undefined) return [terms]
  const alternatives = multiplyOut(on)
  return alternatives === undefined ? refuseAlternatives(joined) : alternatives.map((more) => [...terms, ...more])
}

/** Is it never true where all columns of the source are NULL? Says so rather too rarely. */
function needsRow(term: Term, source: TableSource): boolean {
  switch (term.kind) {
    case 'expression':
      return isFalseOfNull(term.expression)
    case 'equal':
      return [term.left, term.right].some(({ owner, expression }) => owner === source && isNullOfNull(expression))
    case 'absent':
      return false
  }
}

function isFalseOfNull(test: Expression): boolean {
  switch (test.kind) {
    case 'compare':
      return isNullOfNull(test.left) || isNullOfNull(test.right)
    case 'and':
      return test.operands.some(isFalseOfNull)
    case 'or':
      return test.operands.every(isFalseOfNull)
    case 'not':
      return test.operand.kind === 'is-null' && isNullOfNull(test.operand.operand)
    case 'call':
      return isNullOfNull(test) || (MEMBERSHIP.has(test.name) && test.args.slice(0, 1).every(isNullOfNull))
    default:
      return isNullOfNull(test)
  }
}

function isNullOfNull(expression: Expression): boolean {
  if (expression.kind === 'column') return true
  return expression.kind === 'call' && STRICT.has(expression.name) && expression.args.some(isNullOfNull)
}

/** Of these NULL on the left is not true. */
const MEMBERSHIP: ReadonlySet<FunctionName> = new Set(['between', 'in_json', 'in_list', 'like'])

/** These are NULL where an argument is, in both engines. */
const STRICT: ReadonlySet<FunctionName> = new Set([
  '||',
  'cast_blob',
  'cast_integer',
  'cast_numeric',
  'cast_real',
  'cast_text',
  'length',
  'lower',
  'upper',
])
