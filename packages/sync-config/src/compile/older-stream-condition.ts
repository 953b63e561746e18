import type { Expression } from '../plan.ts'
import type { InRight, Select, SqlExpression } from '../sql/tree.ts'
import { CONJUNCTIONS_MAX, joinAlternatives } from './alternatives.ts'
import { compare, joinLogic, negate } from './logic.ts'
import { compileWhere, type Match, referUserId, type RowKey } from './older-clause.ts'
import { isTrueLiteral, TRUE } from './literal.ts'
import { arrayOfIn, combine, commonKind, lowerScalar, plainIn, type Scalar } from './older-expression.ts'
import { eachElementOf, elementValue, type OlderKey, type OlderStep } from './older-route.ts'
import { type OlderScope, readOnlyTable } from './older-scope.ts'

/** What one condition of a stream of edition 2 asks for; all of it must hold. */
export type Part = {
  /** Over the row. */
  readonly filters: readonly Expression[]
  /** Over the request. */
  readonly tests: readonly Expression[]
  readonly steps: readonly OlderStep[]
  /** What the row is found by. */
  readonly keys: readonly OlderKey[]
}

/** A condition without NOT: it has been pushed down into the terms. */
type Condition = Scalar | PartTerm | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
type PartTerm = { readonly kind: 'part'; readonly part: Part }

const NOTHING: Part = { filters: [], tests: [], steps: [], keys: [] }

/**
 * The WHERE of a stream of edition 2, multiplied out: a row is granted when all parts of one of the conjunctions hold.
 * Undefined, and reported, when something in it is refused.
 */
export function lowerOlderWhere(
  scope: OlderScope,
  where: SqlExpression | undefined,
): readonly (readonly Part[])[] | undefined {
  if (where === undefined) return [[]]
  const condition = lowerCondition(scope, where, false)
  if (condition === undefined) return undefined
  const conjunctions = multiplyOut(condition)
  if (conjunctions !== undefined) return conjunctions
  return scope.context.refuse(
    where,
    `The condition has more than ${CONJUNCTIONS_MAX} alternatives: split it into several streams`,
  )
}

function lowerCondition(scope: OlderScope, sql: SqlExpression, negated: boolean): Condition | undefined {
  if (sql.kind === 'unary' && sql.operator === 'not') return lowerCondition(scope, sql.operand, !negated)
  if (sql.kind === 'binary' && (sql.operator === 'and' || sql.operator === 'or')) return lowerLogic(scope, sql, negated)
  const meeting = lowerMeeting(scope, sql)
  if (meeting === undefined) return undefined
  if (meeting.kind !== 'part') return negated ? { ...meeting, expression: negate(meeting.expression) } : meeting
  // What NOT IN says has been turned into NOT by then, so that two of them cancel.
  const isNegated = negated !== (sql.kind === 'in' && sql.negated)
  return isNegated ? scope.context.refuse(sql, NEGATED) : meeting
}

const NEGATED =
  'NOT cannot stand over a condition in which the row meets the request or a subquery: rows cannot be granted by what does not exist'

function lowerLogic(
  scope: OlderScope,
  sql: SqlExpression & { kind: 'binary' },
  negated: boolean,
): Condition | undefined {
  const left = lowerCondition(scope, sql.left, negated)
  const right = lowerCondition(scope, sql.right, negated)
  if (left === undefined || right === undefined) return undefined
  // NOT (a AND b) is (NOT a) OR (NOT b), and the other way round.
  const kind = (sql.operator === 'and') !== negated ? 'and' : 'or'
  const parts: Condition[] = []
  for (const part of [left, right].flatMap((side) => (side.kind === kind ? side.parts : [side]))) {
    const index = parts.findIndex((other) => joinScalars(kind, other, part) !== undefined)
    const other = parts[index]
    const joined = other === undefined ? undefined : joinScalars(kind, other, part)
    if (joined === undefined) parts.push(part)
    else parts[index] = joined
  }
  const [only, second] = parts
  return only !== undefined && second === undefined ? only : { kind, parts }
}

/** Conditions on the row become one, so that `a OR b` on one row is a filter and not two buckets; likewise the request. */
function joinScalars(kind: 'and' | 'or', a: Condition, b: Condition): Scalar | undefined {
  if (!('expression' in a) || !('expression' in b)) return undefined
  const common = commonKind(a.kind, b.kind)
  if (common === undefined) return undefined
  return { kind: common, expression: joinLogic(kind, [a.expression, b.expression]), start: a.start, end: b.end }
}

/** A plain condition, or one in which the row, the request and subqueries meet. NOT IN over the latter is left to the caller. */
function lowerMeeting(scope: OlderScope, sql: SqlExpression): Scalar | PartTerm | undefined {
  if (sql.kind === 'binary' && sql.operator === '=') return lowerEquality(scope, sql)
  if (sql.kind === 'in') {
    const { right } = sql
    return right.kind === 'subquery' ? lowerInSubquery(scope, sql, right.select) : lowerInArray(scope, sql)
  }
  return sql.kind === 'overlap' ? lowerOverlap(scope, sql) : lowerScalar(scope, sql)
}

function lowerEquality(scope: OlderScope, sql: SqlExpression & { kind: 'binary' }): Scalar | PartTerm | undefined {
  const left = lowerScalar(scope, sql.left)
  const right = lowerScalar(scope, sql.right)
  if (left === undefined || right === undefined) return undefined
  if (commonKind(left.kind, right.kind) !== undefined) {
    return combine(scope, sql, [left, right], ([a = TRUE, b = TRUE]) => compare('=', a, b))
  }
  const [row, request] = left.kind === 'row' ? [left, right] : [right, left]
  referUserId(scope, row, request)
  return keyPart({ kind: 'value', expression: row.expression }, { kind: 'request', expression: request.expression })
}

function lowerInArray(scope: OlderScope, sql: SqlExpression & { kind: 'in' }): Scalar | PartTerm | undefined {
  const array = arrayOfIn(scope, sql, sql.right)
  if (array === undefined) return undefined
  const operand = lowerScalar(scope, sql.operand)
  const right = lowerScalar(scope, array)
  if (operand === undefined || right === undefined) return undefined
  if (commonKind(operand.kind, right.kind) !== undefined) return plainIn(scope, sql, operand, right)
  if (operand.kind === 'request') {
    return keyPart({ kind: 'element', array: right.expression }, { kind: 'request', expression: operand.expression })
  }
  return elementPart({ kind: 'value', expression: operand.expression }, right.expression)
}

/** `array && array` of the row and the request, or of the row and a subquery. */
function lowerOverlap(scope: OlderScope, sql: SqlExpression & { kind: 'overlap' }): PartTerm | undefined {
  const { context } = scope
  const sides = [sql.left, sql.right].map((side) => lowerSide(scope, sql, side))
  const [left, right] = sides
  if (left === undefined || right === undefined) return undefined
  const [row, other] = 'kind' in left && left.kind !== 'request' ? [left, right] : [right, left]
  if (!('kind' in row) || row.kind === 'request') {
    return context.refuse(sql, 'One side of && must be an array of the row before edition 3')
  }
  const key: RowKey = { kind: 'element', array: row.expression }
  if (!('kind' in other)) return subqueryPart(other, key)
  if (other.kind === 'request') return elementPart(key, other.expression)
  return context.refuse(sql, 'One side of && must be an array of the request, or a subquery, before edition 3')
}

function lowerSide(scope: OlderScope, sql: SqlExpression, side: InRight): Scalar | Subquery | undefined {
  if (side.kind === 'subquery') return compileSubquery(scope, side.select, 'must be tied to the request')
  const array = arrayOfIn(scope, sql, side)
  return array === undefined ? undefined : lowerScalar(scope, array)
}

/** A row under this key is found for any element of an array of the request. */
function elementPart(key: RowKey, array: Expression): PartTerm {
  const step = eachElementOf(array)
  return { kind: 'part', part: { ...NOTHING, steps: [step], keys: [{ key, value: output(step, elementValue(0)) }] } }
}

function keyPart(key: RowKey, value: OlderKey['value']): PartTerm {
  return { kind: 'part', part: { ...NOTHING, keys: [{ key, value }] } }
}

function output(step: OlderStep, expression: Expression): OlderKey['value'] {
  return { kind: 'output', step, expression }
}

function lowerInSubquery(scope: OlderScope, sql: SqlExpression & { kind: 'in' }, select: Select): PartTerm | undefined {
  const operand = lowerScalar(scope, sql.operand)
  if (operand === undefined) return undefined
  if (operand.kind === 'static') {
    return scope.context.refuse(sql.operand, 'A constant IN (SELECT …) says nothing of the row or the request')
  }
  if (operand.kind === 'row') {
    const subquery = compileSubquery(scope, select, 'must be tied to the request')
    return subquery === undefined
      ? undefined
      : subqueryPart(subquery, { kind: 'value', expression: operand.expression })
  }
  const subquery = compileSubquery(scope, select, 'may be without')
  if (subquery === undefined) return undefined
  // There must be a row that has the value; which one does not matter.
  const own: OlderKey = {
    key: { kind: 'value', expression: subquery.output },
    value: { kind: 'request', expression: operand.expression },
  }
  const step: OlderStep = { ...subquery.step, keys: [...subquery.step.keys, own], outputs: [] }
  return { kind: 'part', part: { ...NOTHING, tests: subquery.tests, steps: [step] } }
}

function subqueryPart({ step, tests, output: found }: Subquery, key: RowKey): PartTerm {
  return { kind: 'part', part: { ...NOTHING, tests, steps: [step], keys: [{ key, value: output(step, found) }] } }
}

type Subquery = {
  readonly step: OlderStep & { readonly kind: 'lookup' }
  /** Over the request. */
  readonly tests: readonly Expression[]
  /** What it selects. */
  readonly output: Expression
}

function compileSubquery(
  outer: OlderScope,
  select: Select,
  request: 'must be tied to the request' | 'may be without',
): Subquery | undefined {
  const { context } = outer
  if (select.distinct !== undefined) return context.refuse(select.distinct, 'DISTINCT has no place in a subquery')
  const rows = readOnlyTable(context, 'subquery', select)
  if (rows === undefined) return undefined
  const scope: OlderScope = { ...outer, place: 'subquery', rows }
  const selected = readOnlyColumn(scope, select)
  const conditions = conjuncts(select.where).map((condition) => compileWhere(scope, condition))
  const matches = conditions.filter((match) => match !== undefined)
  if (selected === undefined || matches.length < conditions.length) return undefined
  if (matches.every(({ inputs }) => inputs.size === 0) && request === 'must be tied to the request') {
    const advice = 'add a condition such as column = auth.user_id()'
    return context.refuse(select, `A subquery must have a condition that depends on the request: ${advice}`)
  }
  const tests = matches.flatMap(({ inputs }) => {
    return [...inputs.values()].flatMap((input) => (input.kind === 'truth' ? input.expression : []))
  })
  const filters = matches.flatMap(({ alternatives }) => alternatives.flatMap((alternative) => alternative.filters))
  const keys = matches.flatMap(keysOf)
  const step = { kind: 'lookup', table: rows.table, filters, keys, outputs: [selected.expression] } as const
  return { step, tests, output: selected.expression }
}

function conjuncts(where: SqlExpression | undefined): readonly SqlExpression[] {
  if (where?.kind !== 'binary' || where.operator !== 'and') return where === undefined ? [] : [where]
  return [...conjuncts(where.left), ...conjuncts(where.right)]
}

/** Of a condition without OR, so with one alternative. */
function keysOf({ inputs, alternatives }: Match): readonly OlderKey[] {
  return [...inputs].flatMap(([text, input]): readonly OlderKey[] => {
    const key = alternatives[0]?.keys.get(text)
    if (key === undefined || input.kind !== 'value') return []
    return [{ key, value: { kind: 'request', expression: input.expression } }]
  })
}

function readOnlyColumn(scope: OlderScope, select: Select): Scalar | undefined {
  const { context } = scope
  const [item, second] = select.items
  if (item?.kind !== 'expression' || second !== undefined) {
    return context.refuse(second ?? item ?? select, 'A subquery must select exactly one column, by name')
  }
  const value = lowerScalar(scope, item.expression)
  if (value?.kind === 'request')
    return context.refuse(item, 'A subquery selects a column of its table, not of the request')
  return value
}

/** Undefined when there are too many. */
function multiplyOut(condition: Condition): readonly (readonly Part[])[] | undefined {
  switch (condition.kind) {
    case 'part':
      return [[condition.part]]
    case 'request':
      return [[{ ...NOTHING, tests: [condition.expression] }]]
    case 'static':
    case 'row':
      return [[{ ...NOTHING, filters: isTrueLiteral(condition.expression) ? [] : [condition.expression] }]]
    case 'and':
    case 'or':
      return joinAlternatives(condition.kind, condition.parts.map(multiplyOut))
  }
}
