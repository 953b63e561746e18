import { OR_EXTENSIONS } from '../sql/refusals.ts'
import type { InRight, Select, SqlExpression } from '../sql/tree.ts'
import type { TablePattern } from '../types.ts'
import { absenceOf, canBeAbsent } from './absence.ts'
import { addEach, checkNoLeftJoin, openCte, openFrom, warnOfDistinct } from './from.ts'
import { compare } from './logic.ts'
import { arrayOf, commonOwner, isConstantEach, lowerOperand, warnOfLiteral } from './operand.ts'
import type { Site } from './query-context.ts'
import type { Cte, QueryScope } from './query-scope.ts'
import { elementOf, type Operand } from './scope.ts'
import { type Condition, equalityOf, joinConditions, testOf } from './terms.ts'

/**
 * Checks a condition of a query of edition 3, with NOT pushed down to its terms and subqueries and arrays turned into
 * sources of the query. Undefined, and reported, when something in it is refused.
 */
export function lowerCondition(at: QueryScope, sql: SqlExpression, negated = false): Condition | undefined {
  if (sql.kind === 'unary' && sql.operator === 'not') return lowerCondition(at, sql.operand, !negated)
  if (sql.kind === 'binary') {
    if (sql.operator === 'and' || sql.operator === 'or') return lowerLogic(at, sql, negated)
    if (sql.operator === '=') return lowerEquality(at, sql, negated)
    if (sql.operator === '!=') return lowerEquality(at, sql, !negated)
  }
  if (sql.kind === 'overlap') return lowerOverlap(at, sql, negated)
  if (sql.kind === 'in' && sql.right.kind !== 'array') return lowerIn(at, sql, negated !== sql.negated)
  const operand = lowerOperand(at, sql)
  return operand === undefined ? undefined : testOf(siteOf(at, sql), operand.owner, operand.expression, negated)
}

function siteOf({ context }: QueryScope, { start, end }: SqlExpression): Site {
  return { context, start, end }
}

type Binary = SqlExpression & { kind: 'binary' }

function lowerLogic(at: QueryScope, sql: Binary, negated: boolean): Condition | undefined {
  const conditions = chainOf(sql).map((side) => lowerCondition(at, side, negated))
  const lowered = conditions.filter((condition) => condition !== undefined)
  if (lowered.length < conditions.length) return undefined
  // NOT (a AND b) is (NOT a) OR (NOT b), and the other way round.
  return joinConditions((sql.operator === 'and') !== negated ? 'and' : 'or', lowered)
}

/** `a AND b AND c` as its three sides: joined two by two, a long chain would be sorted again and again. */
function chainOf(sql: Binary): readonly SqlExpression[] {
  const sides: SqlExpression[] = [sql.right]
  let left = sql.left
  for (; left.kind === 'binary' && left.operator === sql.operator; left = left.left) sides.push(left.right)
  return [left, ...sides.toReversed()]
}

function lowerEquality(at: QueryScope, sql: Binary, negated: boolean): Condition | undefined {
  const left = lowerOperand(at, sql.left)
  const right = lowerOperand(at, sql.right)
  if (left === undefined || right === undefined) return undefined
  return equate(siteOf(at, sql), left, right, negated)
}

function equate(site: Site, left: Operand, right: Operand, negated: boolean): Condition | undefined {
  referComparison(site, left, right)
  const owner = commonOwner(left.owner, right.owner)
  if (owner !== undefined && (negated || !isOpen(left, right))) {
    return testOf(site, owner, compare('=', left.expression, right.expression), negated)
  }
  if (negated) {
    return site.context.refuse(
      site,
      'A column and a value of another table or of the request can only be compared with =, without NOT',
    )
  }
  return equalityOf(site, left, right)
}

/** Where the elements of a constant array are read depends on everything that they are compared with. */
function isOpen(left: Operand, right: Operand): boolean {
  if (left.owner.kind === 'nothing' || right.owner.kind === 'nothing') return false
  return left.owner !== right.owner && (isConstantEach(left.owner) || isConstantEach(right.owner))
}

/** Notes what a column is compared with, for the check against real tables: text never equals a number. */
function referComparison({ context }: Site, left: Operand, right: Operand): void {
  for (const [side, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const column = columnOf(side)
    if (column === undefined) continue
    const { expression } = other
    const place = { start: side.start, end: side.end }
    switch (expression.kind) {
      case 'text':
        context.refer(place, { kind: 'text-comparison', ...column, with: `'${expression.value}'` })
        break
      case 'request':
        if (expression.source !== 'claims' || expression.path.join() !== 'sub') break
        context.refer(place, { kind: 'text-comparison', ...column, with: 'the user id' })
        break
      case 'integer':
        context.refer(place, { kind: 'number-comparison', ...column, with: expression.digits })
        break
      case 'column': {
        const second = columnOf(other)
        if (second !== undefined && side === left) {
          context.refer(place, { kind: 'column-comparison', ...column, with: second })
        }
      }
    }
  }
}

function columnOf({
  owner,
  expression,
}: Operand): { readonly table: TablePattern; readonly column: string } | undefined {
  if (owner.kind !== 'table' || expression.kind !== 'column') return undefined
  return { table: owner.table, column: expression.name }
}

/** `x IN …` asks for a row, or an element, that equals x. */
function lowerIn(at: QueryScope, sql: SqlExpression & { kind: 'in' }, negated: boolean): Condition | undefined {
  const { context } = at
  const { right } = sql
  if (negated && !isRows(at, right)) {
    const operand = lowerOperand(at, { ...sql, negated: true })
    return operand && testOf(siteOf(at, sql), operand.owner, operand.expression, false)
  }
  if (negated && !context.extensions) return refuseAbsence(at, sql)
  const around = new Set(at.sources.all)
  const left = lowerOperand(at, sql.operand)
  const values = lowerValues(at, sql, right)
  if (left === undefined || values === undefined) return undefined
  const site = siteOf(at, sql)
  if (negated && !canBeAbsent(context, left)) return undefined
  const found = meet(site, { operand: left, conditions: [] }, values)
  if (found === undefined || !negated) return found
  const absent = absenceOf(site, found, { sources: at.sources, around })
  // NULL is neither in nor out.
  const isValue = testOf(site, left.owner, { kind: 'is-null', operand: left.expression }, true)
  return absent && joinConditions('and', [isValue, absent])
}

function refuseAbsence({ context }: QueryScope, sql: SqlExpression & { kind: 'in' }): undefined {
  const advice = 'rows cannot be granted by what does not exist; keep a column that says it'
  const hint = `for a value of the request, ${OR_EXTENSIONS}`
  return context.refuse(sql, `NOT IN (SELECT …) does not exist in sync configs: ${advice}; ${hint}`)
}

/** `a && b` asks for a value that both have. */
function lowerOverlap(
  at: QueryScope,
  sql: SqlExpression & { kind: 'overlap' },
  negated: boolean,
): Condition | undefined {
  if (negated) {
    const advice = 'rows cannot be granted by what does not exist'
    return at.context.refuse(sql, `NOT over && does not exist in sync configs: ${advice}`)
  }
  const left = lowerValues(at, sql, sql.left)
  const right = lowerValues(at, sql, sql.right)
  return left === undefined || right === undefined ? undefined : meet(siteOf(at, sql), left, right)
}

/** One of several values, and the conditions under which it is one of them. */
type Values = { readonly operand: Operand; readonly conditions: readonly Condition[] }

function meet(site: Site, left: Values, right: Values): Condition | undefined {
  const equal = equate(site, left.operand, right.operand, false)
  return equal && joinConditions('and', [equal, ...left.conditions, ...right.conditions])
}

/** Does it stand for rows of a query? Otherwise it is an array in one value. */
function isRows(at: QueryScope, right: InRight): boolean {
  return right.kind === 'subquery' || cteOf(at, right) !== undefined
}

/** `IN cte`, or `IN (cte)`, which SQL reads as the same. */
function cteOf({ ctes }: QueryScope, right: InRight): Cte | undefined {
  const named = right.kind === 'values' && right.items.length === 1 ? right.items[0] : undefined
  const expression = right.kind === 'expression' ? right.expression : named
  if (expression?.kind !== 'column' || expression.qualifier !== undefined) return undefined
  return ctes.find(expression.name.text)
}

function lowerValues(at: QueryScope, sql: SqlExpression, right: InRight): Values | undefined {
  if (right.kind === 'subquery') return lowerSubquery(at, right.select)
  const cte = cteOf(at, right)
  if (cte !== undefined) return lowerCte(at, sql, cte)
  if (right.kind === 'array') {
    return at.context.refuse(sql, "ARRAY[…] can only stand after IN: write the array as JSON text, '[…]'")
  }
  const array = arrayOf(at.context, right)
  const argument = array && lowerOperand(at, array)
  if (array === undefined || argument === undefined) return undefined
  warnOfLiteral(at.context, array)
  const each = addEach(at, argument, { name: at.context.textOf(array), start: array.start, end: array.end })
  return each && { operand: { ...elementOf(each, 'value'), start: array.start, end: array.end }, conditions: [] }
}

function lowerCte(at: QueryScope, sql: SqlExpression, cte: Cte): Values | undefined {
  const opened = openCte(at, cte, cte.name, lowerCondition)
  if (opened?.source.kind !== 'derived') return undefined
  const [operand, second] = opened.source.columns.values()
  if (operand === undefined || second !== undefined) {
    const names = [...opened.source.columns.keys()].join(', ')
    const advice = `write IN (SELECT column FROM ${cte.name})`
    return at.context.refuse(sql, `"${cte.name}" has several columns (${names}): ${advice}`)
  }
  return { operand: { ...operand, start: sql.start, end: sql.end }, conditions: opened.conditions }
}

/** It sees the query around it. */
function lowerSubquery(at: QueryScope, select: Select): Values | undefined {
  const { context } = at
  warnOfDistinct(at, select)
  if (select.from.length === 0) return context.refuse(select, 'A subquery needs FROM and a table')
  const from = openFrom(at, select.from, lowerCondition)
  const [item, second] = select.items
  if (item?.kind !== 'expression' || second !== undefined) {
    return context.refuse(second ?? item ?? select, 'A subquery must select exactly one column, by name')
  }
  if (from === undefined || !checkNoLeftJoin(at, from)) return undefined
  const inside = { ...at, scope: from.scope }
  const operand = lowerOperand(inside, item.expression)
  const where = select.where === undefined ? [] : [lowerCondition(inside, select.where)]
  const conditions = [...from.conditions, ...where].filter((condition) => condition !== undefined)
  if (operand === undefined || conditions.length < from.conditions.length + where.length) return undefined
  return { operand, conditions }
}
