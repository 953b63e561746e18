import type { Span } from '../file/diagnostics.ts'
import type { Expression } from '../plan.ts'
import type { SqlExpression } from '../sql/tree.ts'
import {
  commonOwner,
  compare,
  joinLogic,
  lowerOperand,
  negate,
  type Operand,
  type OperandScope,
  type Owner,
} from './operand.ts'
import { readTable } from './scope.ts'

/** The smallest part of a condition: a test on one thing, or an equality where two things meet. */
export type Term =
  | (Span & { readonly kind: 'expression'; readonly owner: Owner; readonly expression: Expression })
  | (Span & { readonly kind: 'equal'; readonly left: Operand; readonly right: Operand })

/** A condition without NOT: it has been pushed down into the terms. */
export type Condition =
  | { readonly kind: 'term'; readonly term: Term }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }

/** All terms must hold. */
export type Conjunction = readonly Term[]

/** Alternatives that one condition may multiply out to. */
const CONJUNCTIONS_MAX = 100

/**
 * Checks the WHERE of a query and multiplies it out: the row is granted when all terms of one of the conjunctions hold.
 * Undefined, and reported, when something in it is refused.
 */
export function lowerWhere(at: OperandScope, where: SqlExpression | undefined): readonly Conjunction[] | undefined {
  if (where === undefined) return [[]]
  const condition = lowerCondition(at, where, false)
  if (condition === undefined) return undefined
  const conjunctions = multiplyOut(condition)
  if (conjunctions !== undefined) return conjunctions
  return at.context.refuse(
    where,
    `The condition has more than ${CONJUNCTIONS_MAX} alternatives: split it into several queries`,
  )
}

function lowerCondition(at: OperandScope, sql: SqlExpression, negated: boolean): Condition | undefined {
  if (sql.kind === 'unary' && sql.operator === 'not') return lowerCondition(at, sql.operand, !negated)
  if (sql.kind === 'binary') {
    if (sql.operator === 'and' || sql.operator === 'or') return lowerLogic(at, sql, negated)
    if (sql.operator === '=') return lowerEquality(at, sql, negated)
    if (sql.operator === '!=' && at.context.edition === 3) return lowerEquality(at, sql, !negated)
  }
  if (sql.kind === 'in' && sql.right.kind === 'subquery') return lowerSubquery(at, sql, negated !== sql.negated)
  const operand = lowerOperand(at, sql)
  if (operand === undefined) return undefined
  if (operand.owner.kind === 'parameter') {
    return at.context.refuse(
      sql,
      'A bucket parameter alone is not supported as a condition: write column = bucket.name',
    )
  }
  return test(operand.owner, operand.expression, sql, negated)
}

function lowerLogic(
  at: OperandScope,
  sql: SqlExpression & { kind: 'binary' },
  negated: boolean,
): Condition | undefined {
  const left = lowerCondition(at, sql.left, negated)
  const right = lowerCondition(at, sql.right, negated)
  if (left === undefined || right === undefined) return undefined
  // NOT (a AND b) is (NOT a) OR (NOT b), and the other way round.
  const kind = (sql.operator === 'and') !== negated ? 'and' : 'or'
  const parts = [left, right].flatMap((part) => (part.kind === kind ? part.parts : [part]))
  const merged = mergeTests(kind, parts)
  const [only] = merged
  return merged.length === 1 && only !== undefined ? only : { kind, parts: merged }
}

/** Tests of one owner become one test, so that `a OR b` on one row is a filter and not two buckets. */
function mergeTests(kind: 'and' | 'or', parts: readonly Condition[]): readonly Condition[] {
  const merged: Condition[] = []
  for (const part of parts) {
    const index = merged.findIndex((other) => ownerOfBoth(other, part) !== undefined)
    const other = merged[index]
    const owner = other === undefined ? undefined : ownerOfBoth(other, part)
    if (owner === undefined || other?.kind !== 'term' || part.kind !== 'term') {
      merged.push(part)
    } else if (other.term.kind === 'expression' && part.term.kind === 'expression') {
      const expression = joinLogic(kind, [other.term.expression, part.term.expression])
      const span = { start: other.term.start, end: part.term.end }
      merged[index] = { kind: 'term', term: { kind: 'expression', owner, expression, ...span } }
    }
  }
  return merged
}

function ownerOfBoth(a: Condition, b: Condition): Owner | undefined {
  if (a.kind !== 'term' || b.kind !== 'term') return undefined
  if (a.term.kind !== 'expression' || b.term.kind !== 'expression') return undefined
  return commonOwner(a.term.owner, b.term.owner)
}

function lowerEquality(
  at: OperandScope,
  sql: SqlExpression & { kind: 'binary' },
  negated: boolean,
): Condition | undefined {
  const left = lowerOperand(at, sql.left)
  const right = lowerOperand(at, sql.right)
  if (left === undefined || right === undefined) return undefined
  return equate(at, left, right, { start: sql.start, end: sql.end, negated })
}

function equate(
  at: OperandScope,
  left: Operand,
  right: Operand,
  span: Span & { readonly negated: boolean },
): Condition | undefined {
  const parameter = [left, right].find(({ owner }) => owner.kind === 'parameter')
  const other = parameter === left ? right : left
  if (parameter !== undefined && other.owner.kind !== 'table') {
    return at.context.refuse(
      parameter,
      'A bucket parameter can only be compared with a column, as in column = bucket.name',
    )
  }
  const owner = parameter === undefined ? commonOwner(left.owner, right.owner) : undefined
  if (owner !== undefined) return test(owner, compare('=', left.expression, right.expression), span, span.negated)
  if (span.negated) {
    return at.context.refuse(
      span,
      'A column and a value of another table or of the request can only be compared with =, without NOT',
    )
  }
  referTextComparison(at, left, right)
  return { kind: 'term', term: { kind: 'equal', left, right, start: span.start, end: span.end } }
}

/** Notes a column that is compared with the user's id, which is always text, for the check against real tables. */
function referTextComparison(at: OperandScope, left: Operand, right: Operand): void {
  for (const [column, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const isUserId =
      other.expression.kind === 'request' &&
      other.expression.source === 'claims' &&
      other.expression.path.join() === 'sub'
    if (isUserId && column.owner.kind === 'table' && column.expression.kind === 'column') {
      const table = column.owner.table
      at.context.refer(column, { kind: 'text-comparison', table, column: column.expression.name, with: 'the user id' })
    }
  }
}

/** `x IN (SELECT e FROM t WHERE w)` asks for a row of t with x = e and w. */
function lowerSubquery(at: OperandScope, sql: SqlExpression & { kind: 'in' }, negated: boolean): Condition | undefined {
  const { context } = at
  if (sql.right.kind !== 'subquery') return undefined
  const { select } = sql.right
  if (negated)
    return context.refuse(sql, 'NOT IN (SELECT …) is not supported: rows cannot be granted by what does not exist')
  if (context.dialect !== 'stream') return context.refuse(sql, 'A subquery can only be used in streams of edition 3')
  const left = lowerOperand(at, sql.operand)
  const source = readTable(context, select.from)
  if (source === undefined) {
    return select.from.length === 0 ? context.refuse(select, 'A subquery needs FROM and a table') : undefined
  }
  const inner = { context, scope: { source, outer: at.scope } }
  const [item, second] = select.items
  if (item?.kind !== 'expression' || second !== undefined) {
    return context.refuse(second ?? item ?? select, 'A subquery must select exactly one column, by name')
  }
  const right = lowerOperand(inner, item.expression)
  const where = select.where === undefined ? [] : [lowerCondition(inner, select.where, false)]
  if (left === undefined || right === undefined) return undefined
  const join = equate(at, left, right, { start: sql.start, end: sql.end, negated: false })
  const parts = [join, ...where].filter((part) => part !== undefined)
  return parts.length < where.length + 1 ? undefined : { kind: 'and', parts }
}

function test(owner: Owner, expression: Expression, span: Span, negated: boolean): Condition {
  const tested = negated ? negate(expression) : expression
  return { kind: 'term', term: { kind: 'expression', owner, expression: tested, start: span.start, end: span.end } }
}

/** Undefined when there are too many. */
function multiplyOut(condition: Condition): readonly Conjunction[] | undefined {
  if (condition.kind === 'term') return [[condition.term]]
  let product: readonly Conjunction[] = condition.kind === 'and' ? [[]] : []
  for (const part of condition.parts) {
    const alternatives = multiplyOut(part)
    if (alternatives === undefined) return undefined
    product =
      condition.kind === 'or'
        ? [...product, ...alternatives]
        : product.flatMap((terms) => alternatives.map((more) => [...terms, ...more]))
    if (product.length > CONJUNCTIONS_MAX) return undefined
  }
  return product
}
