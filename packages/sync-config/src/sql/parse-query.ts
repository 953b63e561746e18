import { didYouMean } from '../file/suggest.ts'
import { parseExpression } from './parse-expression.ts'
import { parseSources } from './parse-source.ts'
import { REFUSED_CLAUSES, REFUSED_UNIONS } from './refusals.ts'
import { type Grammar, TokenCursor } from './token-cursor.ts'
import { type ParsedSql, type Select, type SelectItem, SqlError } from './tree.ts'

/** `extensions`: LIKE and LEFT JOIN are read instead of refused. */
export type ParseOptions = Pick<Grammar, 'extensions'>

/**
 * Reads one query. Goes on behind what is wrong with it as far as that makes sense, so that one reading finds as much as
 * it can: what sync configs do not have is read as what comes next to it, and what cannot be read at all is left out.
 */
export function parseQuery(sql: string, { extensions }: ParseOptions = { extensions: false }): ParsedSql {
  try {
    const cursor = new TokenCursor(sql, { select: parseSelect, expression: parseExpression, extensions })
    const select = cursor.recover(
      () => parseStatement(cursor),
      () => false,
    )
    return { select: cursor.isBroken ? undefined : select, faults: cursor.faults, folded: cursor.folded }
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    return { select: undefined, faults: [error], folded: [] }
  }
}

function parseStatement(cursor: TokenCursor): Select {
  if (cursor.peek().kind === 'end') cursor.failWith('The query is empty: expected SELECT … FROM …')
  if (cursor.isKeyword('with')) {
    cursor.failWith(
      'WITH does not exist inside a query: put its queries under the key "with" of the stream or the file',
    )
  }
  if (cursor.isKeyword('values')) cursor.failWith('VALUES does not exist in sync configs: expected SELECT … FROM …')
  const select = parseSelect(cursor)
  cursor.acceptSymbol(';')
  if (cursor.peek().kind !== 'end') {
    const isStatement = cursor.isKeyword('select') || cursor.isKeyword('with')
    if (isStatement) cursor.failWith('A query is one statement: put the next into a query of its own')
    cursor.failExpected('the end of the query')
  }
  return select
}

function parseSelect(cursor: TokenCursor): Select {
  return cursor.nested(() => {
    const { start } = cursor.peek()
    cursor.expectKeyword('select')
    const distinct = parseDistinct(cursor)
    const items = parseItems(cursor)
    expectClause(cursor, '"," or FROM')
    const from = cursor.acceptKeyword('from') ? parseSources(cursor) : []
    expectClause(cursor, from.length === 0 ? 'WHERE' : 'JOIN, "," or WHERE')
    const where = cursor.acceptKeyword('where') ? cursor.expression() : undefined
    const { lastEnd: end } = cursor
    expectClause(cursor, 'AND, OR or the end of the query')
    refuseClauses(cursor)
    return { distinct, items, from, where, start, end }
  })
}

function parseDistinct(cursor: TokenCursor): Select['distinct'] {
  cursor.acceptKeyword('all')
  const token = cursor.peek()
  if (!cursor.acceptKeyword('distinct')) return undefined
  const distinct = { start: token.start, end: token.end }
  if (cursor.isKeyword('on')) {
    cursor.refuse(distinct, 'DISTINCT ON does not exist in sync configs: rows are synced one by one')
    cursor.take()
    cursor.expectSymbol('(')
    cursor.closed(() => cursor.expressions())
  }
  return distinct
}

/** Something else than what may follow is told, and skipped. */
function expectClause(cursor: TokenCursor, what: string): void {
  cursor.recover(() => {
    const token = cursor.peek()
    if (token.kind === 'end' || endsSelect(cursor)) return
    cursor.failExpected(`${what}${token.kind === 'word' ? didYouMean(token.text, CLAUSES) : ''}`)
  }, endsSelect)
}

const CLAUSES = ['from', 'where', 'and', 'or', 'join']

/** Is the next token the beginning of a part of SELECT, or behind it? */
function endsSelect(cursor: TokenCursor): boolean {
  const token = cursor.peek()
  if (token.kind === 'symbol') return token.symbol === ')' || token.symbol === ';'
  if (token.kind !== 'word') return false
  const { text } = token
  if (text === 'order' || text === 'group') return cursor.isSorting()
  return (
    text === 'from' || text === 'where' || Object.hasOwn(REFUSED_CLAUSES, text) || Object.hasOwn(REFUSED_UNIONS, text)
  )
}

function parseItems(cursor: TokenCursor): readonly SelectItem[] {
  const isEmpty =
    cursor.peek().kind === 'end' || cursor.isKeyword('from') || cursor.isKeyword('where') || cursor.isSymbol(')')
  if (isEmpty) return []
  const items: SelectItem[] = []
  do {
    const item = cursor.recover(() => parseItem(cursor), endsItem)
    if (item !== undefined) items.push(item)
  } while (cursor.acceptSymbol(','))
  return items
}

function endsItem(cursor: TokenCursor): boolean {
  return cursor.isSymbol(',') || endsSelect(cursor)
}

function parseItem(cursor: TokenCursor): SelectItem {
  const { start } = cursor.peek()
  if (cursor.acceptSymbol('*')) return { kind: 'star', qualifier: undefined, start, end: cursor.lastEnd }
  if (cursor.isName() && cursor.isSymbol('.', 1) && cursor.isSymbol('*', 2)) {
    const qualifier = cursor.expectName('a table')
    cursor.expectSymbol('.')
    cursor.expectSymbol('*')
    cursor.note(qualifier)
    return { kind: 'star', qualifier, start, end: cursor.lastEnd }
  }
  const expression = cursor.expression()
  const hasAlias = cursor.acceptKeyword('as') || cursor.isName()
  const alias = hasAlias ? cursor.expectName('the column') : undefined
  cursor.note(alias)
  return { kind: 'expression', expression, alias, start, end: cursor.lastEnd }
}

/** Past the clauses behind WHERE, which sync configs do not have. */
function refuseClauses(cursor: TokenCursor): void {
  for (;;) {
    const token = cursor.peek()
    if (token.kind !== 'word' || !endsSelect(cursor)) return
    if (Object.hasOwn(REFUSED_CLAUSES, token.text)) {
      cursor.refuse(token, REFUSED_CLAUSES[token.text] ?? '')
      cursor.take()
      cursor.skip(endsSelect)
    } else if (Object.hasOwn(REFUSED_UNIONS, token.text)) {
      cursor.refuse(token, REFUSED_UNIONS[token.text] ?? '')
      cursor.take()
      for (const word of ['all', 'distinct']) cursor.acceptKeyword(word)
      parseSelect(cursor)
    } else {
      cursor.failExpected('the end of the query')
    }
  }
}
