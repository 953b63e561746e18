import type { Span } from '../file/diagnostics.ts'
import { REFUSED_CLAUSES, UNKNOWN_OPERATORS } from './refusals.ts'
import { TokenCursor } from './token-cursor.ts'
import {
  type BinaryOperator,
  type InRight,
  type Name,
  type Select,
  type SelectItem,
  type Source,
  type SourceForm,
  type SqlExpression,
  SqlError,
  type SqlForm,
} from './tree.ts'

/** Reads one query. Throws `SqlError` at the first thing that cannot be read. */
export function parseQuery(sql: string): Select {
  const cursor = new TokenCursor(sql)
  if (cursor.peek().kind === 'end')
    throw new SqlError({ start: 0, end: 0 }, 'The query is empty: expected SELECT … FROM …')
  if (cursor.isKeyword('with'))
    throw new SqlError(cursor.peek(), 'WITH is not supported inside a query: use IN (SELECT …)')
  const select = parseSelect(cursor)
  cursor.acceptSymbol(';')
  if (cursor.peek().kind !== 'end') {
    if (cursor.isKeyword('select'))
      throw new SqlError(cursor.peek(), 'Only one statement a query: put the next into its own')
    cursor.failExpected('the end of the query')
  }
  return select
}

function parseSelect(cursor: TokenCursor): Select {
  return cursor.nested(() => {
    const { start } = cursor.peek()
    cursor.expectKeyword('select')
    const distinctToken = cursor.peek()
    const distinct = cursor.acceptKeyword('distinct')
      ? { start: distinctToken.start, end: distinctToken.end }
      : undefined
    const items = parseItems(cursor)
    const from = cursor.acceptKeyword('from') ? parseSources(cursor) : []
    const where = cursor.acceptKeyword('where') ? parseExpression(cursor) : undefined
    const token = cursor.peek()
    if (token.kind === 'word' && Object.hasOwn(REFUSED_CLAUSES, token.text)) {
      throw new SqlError(token, REFUSED_CLAUSES[token.text] ?? '')
    }
    return { distinct, items, from, where, start, end: cursor.lastEnd }
  })
}

function parseItems(cursor: TokenCursor): readonly SelectItem[] {
  const isEmpty =
    cursor.peek().kind === 'end' || cursor.isKeyword('from') || cursor.isKeyword('where') || cursor.isSymbol(')')
  if (isEmpty) return []
  const items = [parseItem(cursor)]
  while (cursor.acceptSymbol(',')) items.push(parseItem(cursor))
  return items
}

function parseItem(cursor: TokenCursor): SelectItem {
  const { start } = cursor.peek()
  if (cursor.acceptSymbol('*')) return { kind: 'star', qualifier: undefined, start, end: cursor.lastEnd }
  if (cursor.isName() && cursor.isSymbol('.', 1) && cursor.isSymbol('*', 2)) {
    const qualifier = cursor.expectName('a table')
    cursor.expectSymbol('.')
    cursor.expectSymbol('*')
    return { kind: 'star', qualifier, start, end: cursor.lastEnd }
  }
  const expression = parseExpression(cursor)
  const hasAlias = cursor.acceptKeyword('as') || cursor.isName()
  const alias = hasAlias ? cursor.expectName('the column') : undefined
  return { kind: 'expression', expression, alias, start, end: cursor.lastEnd }
}

const OUTER_JOINS = ['left', 'right', 'full', 'cross', 'natural']

function parseSources(cursor: TokenCursor): readonly Source[] {
  const sources = [parseSource(cursor, 'first')]
  for (;;) {
    const token = cursor.peek()
    if (token.kind === 'word' && OUTER_JOINS.includes(token.text)) {
      throw new SqlError(token, `${token.text.toUpperCase()} JOIN does not exist in sync configs`)
    }
    if (cursor.acceptSymbol(',')) {
      sources.push(parseSource(cursor, 'comma'))
      continue
    }
    const isInner = cursor.acceptKeyword('inner')
    if (!isInner && !cursor.isKeyword('join')) return sources
    cursor.expectKeyword('join')
    sources.push(parseSource(cursor, 'join'))
  }
}

function parseSource(cursor: TokenCursor, joined: Source['joined']): Source {
  const { start } = cursor.peek()
  const form = parseSourceForm(cursor)
  const { lastEnd: end } = cursor
  if (cursor.isKeyword('using')) throw new SqlError(cursor.peek(), 'USING does not exist in sync configs: write ON')
  const on = joined === 'join' && cursor.acceptKeyword('on') ? parseExpression(cursor) : undefined
  return { ...form, joined, on, start, end }
}

function parseSourceForm(cursor: TokenCursor): SourceForm {
  if (cursor.acceptSymbol('(')) return parseSubquerySource(cursor)
  const first = cursor.expectName('a table')
  const schema = cursor.acceptSymbol('.') ? first : undefined
  const name = schema === undefined ? first : cursor.expectName('a table')
  if (cursor.isSymbol('.'))
    throw new SqlError(cursor.peek(), 'A table is written as schema.table: there is one name too many')
  if (schema === undefined && cursor.acceptSymbol('(')) {
    const args = parseClosed(cursor, () => (cursor.isSymbol(')') ? [] : parseList(cursor)))
    return { kind: 'call', name, args, alias: parseSourceAlias(cursor) }
  }
  return { kind: 'table', schema, name, alias: parseSourceAlias(cursor) }
}

function parseSourceAlias(cursor: TokenCursor): Name | undefined {
  return cursor.acceptKeyword('as') || cursor.isName() ? cursor.expectName('the table') : undefined
}

/** `(SELECT …) AS x` or `AS x(a, b)`, behind the parenthesis. */
function parseSubquerySource(cursor: TokenCursor): SourceForm {
  const select = parseClosed(cursor, () => parseSelect(cursor))
  cursor.acceptKeyword('as')
  const alias = cursor.expectName('the subquery')
  if (!cursor.acceptSymbol('(')) return { kind: 'subquery', select, alias, columns: undefined }
  const columns = [cursor.expectName('a column')]
  while (cursor.acceptSymbol(',')) columns.push(cursor.expectName('a column'))
  cursor.expectSymbol(')')
  return { kind: 'subquery', select, alias, columns }
}

/**
 * How tightly operators bind, loosest first. An operator takes as its right side everything that binds tighter.
 *
 *     OR < AND < NOT < IS < comparisons < IN, BETWEEN < other operators < + - || < * / % < unary + < -> ->> < ::
 */
const POWER = {
  or: 1,
  and: 2,
  not: 3,
  is: 4,
  comparison: 5,
  in: 6,
  other: 7,
  sum: 8,
  product: 9,
  sign: 10,
  extract: 11,
  cast: 12,
} as const

const BINARY: { readonly [symbol: string]: readonly [BinaryOperator, number] } = {
  or: ['or', POWER.or],
  and: ['and', POWER.and],
  '=': ['=', POWER.comparison],
  '!=': ['!=', POWER.comparison],
  '<>': ['!=', POWER.comparison],
  '<': ['<', POWER.comparison],
  '<=': ['<=', POWER.comparison],
  '>': ['>', POWER.comparison],
  '>=': ['>=', POWER.comparison],
  '&': ['&', POWER.other],
  '|': ['|', POWER.other],
  '<<': ['<<', POWER.other],
  '>>': ['>>', POWER.other],
  '+': ['+', POWER.sum],
  '-': ['-', POWER.sum],
  '||': ['||', POWER.sum],
  '*': ['*', POWER.product],
  '/': ['/', POWER.product],
  '%': ['%', POWER.product],
  '->': ['->', POWER.extract],
  '->>': ['->>', POWER.extract],
}

/** An expression whose operators all bind tighter than `looserThan`. */
function parseExpression(cursor: TokenCursor, looserThan = 0): SqlExpression {
  return cursor.nested(() => {
    let left = parsePrefix(cursor)
    for (;;) {
      const next = parseInfix(cursor, left, looserThan)
      if (next === undefined) return left
      left = next
    }
  })
}

/** The operator after `left` with its right side; undefined when there is none, or when it binds too loosely. */
function parseInfix(cursor: TokenCursor, left: SqlExpression, looserThan: number): SqlExpression | undefined {
  const token = cursor.peek()
  const text = token.kind === 'word' ? token.text : token.kind === 'symbol' ? token.symbol : ''
  if (Object.hasOwn(UNKNOWN_OPERATORS, text)) throw new SqlError(token, UNKNOWN_OPERATORS[text] ?? '')
  if (text === '&&') return POWER.other > looserThan ? parseOverlap(cursor, left) : undefined
  if (text === '::') return POWER.cast > looserThan ? parseShortCast(cursor, left) : undefined
  if (text === 'is') return POWER.is > looserThan ? parseIs(cursor, left) : undefined
  if (text === 'in' || text === 'between' || text === 'not') {
    return POWER.in > looserThan ? parseRangeTest(cursor, left) : undefined
  }
  const binary = Object.hasOwn(BINARY, text) ? BINARY[text] : undefined
  if (binary === undefined || binary[1] <= looserThan) return undefined
  cursor.take()
  const right = parseExpression(cursor, binary[1])
  return spanned(left, cursor, { kind: 'binary', operator: binary[0], left, right })
}

function parseShortCast(cursor: TokenCursor, operand: SqlExpression): SqlExpression {
  cursor.expectSymbol('::')
  const type = cursor.expectName('a type')
  return spanned(operand, cursor, { kind: 'cast', operand, type })
}

function parseIs(cursor: TokenCursor, operand: SqlExpression): SqlExpression {
  cursor.expectKeyword('is')
  const negated = cursor.acceptKeyword('not')
  for (const what of ['null', 'true', 'false'] as const) {
    if (cursor.acceptKeyword(what)) return spanned(operand, cursor, { kind: 'is', operand, what, negated })
  }
  return cursor.failExpected('NULL, TRUE or FALSE after IS')
}

function parseRangeTest(cursor: TokenCursor, operand: SqlExpression): SqlExpression {
  const negated = cursor.acceptKeyword('not')
  if (cursor.acceptKeyword('between')) {
    const low = parseExpression(cursor, POWER.in)
    cursor.expectKeyword('and')
    const high = parseExpression(cursor, POWER.in)
    return spanned(operand, cursor, { kind: 'between', operand, low, high, negated })
  }
  const after = cursor.peek()
  if (after.kind === 'word' && Object.hasOwn(UNKNOWN_OPERATORS, after.text)) {
    throw new SqlError(after, UNKNOWN_OPERATORS[after.text] ?? '')
  }
  if (!cursor.acceptKeyword('in')) return cursor.failExpected(negated ? 'IN or BETWEEN after NOT' : 'IN')
  const right = parseInRight(cursor)
  return spanned(operand, cursor, { kind: 'in', operand, right, negated })
}

function parseInRight(cursor: TokenCursor): InRight {
  if (cursor.isSymbol('(')) {
    cursor.take()
    if (cursor.isKeyword('select')) return { kind: 'subquery', select: parseClosed(cursor, () => parseSelect(cursor)) }
    return { kind: 'values', items: parseClosed(cursor, () => parseList(cursor)) }
  }
  if (cursor.isKeyword('array') || cursor.isKeyword('row')) {
    const close = cursor.isKeyword('array') ? ']' : ')'
    cursor.take()
    cursor.expectSymbol(close === ']' ? '[' : '(')
    const items = cursor.isSymbol(close) ? [] : parseList(cursor)
    cursor.expectSymbol(close)
    return { kind: 'array', items }
  }
  return { kind: 'expression', expression: parseExpression(cursor, POWER.in) }
}

/** `a && b`; each side may be a subquery. */
function parseOverlap(cursor: TokenCursor, left: SqlExpression): SqlExpression {
  cursor.expectSymbol('&&')
  return spanned(left, cursor, {
    kind: 'overlap',
    left: { kind: 'expression', expression: left },
    right: parseOverlapRight(cursor),
  })
}

function parseOverlapRight(cursor: TokenCursor): InRight {
  if (!cursor.isSymbol('(') || !cursor.isKeyword('select', 1)) {
    return { kind: 'expression', expression: parseExpression(cursor, POWER.other) }
  }
  cursor.take()
  return { kind: 'subquery', select: parseClosed(cursor, () => parseSelect(cursor)) }
}

function parsePrefix(cursor: TokenCursor): SqlExpression {
  const token = cursor.peek()
  switch (token.kind) {
    case 'text':
      return literal(cursor, { kind: 'text', value: token.value })
    case 'integer':
      return literal(cursor, { kind: 'integer', digits: token.digits })
    case 'real':
      return literal(cursor, { kind: 'real', value: token.value })
    case 'quoted':
      return parseReference(cursor)
    case 'word':
      return parseWord(cursor, token.text)
    case 'symbol':
      return parseSymbol(cursor, token.symbol)
    case 'end':
      return cursor.failExpected('an expression')
  }
}

function parseWord(cursor: TokenCursor, word: string): SqlExpression {
  const start = cursor.peek()
  switch (word) {
    case 'null':
      return literal(cursor, { kind: 'null' })
    case 'true':
    case 'false':
      return literal(cursor, { kind: 'boolean', value: word === 'true' })
    case 'not':
      cursor.take()
      return spanned(start, cursor, { kind: 'unary', operator: 'not', operand: parseExpression(cursor, POWER.not) })
    case 'cast':
      return parseCast(cursor)
    case 'case':
      return parseCase(cursor)
    case 'exists':
      throw new SqlError(start, 'EXISTS does not exist in sync configs: write value IN (SELECT column FROM …)')
    default:
      return parseReference(cursor)
  }
}

function parseSymbol(cursor: TokenCursor, symbol: string): SqlExpression {
  const start = cursor.peek()
  if (symbol === '(') {
    cursor.take()
    if (cursor.isKeyword('select')) return parseLeadingSubquery(cursor, start)
    const inner = parseClosed(cursor, () => parseExpression(cursor))
    return { ...inner, start: start.start, end: cursor.lastEnd }
  }
  if (symbol === '-' || symbol === '+') {
    cursor.take()
    const operand = parseExpression(cursor, POWER.sign)
    return spanned(start, cursor, negatedLiteral(symbol, operand) ?? { kind: 'unary', operator: symbol, operand })
  }
  if (symbol === '?' || symbol === '$' || symbol === ':' || symbol === '@') {
    throw new SqlError(
      start,
      'Placeholders do not exist in sync configs: use auth.user_id() or subscription.parameter(…)',
    )
  }
  return cursor.failExpected('an expression')
}

/** A subquery that is not behind IN may only be the left side of `&&`. */
function parseLeadingSubquery(cursor: TokenCursor, start: Span): SqlExpression {
  const select = parseClosed(cursor, () => parseSelect(cursor))
  if (!cursor.isSymbol('&&')) {
    throw new SqlError(start, 'A subquery can only stand after IN: write value IN (SELECT column FROM …)')
  }
  cursor.take()
  return spanned(start, cursor, {
    kind: 'overlap',
    left: { kind: 'subquery', select },
    right: parseOverlapRight(cursor),
  })
}

function parseCase(cursor: TokenCursor): SqlExpression {
  const start = cursor.take()
  const operand = cursor.isKeyword('when') ? undefined : parseExpression(cursor)
  const branches: { readonly when: SqlExpression; readonly result: SqlExpression }[] = []
  do {
    cursor.expectKeyword('when')
    const when = parseExpression(cursor)
    cursor.expectKeyword('then')
    branches.push({ when, result: parseExpression(cursor) })
  } while (cursor.isKeyword('when'))
  const otherwise = cursor.acceptKeyword('else') ? parseExpression(cursor) : undefined
  cursor.expectKeyword('end')
  return spanned(start, cursor, { kind: 'case', operand, branches, otherwise })
}

function negatedLiteral(sign: '-' | '+', operand: SqlExpression): SqlForm | undefined {
  if (sign === '+') return undefined
  if (operand.kind === 'integer') return { kind: 'integer', digits: String(-BigInt(operand.digits)) }
  return operand.kind === 'real' ? { kind: 'real', value: -operand.value } : undefined
}

function parseCast(cursor: TokenCursor): SqlExpression {
  const start = cursor.take()
  cursor.expectSymbol('(')
  const operand = parseExpression(cursor)
  cursor.expectKeyword('as')
  const type = cursor.expectName('a type')
  cursor.expectSymbol(')')
  return spanned(start, cursor, { kind: 'cast', operand, type })
}

/** A column or call: `name`, `qualifier.name`, `name(…)`, `qualifier.name(…)`. */
function parseReference(cursor: TokenCursor): SqlExpression {
  const first = cursor.expectName('a column')
  const hasQualifier = cursor.acceptSymbol('.')
  const name = hasQualifier ? cursor.expectName('a column') : first
  const qualifier = hasQualifier ? first : undefined
  if (!cursor.acceptSymbol('(')) return spanned(first, cursor, { kind: 'column', qualifier, name })
  if (cursor.isSymbol('*') || cursor.isKeyword('distinct')) {
    throw new SqlError(
      { start: first.start, end: cursor.peek().end },
      `Aggregates like ${name.text}() do not exist in sync configs`,
    )
  }
  const args = cursor.isSymbol(')') ? [] : parseList(cursor)
  cursor.expectSymbol(')')
  for (const word of ['over', 'filter']) {
    if (cursor.isKeyword(word))
      throw new SqlError(cursor.peek(), `${word.toUpperCase()} does not exist in sync configs`)
  }
  return spanned(first, cursor, { kind: 'call', qualifier, name, args })
}

function parseList(cursor: TokenCursor): readonly SqlExpression[] {
  const items = [parseExpression(cursor)]
  while (cursor.acceptSymbol(',')) items.push(parseExpression(cursor))
  return items
}

/** What stands between an opening parenthesis, already taken, and its end. */
function parseClosed<Result>(cursor: TokenCursor, parse: () => Result): Result {
  const result = parse()
  cursor.expectSymbol(')')
  return result
}

function literal(cursor: TokenCursor, form: SqlForm): SqlExpression {
  const { start, end } = cursor.take()
  return { ...form, start, end }
}

function spanned(first: Span, cursor: TokenCursor, form: SqlForm): SqlExpression {
  return { ...form, start: first.start, end: cursor.lastEnd }
}
