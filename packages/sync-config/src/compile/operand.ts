import type { Span } from '../file/diagnostics.ts'
import type { Comparison, Expression } from '../plan.ts'
import type { SqlExpression } from '../sql/tree.ts'
import type { QueryContext } from './query-context.ts'
import { readRequestData } from './request-data.ts'
import { didYouMean } from '../file/suggest.ts'
import { CAST_TYPES, isScalarFunction, SCALAR_FUNCTIONS } from '../functions/signatures.ts'
import { findColumn, type Scope, type TableSource } from './scope.ts'

/** What an expression depends on: the rows of one source, the request, a parameter of the bucket, or nothing. */
export type Owner =
  | TableSource
  | { readonly kind: 'request' }
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'nothing' }

/** An expression with one owner. That of a bucket parameter has nothing to evaluate and is NULL. */
export type Operand = Span & { readonly owner: Owner; readonly expression: Expression }

export const NOTHING: Owner = { kind: 'nothing' }
const REQUEST: Owner = { kind: 'request' }

const FALSE: Expression = { kind: 'integer', digits: '0' }
const TRUE: Expression = { kind: 'integer', digits: '1' }

export type OperandScope = { readonly context: QueryContext; readonly scope: Scope | undefined }

/** Checks an expression that must have one owner; undefined, and reported, when it has several or is not supported. */
export function lowerOperand(at: OperandScope, sql: SqlExpression): Operand | undefined {
  const operand = (owner: Owner, expression: Expression): Operand => ({
    owner,
    expression,
    start: sql.start,
    end: sql.end,
  })
  switch (sql.kind) {
    case 'null':
      return operand(NOTHING, { kind: 'null' })
    case 'boolean':
      return operand(NOTHING, sql.value ? TRUE : FALSE)
    case 'integer':
      return operand(NOTHING, { kind: 'integer', digits: sql.digits })
    case 'real':
      return operand(NOTHING, { kind: 'real', value: sql.value })
    case 'text':
      return operand(NOTHING, { kind: 'text', value: sql.value })
    case 'column':
    case 'call':
      return lowerReference(at, sql)
    case 'unary':
      return lowerUnary(at, sql)
    case 'binary':
      return lowerBinary(at, sql)
    case 'is':
      return lowerIs(at, sql)
    case 'between':
      return lowerBetween(at, sql)
    case 'in':
      return lowerInList(at, sql)
    case 'overlap':
      return at.context.refuse(sql, '&& can only stand by itself as a condition, below AND and OR')
    case 'cast':
      return lowerCast(at, sql)
    case 'case':
      return lowerCase(at, sql)
  }
}

/** A column, a bucket parameter, or data of the request. */
function lowerReference(at: OperandScope, sql: SqlExpression & { kind: 'column' | 'call' }): Operand | undefined {
  const { context } = at
  const span = { start: sql.start, end: sql.end }
  const request = readRequestData(context, sql)
  if (request === 'refused') return undefined
  if (request !== undefined) return { owner: REQUEST, expression: request, ...span }
  if (sql.kind === 'call') return lowerCall(at, sql)
  if (context.dialect === 'data-query' && sql.qualifier?.text === 'bucket') {
    return { owner: { kind: 'parameter', name: sql.name.text }, expression: { kind: 'null' }, ...span }
  }
  const source = findColumn(context, at.scope, sql)
  return source === undefined
    ? undefined
    : { owner: source, expression: { kind: 'column', name: sql.name.text }, ...span }
}

const AGGREGATES = new Set(['count', 'sum', 'avg', 'min', 'max', 'group_concat', 'string_agg', 'array_agg', 'json_agg'])

/** A function of values: all of its arguments have one owner. */
function lowerCall(at: OperandScope, sql: SqlExpression & { kind: 'call' }): Operand | undefined {
  const { context } = at
  const name = sql.name.text
  if (sql.qualifier !== undefined || !isScalarFunction(name)) return refuseCall(context, sql)
  const { min, max } = SCALAR_FUNCTIONS[name]
  if (context.edition === 3 && (sql.args.length < min || sql.args.length > max)) {
    const wanted = min === max ? String(min) : `${min} to ${max}`
    return context.refuse(sql, `${name}() takes ${wanted} argument${wanted === '1' ? '' : 's'}, got ${sql.args.length}`)
  }
  const args = sql.args.map((arg) => lowerOperand(at, arg))
  return combine(context, sql, args, (lowered) => ({ kind: 'call', name, args: lowered }))
}

function refuseCall(context: QueryContext, sql: SqlExpression & { kind: 'call' }): undefined {
  const name = [sql.qualifier, sql.name].flatMap((part) => part?.text ?? []).join('.')
  if (sql.qualifier === undefined && AGGREGATES.has(name)) {
    return context.refuse(sql, `Aggregates like ${name}() do not exist in sync configs`)
  }
  return context.refuse(sql, `Unknown function ${name}()${didYouMean(name, Object.keys(SCALAR_FUNCTIONS))}`)
}

function lowerCast(at: OperandScope, sql: SqlExpression & { kind: 'cast' }): Operand | undefined {
  const type = CAST_TYPES.find((known) => known === sql.type.text)
  if (type === undefined) {
    return at.context.refuse(sql.type, `Cannot cast to "${sql.type.text}": expected ${CAST_TYPES.join(', ')}`)
  }
  const operand = lowerOperand(at, sql.operand)
  return combine(at.context, sql, [operand], (args) => ({ kind: 'call', name: `cast_${type}`, args }))
}

function lowerCase(at: OperandScope, sql: SqlExpression & { kind: 'case' }): Operand | undefined {
  const parts = [sql.operand, ...sql.branches.flatMap(({ when, result }) => [when, result]), sql.otherwise]
  const operands = parts.flatMap((part) => (part === undefined ? [] : [lowerOperand(at, part)]))
  return combine(at.context, sql, operands, (lowered) => {
    const rest = [...lowered]
    const subject = sql.operand === undefined ? undefined : rest.shift()
    const branches = sql.branches.map(() => {
      const when = rest.shift() ?? TRUE
      return { when: subject === undefined ? when : compare('=', subject, when), result: rest.shift() ?? TRUE }
    })
    return { kind: 'case', branches, otherwise: rest.shift() ?? { kind: 'null' } }
  })
}

function lowerUnary(at: OperandScope, sql: SqlExpression & { kind: 'unary' }): Operand | undefined {
  if (sql.operator === '-') {
    return at.context.refuse(sql, 'A minus can only stand before a number: write 0 - value')
  }
  const operand = lowerOperand(at, sql.operand)
  if (sql.operator === '+') return operand
  return combine(at.context, sql, [operand], ([inner]) => negate(inner ?? TRUE))
}

function lowerBinary(at: OperandScope, sql: SqlExpression & { kind: 'binary' }): Operand | undefined {
  const { context } = at
  if (sql.operator === '->' || sql.operator === '->>') {
    const request = readRequestData(context, sql)
    if (request === 'refused') return undefined
    if (request !== undefined) return { owner: REQUEST, expression: request, start: sql.start, end: sql.end }
  }
  const operands = [lowerOperand(at, sql.left), lowerOperand(at, sql.right)]
  return combine(context, sql, operands, ([left = TRUE, right = TRUE]) => {
    const { operator } = sql
    switch (operator) {
      case 'and':
      case 'or':
        return joinLogic(operator, [left, right])
      case '=':
        return compare('=', left, right)
      case '!=':
        return context.edition < 3 ? compare('!=', left, right) : negate(compare('=', left, right))
      case '<':
      case '<=':
        return compare(operator, left, right)
      case '>':
        return compare('<', right, left)
      case '>=':
        return compare('<=', right, left)
      default:
        return { kind: 'call', name: operator, args: [left, right] }
    }
  })
}

function lowerIs(at: OperandScope, sql: SqlExpression & { kind: 'is' }): Operand | undefined {
  const operand = lowerOperand(at, sql.operand)
  return combine(at.context, sql, [operand], ([inner = TRUE]) => {
    const tests = {
      null: { kind: 'is-null', operand: inner },
      true: compare('=', inner, TRUE),
      false: compare('=', inner, FALSE),
    } as const
    const test = tests[sql.what]
    return sql.negated ? negate(test) : test
  })
}

function lowerBetween(at: OperandScope, sql: SqlExpression & { kind: 'between' }): Operand | undefined {
  const operands = [sql.operand, sql.low, sql.high].map((part) => lowerOperand(at, part))
  return combine(at.context, sql, operands, (args) => {
    const test: Expression = { kind: 'call', name: 'between', args }
    return sql.negated ? negate(test) : test
  })
}

/** `x IN ARRAY[a, b]`: a plain condition on one row, or on the request. */
function lowerInList(at: OperandScope, sql: SqlExpression & { kind: 'in' }): Operand | undefined {
  const { context } = at
  const { right } = sql
  switch (right.kind) {
    case 'array': {
      const operands = [sql.operand, ...right.items].map((part) => lowerOperand(at, part))
      return combine(context, sql, operands, (args) => {
        const test: Expression = { kind: 'call', name: 'in_list', args }
        return sql.negated ? negate(test) : test
      })
    }
    case 'values':
      return context.refuse(sql, 'A list of values is written IN ARRAY[…], not IN (…)')
    case 'subquery':
      return context.refuse(sql, 'IN (SELECT …) can only stand by itself as a condition, below AND and OR')
    case 'expression':
      return context.refuse(
        right.expression,
        'IN with an array is not supported yet: expected IN (SELECT column FROM …)',
      )
  }
}

/** Makes one expression of several; they must have the same owner, or none. */
function combine(
  context: QueryContext,
  sql: SqlExpression,
  operands: readonly (Operand | undefined)[],
  build: (expressions: readonly Expression[]) => Expression,
): Operand | undefined {
  const known = operands.filter((operand) => operand !== undefined)
  if (known.length < operands.length) return undefined
  const parameter = known.find(({ owner }) => owner.kind === 'parameter')
  if (parameter !== undefined) {
    return context.refuse(parameter, 'A bucket parameter can only be compared with =, as in column = bucket.name')
  }
  let owner = NOTHING
  for (const operand of known) {
    const common = commonOwner(owner, operand.owner)
    if (common === undefined) return context.refuse(sql, describeMix(owner, operand.owner))
    owner = common
  }
  return { owner, expression: build(known.map(({ expression }) => expression)), start: sql.start, end: sql.end }
}

/** The owner of both; undefined when they depend on different things. */
export function commonOwner(a: Owner, b: Owner): Owner | undefined {
  if (a === b || b.kind === 'nothing') return a
  if (a.kind === 'nothing') return b
  return a.kind === 'request' && b.kind === 'request' ? a : undefined
}

function describeMix(a: Owner, b: Owner): string {
  const advice = 'they may only meet in column = value, joined with AND'
  if (a.kind === 'table' && b.kind === 'table')
    return `Columns of two tables cannot be mixed in one expression: ${advice}`
  return `Columns and values of the request cannot be mixed in one expression: ${advice}`
}

export function compare(operator: Comparison, left: Expression, right: Expression): Expression {
  const isSwapped = (operator === '=' || operator === '!=') && JSON.stringify(left) > JSON.stringify(right)
  return isSwapped
    ? { kind: 'compare', operator, left: right, right: left }
    : { kind: 'compare', operator, left, right }
}

export function negate(operand: Expression): Expression {
  return operand.kind === 'not' && isTest(operand.operand) ? operand.operand : { kind: 'not', operand }
}

/** Conditions as a set: flattened, without repeats, in one order, so that what was written first does not matter. */
export function joinLogic(kind: 'and' | 'or', operands: readonly Expression[]): Expression {
  const flat = operands.flatMap((operand) => (operand.kind === kind ? operand.operands : [operand]))
  const byText = new Map(flat.map((operand) => [JSON.stringify(operand), operand]))
  const sorted = [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, operand]) => operand)
  const [only] = sorted
  return sorted.length === 1 && only !== undefined && isTest(only) ? only : { kind, operands: sorted }
}

/** Is the value of the expression 1 or 0 already? Then wrapping it in a test of its truth changes nothing. */
function isTest(expression: Expression): boolean {
  return (
    expression.kind === 'not' || expression.kind === 'and' || expression.kind === 'or' || expression.kind === 'is-null'
  )
}
