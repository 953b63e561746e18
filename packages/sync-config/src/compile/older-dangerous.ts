import { type Expression, partsOf } from '../plan.ts'
import type { Match } from './older-clause.ts'
import type { Scalar } from './older-expression.ts'
import type { ParameterRows } from './parameter-query.ts'

/**
 * Can any client choose which buckets of the definition it gets? Claims are signed, parameters of the connection are
 * what the client says. They do no harm as soon as a claim decides with them: as a parameter of the bucket, or in a
 * condition on the rows that parameters are taken from.
 */
export function isDangerousQuery(items: readonly Scalar[], match: Match, rows: ParameterRows): boolean {
  const outputs = items.map(({ expression }) => expression)
  const conditions = [...match.inputs.values()].flatMap((input) => {
    if (input.kind === 'parameter') return []
    return input.kind === 'element' ? input.array : input.expression
  })
  const walked = rows.kind === 'each' ? [rows.argument] : []
  const isChosen = [...outputs, ...conditions, ...walked].some((expression) => reads(expression, 'connection'))
  const trusted = rows.kind === 'table' ? [...outputs, ...conditions] : outputs
  return isChosen && !trusted.some(needsClaim)
}

/** Where either side of OR is enough, both must have a claim. */
function needsClaim(expression: Expression): boolean {
  if (expression.kind === 'or') return expression.operands.every(needsClaim)
  return expression.kind === 'request' ? expression.source === 'claims' : partsOf(expression).some(needsClaim)
}

function reads(expression: Expression, source: 'connection'): boolean {
  if (expression.kind === 'request') return expression.source === source
  return partsOf(expression).some((part) => reads(part, source))
}
