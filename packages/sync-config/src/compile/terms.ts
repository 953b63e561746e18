import type { Expression } from '../plan.ts'
import { joinAlternatives } from './alternatives.ts'
import { joinLogic, negate } from './logic.ts'
import { elementsIn } from './operand.ts'
import type { Site } from './query-context.ts'
import type { DraftWay } from './route.ts'
import type { Operand, Owner } from './scope.ts'

/** The smallest part of a condition: a test of one owner, or an equality where two owners meet. */
export type Term =
  | (Site & { readonly kind: 'expression'; readonly owner: Owner; readonly expression: Expression })
  | (Site & { readonly kind: 'equal'; readonly left: Operand; readonly right: Operand })
  /** None of the ways finds anything. `operands`: all that they read. */
  | (Site & { readonly kind: 'absent'; readonly ways: readonly DraftWay[]; readonly operands: readonly Operand[] })

/** What a term compares or tests; what an absence reads is known to it alone. */
export function operandsOf(term: Term): readonly Operand[] {
  switch (term.kind) {
    case 'expression':
      return [term]
    case 'equal':
      return [term.left, term.right]
    case 'absent':
      return []
  }
}

/** A condition without NOT: it has been pushed down into the terms. */
export type Condition =
  | { readonly kind: 'term'; readonly term: Term }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }

/** All terms must hold. */
export type Conjunction = readonly Term[]

export function testOf(
  { context, start, end }: Site,
  owner: Owner,
  expression: Expression,
  negated: boolean,
): Condition {
  const tested = negated ? negate(expression) : expression
  return { kind: 'term', term: { kind: 'expression', owner, expression: tested, context, start, end } }
}

export function equalityOf({ context, start, end }: Site, left: Operand, right: Operand): Condition {
  return { kind: 'term', term: { kind: 'equal', left, right, context, start, end } }
}

export function joinConditions(kind: 'and' | 'or', conditions: readonly Condition[]): Condition {
  const flat = conditions.flatMap((part) => (part.kind === kind ? part.parts : [part]))
  const parts = mergeTests(
    kind,
    flat.filter((part) => literalTruth(part) !== (kind === 'and')),
  )
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : { kind, parts }
}

/** Of a literal: `AND true` and `OR false` say nothing. */
function literalTruth(condition: Condition): boolean | undefined {
  if (condition.kind !== 'term' || condition.term.kind !== 'expression') return undefined
  const { expression } = condition.term
  if (expression.kind === 'null') return false
  return expression.kind === 'integer' ? expression.digits !== '0' : undefined
}

/** Tests of one owner become one test, so that `a OR b` on one row is a filter and not two buckets. */
function mergeTests(kind: 'and' | 'or', parts: readonly Condition[]): readonly Condition[] {
  const groups: Condition[][] = []
  for (const part of parts) {
    const group = groups.find(([first]) => first !== undefined && mayMerge(kind, first, part))
    if (group === undefined) groups.push([part])
    else group.push(part)
  }
  return groups.map((group) => mergeGroup(kind, group))
}

function mayMerge(kind: 'and' | 'or', a: Condition, b: Condition): boolean {
  const [first, second] = [testIn(a), testIn(b)]
  if (first === undefined || second === undefined || first.owner !== second.owner) return false
  // An alternative that reads no element must not depend on there being one.
  return kind === 'and' || elementsText(first.expression) === elementsText(second.expression)
}

function mergeGroup(kind: 'and' | 'or', group: readonly Condition[]): Condition {
  const tests = group.flatMap((condition) => testIn(condition) ?? [])
  const [first, last] = [tests[0], tests.at(-1)]
  const [only] = group
  if (first === undefined || last === undefined || (group.length === 1 && only !== undefined)) {
    return only ?? { kind, parts: [] }
  }
  const end = first.context === last.context ? last.end : first.end
  const expression = joinLogic(
    kind,
    tests.map((test) => test.expression),
  )
  return { kind: 'term', term: { ...first, expression, end } }
}

function testIn(condition: Condition): (Term & { readonly kind: 'expression' }) | undefined {
  return condition.kind === 'term' && condition.term.kind === 'expression' ? condition.term : undefined
}

function elementsText(expression: Expression): string {
  return [...new Set(elementsIn(expression))].toSorted((a, b) => a - b).join()
}

/** The condition as alternatives; undefined when there are more than `CONJUNCTIONS_MAX`. */
export function multiplyOut(condition: Condition): readonly Conjunction[] | undefined {
  if (condition.kind === 'term') return [[condition.term]]
  return joinAlternatives(condition.kind, condition.parts.map(multiplyOut))
}
