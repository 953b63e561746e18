import { type Expression, partsOf } from '../plan.ts'
import { inCanonicalOrder } from './order.ts'
import type { QueryContext, Site } from './query-context.ts'
import type { SourceList } from './query-scope.ts'
import { type DraftWay, draftWay } from './route.ts'
import type { Operand, Owner } from './scope.ts'
import { settle } from './settle.ts'
import { CONJUNCTIONS_MAX } from './alternatives.ts'
import { type Condition, type Conjunction, multiplyOut, operandsOf } from './terms.ts'

/** False, and reported, for a value of which it cannot be asked whether it is absent from rows. */
export function canBeAbsent(context: QueryContext, value: Operand): boolean {
  if (value.owner.kind === 'table' || value.owner.kind === 'each') {
    const reason = 'a change of one row there would move any number of rows here; keep a column that says it'
    context.refuse(value, `NOT IN (SELECT …) needs a value of the request, and not of a row or an array: ${reason}`)
    return false
  }
  if (makesBlob(value.expression)) {
    context.refuse(value, 'Binary values equal nothing, so they would be in no list: compare them as hex(…)')
    return false
  }
  return true
}

function makesBlob(expression: Expression): boolean {
  const isBlob = expression.kind === 'call' && (expression.name === 'cast_blob' || expression.name === 'uuid_blob')
  return isBlob || partsOf(expression).some(makesBlob)
}

type Inside = {
  readonly sources: SourceList
  /** Sources of the queries around it. */
  readonly around: ReadonlySet<Owner>
}

/** Nothing fulfils the condition, whose sources are reached by the request alone. Undefined, and reported, otherwise. */
export function absenceOf(site: Site, condition: Condition, { sources, around }: Inside): Condition | undefined {
  const { context, start, end } = site
  const alternatives = multiplyOut(condition)
  if (alternatives === undefined) {
    return context.refuse(site, `The subquery has more than ${CONJUNCTIONS_MAX} alternatives: split it into several`)
  }
  const terms = alternatives.flat()
  const operands = terms.flatMap((term) => (term.kind === 'absent' ? term.operands : operandsOf(term)))
  const outer = terms.find((term) => operandsOf(term).some(({ owner }) => around.has(owner)))
  if (outer !== undefined) {
    const advice = 'whether something exists can only depend on the request'
    return outer.context.refuse(outer, `A query behind NOT IN cannot read tables of the queries around it: ${advice}`)
  }
  const ways: DraftWay[] = []
  for (const conjunction of alternatives) {
    const way = draftAbsence(conjunction, sources)
    if (way === undefined) return undefined
    ways.push(way)
  }
  return { kind: 'term', term: { kind: 'absent', ways, operands, context, start, end } }
}

function draftAbsence(conjunction: Conjunction, sources: SourceList): DraftWay | undefined {
  const settled = settle(conjunction, undefined, sources)
  if (settled === undefined) return undefined
  const way = draftWay(inCanonicalOrder(settled, undefined, sources), sources)
  if (!('unconnected' in way)) return way
  const { unconnected } = way
  return unconnected.context.refuse(
    unconnected,
    'This condition connects tables with each other but not with the request',
  )
}
