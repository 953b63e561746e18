import type { Span } from '../file/diagnostics.ts'
import type { Expression } from '../plan.ts'
import type { SqlExpression } from '../sql/tree.ts'
import {
  arrayOfIn,
  bucketParameter,
  combine,
  commonKind,
  lowerScalar,
  plainIn,
  type Scalar,
  spanOf,
  warnOfArray,
} from './older-expression.ts'
import { TRUE } from './literal.ts'
import type { OlderScope } from './older-scope.ts'
import { compare, joinLogic, negate } from './logic.ts'

/** A condition of a bucket definition: a plain one on the row or on the request, or one in which the two meet. */
export type Clause = Scalar | Match

/**
 * "These values of the request equal those of the row": for a row it gives, per alternative that the row passes, what
 * each input has to be. A condition on the row alone has no inputs and one empty alternative.
 *
 *     owner = bucket.who OR bucket.who IN readers
 *
 *     inputs who; alternatives {who: owner}, {who: an element of readers}
 */
export type Match = Span & {
  readonly kind: 'match'
  /** By a text that is equal for equal inputs. */
  readonly inputs: ReadonlyMap<string, Input>
  /** Each has a key for every input but those of kind `truth`. */
  readonly alternatives: readonly Alternative[]
  /** A row may have any number of values for an input. */
  readonly isUnbounded: boolean
}

export type Input = Span & InputForm

type InputForm =
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'value'; readonly expression: Expression }
  /** Any element of an array of the request. */
  | { readonly kind: 'element'; readonly array: Expression }
  /** Must be true, whatever the row. */
  | { readonly kind: 'truth'; readonly expression: Expression }

export type Alternative = { readonly filters: readonly Expression[]; readonly keys: ReadonlyMap<string, RowKey> }

/** What an input must be: a value of the row, or any element of an array of it. */
export type RowKey =
  | { readonly kind: 'value'; readonly expression: Expression }
  | { readonly kind: 'element'; readonly array: Expression }

/** Ways in which one condition may be true that are kept apart. */
const ALTERNATIVES_MAX = 100

/** The WHERE of a query as a match; undefined, and reported, when it is refused. */
export function compileWhere(scope: OlderScope, where: SqlExpression | undefined): Match | undefined {
  if (where === undefined) return { kind: 'match', ...EVERYTHING, start: 0, end: 0 }
  const clause = compileClause(scope, where)
  return clause === undefined ? undefined : toMatch(clause)
}

const EVERYTHING: Omit<Match, 'kind' | keyof Span> = {
  inputs: new Map(),
  alternatives: [{ filters: [], keys: new Map() }],
  isUnbounded: false,
}

function compileClause(scope: OlderScope, sql: SqlExpression): Clause | undefined {
  const parameter = bucketParameter(scope, sql)
  // The row is in the bucket whose parameter is true.
  if (parameter !== undefined) return parameterMatch(sql, parameter, { kind: 'value', expression: TRUE })
  if (sql.kind === 'binary') {
    if (sql.operator === 'and') return compileAnd(scope, sql)
    if (sql.operator === 'or') return compileOr(scope, sql)
    if (sql.operator === '=') return compileEquality(scope, sql)
  }
  if (sql.kind === 'unary' && sql.operator === 'not') return compileNot(scope, sql)
  if (sql.kind === 'in') return compileIn(scope, sql)
  return lowerScalar(scope, sql)
}

type Binary = SqlExpression & { kind: 'binary' }

function compileAnd(scope: OlderScope, sql: Binary): Clause | undefined {
  const left = compileClause(scope, sql.left)
  const right = compileClause(scope, sql.right)
  if (left === undefined || right === undefined) return undefined
  const joined = joinScalars(scope, sql, 'and', left, right)
  if (joined !== undefined) return joined
  const [a, b] = [toMatch(left), toMatch(right)]
  if (a.isUnbounded && b.isUnbounded) {
    return scope.context.refuse(sql, 'Only one side of AND can have an array of the row: each has many values')
  }
  const inputs = new Map([...a.inputs, ...b.inputs])
  if ([...inputs.values()].filter(({ kind }) => kind === 'element').length > 1) {
    return scope.context.refuse(sql, 'Only one array of the request can be used in a query')
  }
  const alternatives = a.alternatives.flatMap((one) => b.alternatives.map((other) => merge(one, other)))
  return limited(scope, {
    ...spanOf(sql),
    kind: 'match',
    inputs,
    alternatives,
    isUnbounded: a.isUnbounded || b.isUnbounded,
  })
}

/** Both must hold: where they say something of the same input, they must say the same. */
function merge(a: Alternative, b: Alternative): Alternative {
  const keys = new Map(a.keys)
  const filters = [...a.filters, ...b.filters]
  for (const [input, key] of b.keys) {
    const known = keys.get(input)
    if (known !== undefined) filters.push(agreement(known, key))
    keys.set(input, known === undefined ? key : preferred(known, key))
  }
  return { filters, keys }
}

/** Which of two that agree is the key: one value rather than an array of them, and always the same one. */
function preferred(a: RowKey, b: RowKey): RowKey {
  if (a.kind !== b.kind) return a.kind === 'value' ? a : b
  return JSON.stringify(a) < JSON.stringify(b) ? a : b
}

function agreement(a: RowKey, b: RowKey): Expression {
  if (a.kind === 'value' && b.kind === 'value') return compare('=', a.expression, b.expression)
  const [value, array] = a.kind === 'value' ? [a, b] : [b, a]
  if (value.kind !== 'value' || array.kind !== 'element')
    throw new Error('Invariant: only one side of AND has elements')
  return { kind: 'call', name: 'in_json', args: [value.expression, array.array] }
}

function compileOr(scope: OlderScope, sql: Binary): Clause | undefined {
  const left = compileClause(scope, sql.left)
  const right = compileClause(scope, sql.right)
  if (left === undefined || right === undefined) return undefined
  const joined = joinScalars(scope, sql, 'or', left, right)
  if (joined !== undefined) return joined
  if (scope.place === 'subquery') {
    return scope.context.refuse(
      sql,
      'A subquery can only have OR between conditions on its own columns before edition 3',
    )
  }
  const [a, b] = [toMatch(left), toMatch(right)]
  if (inputsText(a) !== inputsText(b)) {
    const [what, advice] =
      scope.place === 'data-query'
        ? ['compare the same bucket parameters', 'write two data queries']
        : ['use the same values of the request', 'write two parameter queries']
    return scope.context.refuse(sql, `Both sides of OR must ${what}: ${advice}`)
  }
  const alternatives = [...a.alternatives, ...b.alternatives]
  const isUnbounded = a.isUnbounded || b.isUnbounded
  return limited(scope, { ...spanOf(sql), kind: 'match', inputs: a.inputs, alternatives, isUnbounded })
}

function inputsText({ inputs }: Match): string {
  return [...inputs.keys()].toSorted().join(' ')
}

function limited({ context }: OlderScope, match: Match): Match | undefined {
  if (match.alternatives.length <= ALTERNATIVES_MAX) return match
  return context.refuse(match, `The condition has more than ${ALTERNATIVES_MAX} alternatives: write several queries`)
}

/** One condition of two that are about the same thing; undefined when they are not. */
function joinScalars(
  scope: OlderScope,
  sql: SqlExpression,
  kind: 'and' | 'or',
  left: Clause,
  right: Clause,
): Scalar | undefined {
  if (left.kind === 'match' || right.kind === 'match') return undefined
  if (commonKind(left.kind, right.kind) === undefined) return undefined
  return combine(scope, sql, [left, right], (parts) => joinLogic(kind, parts))
}

function toMatch(clause: Clause): Match {
  if (clause.kind === 'match') return clause
  const { expression } = clause
  if (clause.kind === 'request') {
    const inputs = new Map([inputEntry(clause, { kind: 'truth', expression })])
    return { ...spanOf(clause), ...EVERYTHING, kind: 'match', inputs }
  }
  const filters = JSON.stringify(expression) === JSON.stringify(TRUE) ? [] : [expression]
  return { ...spanOf(clause), ...EVERYTHING, kind: 'match', alternatives: [{ filters, keys: new Map() }] }
}

function inputEntry(span: Span, form: InputForm): readonly [string, Input] {
  return [JSON.stringify(form), { ...form, ...spanOf(span) }]
}

function compileNot(scope: OlderScope, sql: SqlExpression & { kind: 'unary' }): Clause | undefined {
  const inner = compileClause(scope, sql.operand)
  if (inner === undefined) return undefined
  if (inner.kind !== 'match') return combine(scope, sql, [inner], ([operand = TRUE]) => negate(operand))
  return scope.context.refuse(
    sql,
    `NOT cannot stand over a condition in which ${MEETING}: no bucket has "all the others"`,
  )
}

const MEETING = 'a row and the request, or a bucket parameter, meet'

function compileEquality(scope: OlderScope, sql: Binary): Clause | undefined {
  const parameter = bucketParameter(scope, sql.left) ?? bucketParameter(scope, sql.right)
  if (parameter !== undefined) {
    const isLeft = bucketParameter(scope, sql.left) !== undefined
    const other = isLeft ? sql.right : sql.left
    if (bucketParameter(scope, other) !== undefined) {
      return scope.context.refuse(sql, 'A bucket parameter can only be compared with a column, not with another one')
    }
    const value = lowerScalar(scope, other)
    if (value === undefined) return undefined
    return parameterMatch(sql, parameter, { kind: 'value', expression: value.expression })
  }
  const left = lowerScalar(scope, sql.left)
  const right = lowerScalar(scope, sql.right)
  if (left === undefined || right === undefined) return undefined
  if (commonKind(left.kind, right.kind) !== undefined) {
    return combine(scope, sql, [left, right], ([a = TRUE, b = TRUE]) => compare('=', a, b))
  }
  const [row, request] = left.kind === 'row' ? [left, right] : [right, left]
  referUserId(scope, row, request)
  return valueMatch(
    sql,
    { kind: 'value', expression: request.expression },
    { kind: 'value', expression: row.expression },
  )
}

function compileIn(scope: OlderScope, sql: SqlExpression & { kind: 'in' }): Clause | undefined {
  const { context } = scope
  const array = arrayOfIn(scope, sql, sql.right)
  if (array === undefined) return undefined
  const parameter = bucketParameter(scope, sql.operand)
  if (bucketParameter(scope, array) !== undefined) {
    return context.refuse(
      array,
      'A bucket parameter has one value and cannot stand right of IN: write column = bucket.name',
    )
  }
  const operand = parameter === undefined ? lowerScalar(scope, sql.operand) : undefined
  if (parameter === undefined && operand !== undefined) {
    const right = lowerScalar(scope, array)
    if (right === undefined) return undefined
    if (commonKind(operand.kind, right.kind) !== undefined) return plainIn(scope, sql, operand, right)
    if (sql.negated) return context.refuse(sql, `NOT IN cannot be a condition in which ${MEETING}`)
    if (operand.kind === 'request') return elementMatch(sql, { kind: 'value', expression: operand.expression }, right)
    if (scope.place === 'subquery') {
      return context.refuse(sql, 'An array of the request cannot be used in a subquery before edition 3')
    }
    return valueMatch(
      sql,
      { kind: 'element', array: right.expression },
      { kind: 'value', expression: operand.expression },
    )
  }
  const right = lowerScalar(scope, array)
  if (parameter === undefined || right === undefined) return undefined
  if (sql.negated) return context.refuse(sql, `NOT IN cannot be a condition in which ${MEETING}`)
  warnOfArray(scope, right)
  return elementMatch(sql, { kind: 'parameter', name: parameter }, right)
}

function parameterMatch(span: Span, name: string, key: RowKey): Match {
  return valueMatch(span, { kind: 'parameter', name }, key)
}

function elementMatch(span: Span, input: InputForm, array: Scalar): Match {
  return { ...valueMatch(span, input, { kind: 'element', array: array.expression }), isUnbounded: true }
}

function valueMatch(span: Span, form: InputForm, key: RowKey): Match {
  const [text, input] = inputEntry(span, form)
  return {
    ...spanOf(span),
    kind: 'match',
    inputs: new Map([[text, input]]),
    alternatives: [{ filters: [], keys: new Map([[text, key]]) }],
    isUnbounded: false,
  }
}

/** Notes a column that is compared with the user's id, which is always text, for the check against real tables. */
export function referUserId({ context, rows }: OlderScope, row: Scalar, request: Scalar): void {
  const { expression } = request
  if (rows?.kind !== 'table' || row.expression.kind !== 'column') return
  if (expression.kind !== 'request' || expression.source !== 'claims' || expression.path.join() !== 'sub') return
  const column = row.expression.name
  context.refer(row, { kind: 'text-comparison', table: rows.table, column, with: 'the user id' })
}
