import { didYouMean } from '../file/suggest.ts'
import {
  CAST_TYPES,
  EXTENSION_FUNCTIONS,
  isExtensionFunction,
  isScalarFunction,
  SCALAR_FUNCTIONS,
  type Signature,
} from '../functions/signatures.ts'
import { TIME_MODIFIERS } from '../functions/sqlite-dates.ts'
import { type Expression, partsOf } from '../plan.ts'
import type { InRight, Name, SqlExpression } from '../sql/tree.ts'

import { FALSE, lowerLiteral, NULL, TRUE } from './literal.ts'
import { compare, joinLogic, negate, operate } from './logic.ts'
import type { QueryContext } from './query-context.ts'
import { extractText, isRequestPrefix, readRequestCall } from './request-data.ts'
import {
  findColumn,
  findSource,
  NOTHING,
  type Operand,
  type Owner,
  refuseQualifier,
  REQUEST,
  type Scope,
} from './scope.ts'
import { NO_CLOCK } from '../sql/refusals.ts'
import { describeUnknownFunction, describeUnknownType } from '../sql/unknown-name.ts'

/** An expression of a query of edition 3, and the names it sees. */
export type OperandScope = { readonly context: QueryContext; readonly scope: Scope | undefined }

/** Checks an expression, which must have one owner; undefined, and reported, when it has several or makes no sense. */
export function lowerOperand(at: OperandScope, sql: SqlExpression): Operand | undefined {
  switch (sql.kind) {
    case 'null':
    case 'boolean':
    case 'integer':
    case 'real':
    case 'text':
      return { owner: NOTHING, expression: lowerLiteral(sql), start: sql.start, end: sql.end }
    case 'column':
      return findColumn(at.context, at.scope, sql)
    case 'call':
      return lowerCall(at, sql)
    case 'unary':
      return lowerUnary(at, sql)
    case 'binary':
      return lowerBinary(at, sql)
    case 'is':
      return lowerIs(at, sql)
    case 'between':
      return lowerBetween(at, sql)
    case 'in':
      return lowerIn(at, sql)
    case 'like':
      return lowerLike(at, sql)
    case 'overlap':
      return at.context.refuse(sql, '&& can only stand by itself as a condition, below AND and OR')
    case 'cast':
      return lowerCast(at, sql)
    case 'case':
      return lowerCase(at, sql)
  }
}

type Call = SqlExpression & { kind: 'call' }

function lowerCall(at: OperandScope, sql: Call): Operand | undefined {
  const { context } = at
  const { qualifier } = sql
  if (qualifier !== undefined) {
    return isRequestPrefix(qualifier.text) ? lowerRequest(at, sql) : lowerTablePart(at, { ...sql, qualifier })
  }
  const name = sql.name.text
  if (isScalarFunction(name)) {
    return lowerArguments(at, sql, SCALAR_FUNCTIONS[name], (args) => ({ kind: 'call', name, args }))
  }
  if (!context.extensions || !isExtensionFunction(name)) return refuseCall(context, sql)
  if (TIME_FUNCTIONS.has(name) && !checkTimes(context, sql)) return undefined
  const signature = EXTENSION_FUNCTIONS[name]
  if (name !== 'coalesce') return lowerArguments(at, sql, signature, (args) => ({ kind: 'call', name, args }))
  return lowerArguments(at, sql, signature, (args) =>
    args.reduceRight((otherwise, arg) => ({ kind: 'call', name: 'ifnull', args: [arg, otherwise] })),
  )
}

const TIME_FUNCTIONS: ReadonlySet<string> = new Set(['date', 'time', 'strftime'])

/** False, and reported, for the present time and for modifiers that do not exist. */
function checkTimes(context: QueryContext, { name, args }: Call): boolean {
  const [time, ...modifiers] = name.text === 'strftime' ? args.slice(1) : args
  if (time?.kind === 'text' && time.value.toLowerCase() === 'now') {
    context.refuse(time, `'now' does not exist in sync configs: ${NO_CLOCK}`)
    return false
  }
  const unknown = modifiers.find((arg) => arg.kind === 'text' && !TIME_MODIFIERS.includes(arg.value.toLowerCase()))
  if (unknown === undefined) return true
  const expected = TIME_MODIFIERS.map((modifier) => `'${modifier}'`).join(', ')
  context.refuse(unknown, `${context.textOf(unknown)} does not exist in sync configs: expected ${expected}`)
  return false
}

function lowerArguments(
  at: OperandScope,
  sql: Call,
  { min, max }: Signature,
  build: (args: readonly Expression[]) => Expression,
): Operand | undefined {
  const { context } = at
  const args = sql.args.map((arg) => lowerOperand(at, arg))
  if (args.length < min || args.length > max) {
    const wanted = min === max ? String(min) : `${min} to ${max}`
    const called = `${sql.name.text}()`
    return context.refuse(sql, `${called} takes ${wanted} argument${wanted === '1' ? '' : 's'}, got ${args.length}`)
  }
  return combine(context, sql, args, build)
}

function lowerRequest(at: OperandScope, sql: Call): Operand | undefined {
  const { context } = at
  const call = readRequestCall(context, sql)
  if (call === undefined) return undefined
  const span = { start: sql.start, end: sql.end }
  if (call.kind === 'value') return { owner: REQUEST, expression: call.expression, ...span }
  const object: Operand = { owner: REQUEST, expression: call.object, ...span }
  return combine(context, sql, [object, lowerOperand(at, call.key)], ([whole = NULL, key = NULL]) => {
    return extractText(context, whole, key)
  })
}

const TABLE_PARTS = { schema: 'schema', table_name: 'name', table_suffix: 'suffix' } as const

/** `t.schema()`, `t.table_name()`, `t.table_suffix()`: which of the tables behind a name a row is in. */
function lowerTablePart(at: OperandScope, sql: Call & { readonly qualifier: Name }): Operand | undefined {
  const { context, scope } = at
  const { qualifier, start, end } = sql
  const source = findSource(scope, qualifier.text)
  if (source === undefined) return refuseQualifier(context, scope, qualifier)
  const called = `${qualifier.text}.${sql.name.text}()`
  const part = Object.entries(TABLE_PARTS).find(([name]) => name === sql.name.text)?.[1]
  if (part === undefined) {
    const names = Object.keys(TABLE_PARTS).map((name) => `${qualifier.text}.${name}()`)
    return context.refuse(
      sql,
      `Unknown function ${called}${didYouMean(called, names) || `: expected ${names.join(', ')}`}`,
    )
  }
  if (source.kind !== 'table') {
    return context.refuse(sql, `${called} needs a table: "${qualifier.text}" is none, so call it inside, on its table`)
  }
  const [argument] = sql.args
  if (argument !== undefined) return context.refuse(argument, `${called} takes no arguments`)
  if (part === 'suffix' && !source.table.isWildcard) {
    context.warn(sql, `${called} is always empty: the name of "${source.table.name}" has no wildcard`)
  }
  return { owner: source, expression: { kind: 'table', part }, start, end }
}

function refuseCall(context: QueryContext, sql: Call): undefined {
  const name = sql.name.text
  if (name === 'json_each') {
    return context.refuse(sql, 'json_each() gives rows, not a value: write it after FROM, or value IN array')
  }
  return context.refuse(sql, describeUnknownFunction(name))
}

function lowerCast(at: OperandScope, sql: SqlExpression & { kind: 'cast' }): Operand | undefined {
  const operand = lowerOperand(at, sql.operand)
  const type = CAST_TYPES.find((known) => known === sql.type.text)
  if (type === undefined) {
    return at.context.refuse(sql.type, describeUnknownType(sql.type.text))
  }
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
    return { kind: 'case', branches, otherwise: rest.shift() ?? NULL }
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
  const { operator } = sql
  const isExtraction = operator === '->' || operator === '->>'
  if (isExtraction && sql.right.kind !== 'text' && sql.right.kind !== 'integer') {
    const advice = 'for any other, write json_extract(json, path)'
    return context.refuse(sql.right, `${operator} takes a name in single quotes, or a number: ${advice}`)
  }
  const operands = [lowerOperand(at, sql.left), lowerOperand(at, sql.right)]
  return combine(context, sql, operands, ([left = TRUE, right = TRUE]) => {
    if (operator === '!=') return negate(compare('=', left, right))
    return operator === '->>' ? extractText(context, left, right) : operate(operator, left, right)
  })
}

function lowerIs(at: OperandScope, sql: SqlExpression & { kind: 'is' }): Operand | undefined {
  const operand = lowerOperand(at, sql.operand)
  return combine(at.context, sql, [operand], ([inner = TRUE]) => {
    const test = isTest(at.context, sql.what, inner)
    return sql.negated ? negate(test) : test
  })
}

/** Of NULL too it is known whether it IS something. IS TRUE means being 1, but in SQLite being true. */
function isTest({ engine }: QueryContext, what: 'null' | 'true' | 'false', operand: Expression): Expression {
  if (what === 'null') return { kind: 'is-null', operand }
  const isTrue = what === 'true'
  const equal = compare('=', operand, isTrue ? TRUE : FALSE)
  const truth = isTrue ? operand : negate(operand)
  return joinLogic('and', [negate({ kind: 'is-null', operand }), engine === 'sqlite' ? truth : equal])
}

function lowerBetween(at: OperandScope, sql: SqlExpression & { kind: 'between' }): Operand | undefined {
  const operands = [sql.operand, sql.low, sql.high].map((part) => lowerOperand(at, part))
  return combine(at.context, sql, operands, (args) => {
    const test: Expression = { kind: 'call', name: 'between', args }
    return sql.negated ? negate(test) : test
  })
}

function lowerLike(at: OperandScope, sql: SqlExpression & { kind: 'like' }): Operand | undefined {
  const { context } = at
  const { pattern, escape } = sql
  if (pattern.kind !== 'text') {
    return context.refuse(pattern, "Right of LIKE stands a pattern in single quotes, as in 'a%'")
  }
  if (escape !== undefined && (escape.kind !== 'text' || Array.from(escape.value).length !== 1)) {
    return context.refuse(escape, "ESCAPE takes one character in single quotes, as in '!'")
  }
  const constants = escape === undefined ? [pattern] : [pattern, escape]
  const operands = [sql.operand, ...constants].map((part) => lowerOperand(at, part))
  return combine(context, sql, operands, (args) => {
    const test: Expression = { kind: 'call', name: 'like', args }
    return sql.negated ? negate(test) : test
  })
}

/** `x IN ARRAY[a, b]` and `x NOT IN array`: plain tests of one owner. `x IN array` is a condition, and no expression. */
function lowerIn(at: OperandScope, sql: SqlExpression & { kind: 'in' }): Operand | undefined {
  const { context } = at
  const { right } = sql
  if (right.kind === 'array') {
    const operands = [sql.operand, ...right.items].map((part) => lowerOperand(at, part))
    return lowerTest(at, sql, operands, 'in_list')
  }
  if (right.kind === 'subquery' || !sql.negated) {
    const where = 'can only stand by itself as a condition, below AND and OR'
    const advice = right.kind === 'subquery' ? '' : '; for a list of known values, write IN ARRAY[…]'
    return context.refuse(sql, `IN ${right.kind === 'subquery' ? '(SELECT …)' : 'with an array'} ${where}${advice}`)
  }
  const array = arrayOf(context, right)
  if (array === undefined) return undefined
  warnOfLiteral(context, array)
  return lowerTest(at, sql, [lowerOperand(at, sql.operand), lowerOperand(at, array)], 'in_json')
}

function lowerTest(
  at: OperandScope,
  sql: SqlExpression & { kind: 'in' },
  operands: readonly (Operand | undefined)[],
  name: 'in_list' | 'in_json',
): Operand | undefined {
  return combine(at.context, sql, operands, (args) => {
    const test: Expression = { kind: 'call', name, args }
    return sql.negated ? negate(test) : test
  })
}

type ArrayRight = InRight & { readonly kind: 'values' | 'expression' }

/** The expression whose value is the array; undefined, and reported, for a list of values. */
export function arrayOf(context: QueryContext, right: ArrayRight): SqlExpression | undefined {
  if (right.kind === 'expression') return right.expression
  const [only, second] = right.items
  // SQL reads one value in parentheses as that value.
  if (only !== undefined && second === undefined) return only
  const place = { start: only?.start ?? 0, end: right.items.at(-1)?.end ?? 0 }
  const values = right.items.map((item) => context.textOf(item)).join(', ')
  return context.refuse(place, `A list of values does not exist in sync configs: write IN ARRAY[${values}]`)
}

/** Right of IN stands an array as JSON text; people write the one value they mean. */
export function warnOfLiteral(context: QueryContext, array: SqlExpression): void {
  const isLiteral = array.kind === 'integer' || array.kind === 'real' || array.kind === 'boolean'
  if (!isLiteral && !(array.kind === 'text' && !array.value.trimStart().startsWith('['))) return
  // One value in parentheses is that value.
  const text = context.textOf(array).replace(/^\(\s*(.*?)\s*\)$/s, '$1')
  context.warn(array, `Right of IN stands an array as JSON text, which ${text} is not: write IN ARRAY[${text}]`)
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
  let owner: Owner = NOTHING
  for (const operand of known) {
    const common = commonOwner(owner, operand.owner)
    if (common === undefined) return context.refuse(sql, describeMix(owner, operand.owner))
    owner = common
  }
  return { owner, expression: build(known.map(({ expression }) => expression)), start: sql.start, end: sql.end }
}

/** The owner of an expression over both; undefined when no one place knows them both. */
export function commonOwner(a: Owner, b: Owner): Owner | undefined {
  if (a === b || b.kind === 'nothing') return a
  if (a.kind === 'nothing') return b
  // An array that does not come from a row is taken apart where the request is known.
  if (a.kind === 'each' && b.kind === 'request') return a
  if (b.kind === 'each' && a.kind === 'request') return b
  // A constant array is known everywhere.
  if (isConstantEach(a) && b.kind === 'table') return b
  if (isConstantEach(b) && a.kind === 'table') return a
  return undefined
}

export function isConstantEach(owner: Owner): boolean {
  return owner.kind === 'each' && owner.of.kind === 'nothing'
}

function describeMix(a: Owner, b: Owner): string {
  const kinds = [a.kind, b.kind]
  const advice = 'they can only meet in one = other, each by itself, joined with AND and OR'
  if (a.kind === 'table' && b.kind === 'table') {
    return `Columns of two tables ("${a.name}" and "${b.name}") cannot be mixed in one expression: ${advice}`
  }
  if (!kinds.includes('table')) return `Elements of two arrays cannot be mixed in one expression: ${advice}`
  return `Columns and values of the request cannot be mixed in one expression: ${advice}`
}

export function readsRequest(expression: Expression): boolean {
  return expression.kind === 'request' || partsOf(expression).some(readsRequest)
}

/** Numbers of the arrays whose elements an expression reads. */
export function elementsIn(expression: Expression): readonly number[] {
  return expression.kind === 'element' ? [expression.expansion] : partsOf(expression).flatMap(elementsIn)
}
