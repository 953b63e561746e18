import { REFUSED_JOINS } from './refusals.ts'
import type { TokenCursor } from './token-cursor.ts'
import type { Name, Source, SourceForm } from './tree.ts'

/** What stands behind FROM. */
export function parseSources(cursor: TokenCursor): readonly Source[] {
  const sources = [...parseRecovering(cursor, 'first')]
  for (;;) {
    const joined = parseJoin(cursor)
    if (joined === undefined) return sources
    sources.push(...parseRecovering(cursor, joined))
  }
}

function parseRecovering(cursor: TokenCursor, joined: Source['joined']): readonly Source[] {
  const source = cursor.recover(() => parseSource(cursor, joined), endsSource)
  return source === undefined ? [] : [source]
}

function endsSource(cursor: TokenCursor): boolean {
  const token = cursor.peek()
  if (token.kind === 'symbol') return token.symbol === ',' || token.symbol === ';'
  return token.kind === 'word' && (cursor.isClause() || Object.hasOwn(REFUSED_JOINS, token.text))
}

/** The comma or the words of a join, taken; undefined behind the last source. */
function parseJoin(cursor: TokenCursor): 'comma' | 'join' | 'left' | undefined {
  if (cursor.acceptSymbol(',')) return 'comma'
  const token = cursor.peek()
  if (token.kind !== 'word') return undefined
  if (cursor.extensions && cursor.acceptKeyword('left')) {
    cursor.acceptKeyword('outer')
    cursor.expectKeyword('join')
    return 'left'
  }
  if (Object.hasOwn(REFUSED_JOINS, token.text)) {
    cursor.refuse(token, REFUSED_JOINS[token.text] ?? '')
    cursor.take()
    for (const word of ['inner', 'left', 'right', 'full', 'outer']) cursor.acceptKeyword(word)
  } else if (!cursor.acceptKeyword('inner') && token.text !== 'join') {
    return undefined
  }
  cursor.expectKeyword('join')
  return 'join'
}

function parseSource(cursor: TokenCursor, joined: Source['joined']): Source {
  const { start } = cursor.peek()
  const form = parseSourceForm(cursor)
  const { lastEnd: end } = cursor
  if (cursor.isKeyword('tablesample')) {
    cursor.refuse(cursor.peek(), 'TABLESAMPLE does not exist in sync configs: leave it out')
    cursor.skip(endsSource)
  }
  if (cursor.isKeyword('using')) {
    cursor.refuse(cursor.peek(), 'USING does not exist in sync configs: write ON a.column = b.column')
    cursor.skip(endsSource)
  }
  const on = (joined === 'join' || joined === 'left') && cursor.acceptKeyword('on') ? cursor.expression() : undefined
  return { ...form, joined, on, start, end }
}

function parseSourceForm(cursor: TokenCursor): SourceForm {
  if (cursor.isKeyword('lateral')) {
    cursor.refuse(
      cursor.take(),
      'LATERAL does not exist in sync configs: leave it out, json_each() sees the tables of FROM',
    )
  }
  if (cursor.isKeyword('only')) {
    cursor.refuse(cursor.take(), 'ONLY does not exist in sync configs: leave it out')
  }
  if (cursor.acceptSymbol('(')) return parseSubquerySource(cursor)
  const first = cursor.expectName('a table')
  const schema = cursor.acceptSymbol('.') ? first : undefined
  const name = schema === undefined ? first : cursor.expectName('a table')
  if (cursor.isSymbol('.')) {
    cursor.refuse(cursor.peek(), 'A table is written as schema.table: there is one name too many')
    cursor.take()
    cursor.expectName('a table')
  }
  if (cursor.acceptSymbol('(')) {
    if (schema !== undefined) cursor.refuse(schema, `Functions have no schema: write ${name.text}(…)`)
    const args = cursor.closed(() => (cursor.isSymbol(')') ? [] : cursor.expressions()))
    skipOrdinality(cursor)
    return { kind: 'call', name, args, alias: parseSourceAlias(cursor) }
  }
  cursor.note(schema, name)
  return { kind: 'table', schema, name, alias: parseSourceAlias(cursor) }
}

function skipOrdinality(cursor: TokenCursor): void {
  if (!cursor.isKeyword('with') || !cursor.isKeyword('ordinality', 1)) return
  cursor.refuse(
    cursor.take(),
    'WITH ORDINALITY does not exist in sync configs: the column key of json_each() counts from 0',
  )
  cursor.take()
}

function parseSourceAlias(cursor: TokenCursor): Name | undefined {
  if (!cursor.acceptKeyword('as') && !cursor.isName()) return undefined
  const alias = cursor.expectName('the table')
  cursor.note(alias)
  if (cursor.isSymbol('(')) {
    cursor.refuse(cursor.peek(), 'Only columns of a subquery can be named behind its name: leave the list out')
    parseColumnNames(cursor)
  }
  return alias
}

/** `(SELECT …) AS x` or `AS x(a, b)`, behind the parenthesis. */
function parseSubquerySource(cursor: TokenCursor): SourceForm {
  if (!cursor.isKeyword('select')) return refuseEnclosed(cursor)
  const select = cursor.closed(() => cursor.select())
  if (!cursor.acceptKeyword('as') && !cursor.isName()) {
    cursor.failExpected('a name for the subquery, as in (SELECT …) AS name')
  }
  const alias = cursor.expectName('the subquery')
  cursor.note(alias)
  return { kind: 'subquery', select, alias, columns: cursor.isSymbol('(') ? parseColumnNames(cursor) : undefined }
}

function refuseEnclosed(cursor: TokenCursor): never {
  if (cursor.isKeyword('values')) {
    cursor.failWith("VALUES does not exist in sync configs: write json_each('[1, 2]') AS name")
  }
  if (cursor.isName()) cursor.failWith('Joins in parentheses do not exist in sync configs: leave the parentheses out')
  return cursor.failExpected('SELECT')
}

function parseColumnNames(cursor: TokenCursor): readonly Name[] {
  cursor.expectSymbol('(')
  const columns = [cursor.expectName('a column')]
  while (cursor.acceptSymbol(',')) columns.push(cursor.expectName('a column'))
  cursor.expectSymbol(')')
  cursor.note(...columns)
  return columns
}
