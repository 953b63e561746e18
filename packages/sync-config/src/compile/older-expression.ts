import type { Span } from '../file/diagnostics.ts'
import { CAST_TYPES, isScalarFunction, type Operator, SCALAR_FUNCTIONS } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { InRight, SqlExpression } from '../sql/tree.ts'
import { describeUnknownFunction, describeUnknownType } from '../sql/unknown-name.ts'
import { EvaluationError } from '../values/value.ts'
import { foldConstant } from './older-constant.ts'
import { readMember, readOlderRequest } from './older-request.ts'
import { checkQualifier, type OlderScope, onlyInEdition3, placeName } from './older-scope.ts'
import { lowerLiteral, NULL, TRUE } from './literal.ts'
import { negate, operate } from './logic.ts'

/** What an expression of editions 1 and 2 depends on: nothing, the row, or the request. */
export type OlderKind = 'static' | 'row' | 'request'

/** An expression that depends on one thing. */
export type Scalar = Span & { readonly kind: OlderKind; readonly expression: Expression }

/**
 * Checks an expression by the rules of editions 1 and 2. Undefined, and reported, when it depends on both row and
 * request, names a bucket parameter, or says what only edition 3 knows.
 */
export function lowerScalar(scope: OlderScope, sql: SqlExpression): Scalar | undefined {
  const { context } = scope
  switch (sql.kind) {
    case 'null':
    case 'boolean':
    case 'integer':
    case 'real':
    case 'text':
      return { ...spanOf(sql), kind: 'static', expression: lowerLiteral(sql) }
    case 'column':
      return lowerColumn(scope, sql)
    case 'call':
      return lowerCall(scope, sql)
    case 'unary':
      return lowerUnary(scope, sql)
    case 'binary':
      return lowerBinary(scope, sql)
    case 'cast':
      return lowerCast(scope, sql)
    case 'is':
      return lowerIs(scope, sql)
    case 'in':
      return lowerIn(scope, sql)
    case 'like':
      throw new Error('Invariant: LIKE is read in edition 3 only')
    case 'overlap':
      return context.refuse(sql, overlapFault(scope))
    case 'between': {
      const advice = sql.negated ? 'x < low OR x > high' : 'x >= low AND x <= high'
      return context.refuse(sql, onlyInEdition3(scope, 'BETWEEN', `write ${advice}`))
    }
    case 'case':
      return context.refuse(sql, onlyInEdition3(scope, 'CASE', 'write iif(condition, value, otherwise)'))
  }
}

/** The parameter of the bucket that an expression of a data query is; undefined when it is something else. */
export function bucketParameter(scope: OlderScope, sql: SqlExpression): string | undefined {
  if (scope.place !== 'data-query' || sql.kind !== 'column' || sql.qualifier?.text !== 'bucket') return undefined
  return sql.name.text
}

export function commonKind(a: OlderKind, b: OlderKind): OlderKind | undefined {
  if (a === b || b === 'static') return a
  return a === 'static' ? b : undefined
}

/** What stands right of IN when it is an array in one value; undefined, and reported, when it is something else. */
export function arrayOfIn(scope: OlderScope, sql: SqlExpression, right: InRight): SqlExpression | undefined {
  const { context } = scope
  switch (right.kind) {
    case 'expression':
      return right.expression
    case 'values': {
      const [only, second] = right.items
      // SQL reads a value in parentheses as that value.
      if (only !== undefined && second === undefined) return only
      return context.refuse(second ?? sql, `A list of values does not exist here: write ${JSON_ARRAY}`)
    }
    case 'array':
      return context.refuse(sql, onlyInEdition3(scope, 'IN with a list of values', `write ${JSON_ARRAY}`))
    case 'subquery': {
      const where =
        scope.place === 'stream'
          ? 'can only stand by itself as a condition, below AND, OR and NOT'
          : scope.place === 'subquery'
            ? 'cannot stand in another subquery before edition 3'
            : `does not exist in ${placeName(scope.place)}: make a parameter query of it`
      return context.refuse(right.select, `IN (SELECT …) ${where}`)
    }
  }
}

const JSON_ARRAY = `the array as JSON text, as in column IN '["a", "b"]'`

function overlapFault({ place }: OlderScope): string {
  if (place === 'stream') return '&& can only stand by itself as a condition, below AND, OR and NOT'
  return `&& does not exist in ${placeName(place)}: write one value IN the array`
}

/** Makes one expression of parts that depend on the same thing, or on nothing; of constants alone their value. */
export function combine(
  scope: OlderScope,
  sql: SqlExpression,
  parts: readonly (Scalar | undefined)[],
  build: (expressions: readonly Expression[]) => Expression,
): Scalar | undefined {
  const known = parts.filter((part) => part !== undefined)
  if (known.length < parts.length) return undefined
  let kind: OlderKind = 'static'
  for (const part of known) {
    const common = commonKind(kind, part.kind)
    if (common === undefined) return scope.context.refuse(sql, MIXED)
    kind = common
  }
  const expression = build(known.map((part) => part.expression))
  if (kind !== 'static') return { ...spanOf(sql), kind, expression }
  try {
    return { ...spanOf(sql), kind, expression: foldConstant(expression, scope.options) }
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error
    return scope.context.refuse(sql, `This has no value for any row: ${error.message}`)
  }
}

const MIXED =
  'Columns and values of the request may only meet in column = value, column IN array and value IN column, ' +
  'joined with AND and OR'

export function spanOf({ start, end }: Span): Span {
  return { start, end }
}

function lowerColumn(scope: OlderScope, sql: SqlExpression & { kind: 'column' }): Scalar | undefined {
  const { context, rows } = scope
  const parameter = bucketParameter(scope, sql)
  if (parameter !== undefined) {
    const advice = `column = bucket.${parameter}, bucket.${parameter} IN column, or bucket.${parameter} alone as a condition`
    return context.refuse(sql, `A bucket parameter cannot be used here: expected ${advice}`)
  }
  const request = readOlderRequest(scope, sql)
  if (request === 'refused') return undefined
  if (request !== undefined) return { ...spanOf(sql), kind: 'request', expression: request }
  if (!checkQualifier(scope, sql) || rows === undefined) return undefined
  const name = sql.name.text
  if (rows.kind === 'each') {
    const part = name === 'key' || name === 'value' ? name : undefined
    if (part === undefined) {
      return context.refuse(sql.name, `json_each() has no column "${name}": expected key or value`)
    }
    return { ...spanOf(sql), kind: 'request', expression: { kind: 'element', expansion: 0, part } }
  }
  if (rows.table.isWildcard && name === '_table_suffix') {
    return { ...spanOf(sql), kind: 'row', expression: { kind: 'table', part: 'suffix' } }
  }
  context.refer(sql.name, { kind: 'column', table: rows.table, column: name })
  return { ...spanOf(sql), kind: 'row', expression: { kind: 'column', name } }
}

function lowerCall(scope: OlderScope, sql: SqlExpression & { kind: 'call' }): Scalar | undefined {
  const { context } = scope
  const request = readOlderRequest(scope, sql)
  if (request === 'refused') return undefined
  if (request !== undefined) return { ...spanOf(sql), kind: 'request', expression: request }
  const name = sql.name.text
  if (sql.qualifier !== undefined || !isScalarFunction(name)) return refuseCall(scope, sql)
  const args = sql.args.map((arg) => lowerScalar(scope, arg))
  const { min, max } = SCALAR_FUNCTIONS[name]
  if (args.length > max) {
    context.warn(sql, `${name}() takes ${max} argument${max === 1 ? '' : 's'}: the others have no effect`)
  }
  // Before edition 3 nobody counts arguments: those that are missing are NULL.
  const padding = Array.from({ length: Math.max(0, min - args.length) }, () => NULL)
  return combine(scope, sql, args, (lowered) => {
    return { kind: 'call', name, args: [...lowered.slice(0, max), ...padding] }
  })
}

function refuseCall({ context, place }: OlderScope, sql: SqlExpression & { kind: 'call' }): undefined {
  const name = [sql.qualifier, sql.name].flatMap((part) => part?.text ?? []).join('.')
  if (name === 'json_each') {
    const advice = place === 'parameter-query' ? ': write it after FROM' : ''
    return context.refuse(sql, `json_each() gives rows, not a value${advice}`)
  }
  return context.refuse(sql, describeUnknownFunction(name))
}

function lowerUnary(scope: OlderScope, sql: SqlExpression & { kind: 'unary' }): Scalar | undefined {
  if (sql.operator === '-') {
    return scope.context.refuse(sql, 'A minus can only stand before a number: write 0 - value')
  }
  if (sql.operator === '+')
    return scope.context.refuse(sql, onlyInEdition3(scope, 'A plus before a value', 'leave it out'))
  const operand = lowerScalar(scope, sql.operand)
  return combine(scope, sql, [operand], ([inner = TRUE]) => negate(inner))
}

function lowerBinary(scope: OlderScope, sql: SqlExpression & { kind: 'binary' }): Scalar | undefined {
  const { operator } = sql
  if (operator === '->' || operator === '->>') return lowerExtraction(scope, { ...sql, operator })
  if (operator === '%' || operator === '&' || operator === '|' || operator === '<<' || operator === '>>') {
    return scope.context.refuse(sql, onlyInEdition3(scope, `The operator ${operator}`, 'keep the result in a column'))
  }
  const parts = [lowerScalar(scope, sql.left), lowerScalar(scope, sql.right)]
  return combine(scope, sql, parts, ([left = NULL, right = NULL]) => operate(operator, left, right))
}

type Extraction = SqlExpression & { kind: 'binary'; operator: Operator & ('->' | '->>') }

function lowerExtraction(scope: OlderScope, sql: Extraction): Scalar | undefined {
  const { operator, right } = sql
  if (right.kind !== 'text') {
    const advice = "json_extract(json, '$.0')"
    const fault =
      right.kind === 'integer'
        ? onlyInEdition3(scope, `A number behind ${operator}`, `write ${advice}`)
        : `${operator} takes the name of a member in single quotes: for any other write ${advice}`
    return scope.context.refuse(right, fault)
  }
  const object = lowerScalar(scope, sql.left)
  if (object?.kind === 'request' && operator === '->>') {
    const expression = readMember(scope, object.expression, right.value)
    if (expression !== undefined) return { ...spanOf(sql), kind: 'request', expression }
  }
  const key: Expression = { kind: 'text', value: right.value }
  return combine(scope, sql, [object], ([inner = NULL]) => ({ kind: 'call', name: operator, args: [inner, key] }))
}

function lowerCast(scope: OlderScope, sql: SqlExpression & { kind: 'cast' }): Scalar | undefined {
  const type = CAST_TYPES.find((known) => known === sql.type.text)
  if (type === undefined) return scope.context.refuse(sql.type, describeUnknownType(sql.type.text))
  const operand = lowerScalar(scope, sql.operand)
  return combine(scope, sql, [operand], (args) => ({ kind: 'call', name: `cast_${type}`, args }))
}

function lowerIs(scope: OlderScope, sql: SqlExpression & { kind: 'is' }): Scalar | undefined {
  if (sql.what !== 'null') {
    const written = `IS ${sql.negated ? 'NOT ' : ''}${sql.what.toUpperCase()}`
    const advice = `x ${sql.negated ? '!=' : '='} ${sql.what === 'true' ? 1 : 0}`
    return scope.context.refuse(sql, onlyInEdition3(scope, written, `write ${advice}`))
  }
  const operand = lowerScalar(scope, sql.operand)
  return combine(scope, sql, [operand], ([inner = NULL]) => {
    const test: Expression = { kind: 'is-null', operand: inner }
    return sql.negated ? negate(test) : test
  })
}

function lowerIn(scope: OlderScope, sql: SqlExpression & { kind: 'in' }): Scalar | undefined {
  const array = arrayOfIn(scope, sql, sql.right)
  if (array === undefined) return undefined
  return plainIn(scope, sql, lowerScalar(scope, sql.operand), lowerScalar(scope, array))
}

/** `x IN array` where both depend on the same thing: a plain condition. */
export function plainIn(
  scope: OlderScope,
  sql: SqlExpression & { kind: 'in' },
  operand: Scalar | undefined,
  array: Scalar | undefined,
): Scalar | undefined {
  if (sql.negated && scope.place !== 'stream' && scope.place !== 'subquery') {
    return scope.context.refuse(sql, `NOT IN does not exist in ${placeName(scope.place)}: write NOT (x IN array)`)
  }
  warnOfArray(scope, array)
  return combine(scope, sql, [operand, array], (args) => {
    const test: Expression = { kind: 'call', name: 'in_json', args }
    return sql.negated ? negate(test) : test
  })
}

/** Right of IN stands JSON; people write a value, or a list of them. */
export function warnOfArray({ context }: OlderScope, array: Scalar | undefined): void {
  if (array?.kind !== 'static' || array.expression.kind !== 'text') return
  if (array.expression.value.trimStart().startsWith('[')) return
  context.warn(array, `Right of IN stands ${JSON_ARRAY.replace('the', 'an')}: with this text no row ever passes`)
}
