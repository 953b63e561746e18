import type { Span } from '../file/diagnostics.ts'
import { parseCast, parseReference, readTypeName } from './parse-reference.ts'
import { BINARY, POWER } from './precedence.ts'
import { REFUSED_OPERATORS, REFUSED_VALUES } from './refusals.ts'
import type { TokenCursor } from './token-cursor.ts'
import type { InRight, SqlExpression, SqlForm } from './tree.ts'

/** An expression whose operators all bind tighter than `looserThan`. What cannot be read between AND and OR is NULL. */
export function parseExpression(cursor: TokenCursor, looserThan: number): SqlExpression {
  return cursor.nested(() => {
    if (looserThan > POWER.and) return climb(cursor, parsePrefix(cursor), looserThan)
    const { start } = cursor.peek()
    const term = cursor.recover(() => climb(cursor, parsePrefix(cursor), POWER.and), endsTerm)
    return climb(cursor, term ?? { kind: 'null', start, end: cursor.lastEnd }, looserThan)
  })
}

const TERM_ENDS = new Set(
  (
    'and or as from where then else inner join left right full cross natural using on having union intersect except ' +
    'limit offset fetch for window'
  ).split(' '),
)

/** Does the next token go on behind a condition? */
function endsTerm(cursor: TokenCursor): boolean {
  const token = cursor.peek()
  if (token.kind === 'symbol') return token.symbol === ',' || token.symbol === ';'
  return token.kind === 'word' && (TERM_ENDS.has(token.text) || cursor.isSorting())
}

function climb(cursor: TokenCursor, first: SqlExpression, looserThan: number): SqlExpression {
  let left = first
  for (;;) {
    const next = parseInfix(cursor, left, looserThan)
    if (next === undefined) return left
    cursor.countOperator()
    left = next
  }
}

/** The operator after `left` with its right side; undefined when there is none, or when it binds too loosely. */
function parseInfix(cursor: TokenCursor, left: SqlExpression, looserThan: number): SqlExpression | undefined {
  const token = cursor.peek()
  const text = token.kind === 'word' ? token.text : token.kind === 'symbol' ? token.symbol : ''
  if (text === '&&')
    return POWER.other > looserThan ? parseOverlap(cursor, { kind: 'expression', expression: left }) : undefined
  if (text === '::') return POWER.cast > looserThan ? parseShortCast(cursor, left) : undefined
  if (text === 'is') return POWER.is > looserThan ? parseIs(cursor, left) : undefined
  if (text === 'in' || text === 'between' || text === 'not' || (text === 'like' && cursor.extensions)) {
    return POWER.in > looserThan ? parseRangeTest(cursor, left) : undefined
  }
  const binary = Object.hasOwn(BINARY, text) ? BINARY[text] : undefined
  if (binary === undefined) return parseRefused(cursor, left, { text, looserThan })
  if (binary[1] <= looserThan) return undefined
  cursor.take()
  const right = parseExpression(cursor, binary[1])
  return cursor.node(left, { kind: 'binary', operator: binary[0], left, right })
}

type Infix = { readonly text: string; readonly looserThan: number }

/** An operator that sync configs do not have, read as what comes next to it. */
function parseRefused(
  cursor: TokenCursor,
  left: SqlExpression,
  { text, looserThan }: Infix,
): SqlExpression | undefined {
  const token = cursor.peek()
  if (Object.hasOwn(REFUSED_OPERATORS, text)) {
    if (POWER.in <= looserThan) return undefined
    cursor.refuse(token, REFUSED_OPERATORS[text] ?? '')
    cursor.take()
    if (text === 'similar') cursor.acceptKeyword('to')
    const right = parseExpression(cursor, POWER.in)
    if (cursor.acceptKeyword('escape')) parseExpression(cursor, POWER.in)
    return cursor.node(left, { kind: 'binary', operator: '=', left, right })
  }
  if (text === 'isnull' || text === 'notnull') {
    cursor.refuse(
      token,
      `${text.toUpperCase()} does not exist in sync configs: write IS ${text === 'isnull' ? '' : 'NOT '}NULL`,
    )
    cursor.take()
    return cursor.node(left, { kind: 'is', operand: left, what: 'null', negated: text === 'notnull' })
  }
  if (text === 'collate') {
    cursor.refuse(token, 'COLLATE does not exist in sync configs: texts compare by their characters')
    cursor.take()
    cursor.expectName('a collation')
    return left
  }
  if (text === 'at' && cursor.isKeyword('time', 1) && cursor.isKeyword('zone', 2)) {
    cursor.refuse(token, 'AT TIME ZONE does not exist in sync configs: timestamptz is synced in UTC')
    for (let word = 0; word < 3; word++) cursor.take()
    parseExpression(cursor, POWER.sign)
    return left
  }
  if (text === '[') {
    cursor.refuse(token, 'Elements in brackets do not exist in sync configs: write column ->> 0')
    skipped(cursor)
    return left
  }
  return undefined
}

function parseShortCast(cursor: TokenCursor, operand: SqlExpression): SqlExpression {
  cursor.expectSymbol('::')
  const type = readTypeName(cursor)
  return cursor.node(operand, { kind: 'cast', operand, type })
}

function parseIs(cursor: TokenCursor, operand: SqlExpression): SqlExpression {
  const is = cursor.take()
  const negated = cursor.acceptKeyword('not')
  for (const what of ['null', 'true', 'false'] as const) {
    if (cursor.acceptKeyword(what)) return cursor.node(operand, { kind: 'is', operand, what, negated })
  }
  const span = { start: is.start, end: cursor.peek().end }
  if (cursor.acceptKeyword('unknown')) {
    cursor.refuse(span, 'IS UNKNOWN does not exist in sync configs: write IS NULL')
    return cursor.node(operand, { kind: 'is', operand, what: 'null', negated })
  }
  if (cursor.acceptKeyword('distinct')) {
    cursor.refuse(span, 'IS DISTINCT FROM does not exist in sync configs: write = or !=, and IS NULL for NULL')
    cursor.expectKeyword('from')
  } else {
    cursor.refuse(span, 'After IS only NULL, TRUE and FALSE exist in sync configs: write = or !=')
  }
  const right = parseExpression(cursor, POWER.is)
  return cursor.node(operand, { kind: 'binary', operator: negated ? '!=' : '=', left: operand, right })
}

function parseRangeTest(cursor: TokenCursor, operand: SqlExpression): SqlExpression {
  const negated = cursor.acceptKeyword('not')
  if (cursor.acceptKeyword('between')) {
    if (cursor.isKeyword('symmetric')) {
      cursor.refuse(cursor.take(), 'BETWEEN SYMMETRIC does not exist in sync configs: write the smaller bound first')
    }
    const low = parseExpression(cursor, POWER.in)
    cursor.expectKeyword('and')
    const high = parseExpression(cursor, POWER.in)
    return cursor.node(operand, { kind: 'between', operand, low, high, negated })
  }
  if (cursor.acceptKeyword('in')) {
    const right = parseInRight(cursor)
    return cursor.node(operand, { kind: 'in', operand, right, negated })
  }
  if (cursor.extensions && cursor.acceptKeyword('like')) {
    const pattern = parseExpression(cursor, POWER.in)
    const escape = cursor.acceptKeyword('escape') ? parseExpression(cursor, POWER.in) : undefined
    return cursor.node(operand, { kind: 'like', operand, pattern, escape, negated })
  }
  const token = cursor.peek()
  const refused = token.kind === 'word' ? parseRefused(cursor, operand, { text: token.text, looserThan: 0 }) : undefined
  return refused ?? cursor.failExpected('IN or BETWEEN after NOT')
}

function parseInRight(cursor: TokenCursor): InRight {
  const first = cursor.peek()
  if (cursor.isKeyword('array') && cursor.isSymbol('[', 1)) {
    cursor.take()
    return { kind: 'array', items: parseItems(cursor, '[', ']') }
  }
  if (cursor.isKeyword('row') && cursor.isSymbol('(', 1)) {
    cursor.take()
    return { kind: 'array', items: parseItems(cursor, '(', ')') }
  }
  if (!cursor.isSymbol('(')) return { kind: 'expression', expression: parseExpression(cursor, POWER.in) }
  if (cursor.isKeyword('select', 1)) return parseSubquery(cursor)
  const items = parseItems(cursor, '(', ')')
  const [only] = items
  if (only === undefined || items.length > 1) return { kind: 'values', items }
  // (value) may also be the beginning of an expression: (request.parameters()) -> 'ids'
  const enclosed = cursor.node(first, only)
  const expression = climb(cursor, enclosed, POWER.in)
  return expression === enclosed ? { kind: 'values', items: [enclosed] } : { kind: 'expression', expression }
}

function parseItems(cursor: TokenCursor, open: string, close: string): readonly SqlExpression[] {
  cursor.expectSymbol(open)
  const items = cursor.isSymbol(close) ? [] : cursor.expressions()
  cursor.expectSymbol(close)
  return items
}

function parseSubquery(cursor: TokenCursor): InRight {
  cursor.expectSymbol('(')
  return { kind: 'subquery', select: cursor.closed(() => cursor.select()) }
}

/** `a && b`, from the operator on; each side may be a subquery. */
function parseOverlap(cursor: TokenCursor, left: InRight): SqlExpression {
  const first = left.kind === 'subquery' ? left.select : left.kind === 'expression' ? left.expression : cursor.peek()
  cursor.expectSymbol('&&')
  const isSubquery = cursor.isSymbol('(') && cursor.isKeyword('select', 1)
  const right: InRight = isSubquery
    ? parseSubquery(cursor)
    : { kind: 'expression', expression: parseExpression(cursor, POWER.other) }
  return cursor.node(first, { kind: 'overlap', left, right })
}

function parsePrefix(cursor: TokenCursor): SqlExpression {
  const token = cursor.peek()
  switch (token.kind) {
    case 'text':
      return cursor.literal({ kind: 'text', value: token.value })
    case 'integer':
      return cursor.literal({ kind: 'integer', digits: token.digits })
    case 'real':
      return cursor.literal({ kind: 'real', value: token.value })
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
      return cursor.literal({ kind: 'null' })
    case 'true':
    case 'false':
      return cursor.literal({ kind: 'boolean', value: word === 'true' })
    case 'not':
      cursor.take()
      return cursor.node(start, { kind: 'unary', operator: 'not', operand: parseExpression(cursor, POWER.not) })
    case 'cast':
      return parseCast(cursor)
    case 'case':
      return parseCase(cursor)
    case 'exists':
      if (!cursor.isSymbol('(', 1)) return parseReference(cursor)
      cursor.refuse(start, 'EXISTS does not exist in sync configs: write value IN (SELECT column FROM …)')
      cursor.take()
      parseSubquery(cursor)
      return cursor.node(start, { kind: 'boolean', value: true })
    case 'any':
    case 'all':
    case 'some':
      if (!cursor.isSymbol('(', 1)) return parseReference(cursor)
      cursor.refuse(start, `${word.toUpperCase()} (…) does not exist in sync configs: write value IN array`)
      cursor.take()
      return cursor.node(start, skipped(cursor))
    case 'array':
      cursor.refuse(start, "ARRAY[…] can only stand right behind IN: write a JSON array, as '[1, 2]'")
      cursor.take()
      return cursor.node(start, skipped(cursor))
    default:
      return parseValueWord(cursor, word)
  }
}

function parseValueWord(cursor: TokenCursor, word: string): SqlExpression {
  if (!Object.hasOwn(REFUSED_VALUES, word)) return parseReference(cursor)
  cursor.refuse(cursor.peek(), REFUSED_VALUES[word] ?? '')
  return cursor.literal({ kind: 'null' })
}

/** Past what stands in parentheses or brackets; NULL in its place. */
function skipped(cursor: TokenCursor): SqlForm {
  if (cursor.isSymbol('(') || cursor.isSymbol('[')) {
    cursor.take()
    cursor.skip(() => false)
    cursor.take()
  }
  return { kind: 'null' }
}

function parseSymbol(cursor: TokenCursor, symbol: string): SqlExpression {
  const start = cursor.peek()
  if (symbol === '(')
    return cursor.isKeyword('select', 1) ? parseLeadingSubquery(cursor, start) : parseEnclosed(cursor, start)
  if (symbol === '-') return parseMinus(cursor)
  if (symbol === '+') {
    cursor.take()
    return cursor.node(start, { kind: 'unary', operator: '+', operand: parseExpression(cursor, POWER.sign) })
  }
  if (symbol === '?' || symbol === '$' || symbol === ':' || symbol === '@') {
    cursor.refuse(
      { start: start.start, end: cursor.peek(1).end },
      'Placeholders do not exist in sync configs: write a literal, auth.user_id() or subscription.parameter(…)',
    )
    cursor.take()
    if (cursor.peek().start === start.end && !cursor.isSymbol(')')) cursor.take()
    return cursor.node(start, { kind: 'null' })
  }
  return cursor.failExpected('an expression')
}

/** A minus is part of the number behind it; before anything else it is left to the compiler to refuse. */
function parseMinus(cursor: TokenCursor): SqlExpression {
  const start = cursor.take()
  const token = cursor.peek()
  if (token.kind === 'integer') {
    cursor.take()
    return cursor.node(start, { kind: 'integer', digits: String(-BigInt(token.digits)) })
  }
  if (token.kind === 'real') {
    cursor.take()
    return cursor.node(start, { kind: 'real', value: -token.value })
  }
  return cursor.node(start, { kind: 'unary', operator: '-', operand: parseExpression(cursor, POWER.sign) })
}

function parseEnclosed(cursor: TokenCursor, start: Span): SqlExpression {
  cursor.take()
  const inner = cursor.expression()
  if (cursor.isSymbol(',')) {
    cursor.take()
    cursor.expressions()
    cursor.expectSymbol(')')
    const span = { start: start.start, end: cursor.lastEnd }
    cursor.refuse(span, 'Rows of values (a, b) do not exist in sync configs: compare the columns one by one')
    return cursor.node(start, { kind: 'null' })
  }
  cursor.expectSymbol(')')
  return cursor.node(start, inner)
}

/** A subquery that is not behind IN may only be the left side of `&&`. */
function parseLeadingSubquery(cursor: TokenCursor, start: Span): SqlExpression {
  const subquery = parseSubquery(cursor)
  if (cursor.isSymbol('&&')) return { ...parseOverlap(cursor, subquery), start: start.start }
  const span = { start: start.start, end: cursor.lastEnd }
  cursor.refuse(span, 'A subquery can only stand behind IN: write value IN (SELECT column FROM …)')
  return cursor.node(start, { kind: 'null' })
}

function parseCase(cursor: TokenCursor): SqlExpression {
  const start = cursor.take()
  const operand = cursor.isKeyword('when') ? undefined : cursor.expression()
  const branches: { readonly when: SqlExpression; readonly result: SqlExpression }[] = []
  do {
    cursor.expectKeyword('when')
    const when = cursor.expression()
    cursor.expectKeyword('then')
    branches.push({ when, result: cursor.expression() })
  } while (cursor.isKeyword('when'))
  const otherwise = cursor.acceptKeyword('else') ? cursor.expression() : undefined
  cursor.expectKeyword('end')
  return cursor.node(start, { kind: 'case', operand, branches, otherwise })
}
