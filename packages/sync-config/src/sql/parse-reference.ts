import type { TokenCursor } from './token-cursor.ts'
import { RESERVED } from './reserved.ts'
import type { Name, SqlExpression } from './tree.ts'

/** A column or call: `name`, `qualifier.name`, `name(…)`, `qualifier.name(…)`. */
export function parseReference(cursor: TokenCursor): SqlExpression {
  const token = cursor.peek()
  if (token.kind === 'word' && RESERVED.has(token.text) && cursor.isSymbol('(', 1) && !cursor.isClause()) {
    // left(x, 2): no such function, whatever its name; the compiler says so with the others.
    cursor.take()
    return parseCall(cursor, { qualifier: undefined, name: { ...token, isQuoted: false } })
  }
  if (token.kind === 'word' && cursor.isClause()) return cursor.failExpected('a column')
  const first = cursor.expectName('a column')
  if (!cursor.acceptSymbol('.')) return parseNamed(cursor, { qualifier: undefined, name: first })
  const second = cursor.expectName('a column')
  if (!cursor.isSymbol('.')) return parseNamed(cursor, { qualifier: first, name: second })
  cursor.take()
  const third = cursor.expectName('a column')
  const span = { start: first.start, end: third.end }
  cursor.refuse(span, `A column is written as table.column, without the schema: ${second.text}.${third.text}`)
  return parseNamed(cursor, { qualifier: second, name: third })
}

type Reference = { readonly qualifier: Name | undefined; readonly name: Name }

function parseNamed(cursor: TokenCursor, { qualifier, name }: Reference): SqlExpression {
  if (cursor.isSymbol('(')) return parseCall(cursor, { qualifier, name })
  const token = cursor.peek()
  if (token.kind === 'text' && qualifier === undefined && !name.isQuoted) {
    const span = { start: name.start, end: token.end }
    cursor.refuse(span, `Literals like ${name.text} '…' do not exist in sync configs: write the text alone`)
    return cursor.literal({ kind: 'text', value: token.value })
  }
  cursor.note(qualifier, name)
  return cursor.node(qualifier ?? name, { kind: 'column', qualifier, name })
}

/** Functions of PostgreSQL with words between their arguments. */
const WORDY = new Set(['extract', 'overlay', 'trim'])
const WORDY_ADVICE: { readonly [name: string]: string } = {
  extract: ': write substring(x, start, length), or unixepoch(x)',
  trim: `: write trim(x, characters), and set "extensions: true" in "config" (edition 3)`,
}
const WINDOW_WORDS = ['over', 'filter', 'within']

function parseCall(cursor: TokenCursor, { qualifier, name }: Reference): SqlExpression {
  const first = qualifier ?? name
  cursor.expectSymbol('(')
  if (qualifier === undefined && isWordy(cursor, name)) return refuseWordy(cursor, name)
  const refused = cursor.isSymbol('*') || cursor.isKeyword('distinct') || cursor.isKeyword('all')
  if (refused) {
    const span = { start: first.start, end: cursor.take().end }
    cursor.refuse(span, `Aggregates like ${name.text}() do not exist in sync configs`)
    cursor.skip(() => false)
  }
  const args = refused || cursor.isSymbol(')') ? [] : parseArguments(cursor, name)
  const isOrdered = cursor.isKeyword('order')
  if (isOrdered) {
    cursor.refuse(cursor.peek(), `Aggregates like ${name.text}(… ORDER BY …) do not exist in sync configs`)
    cursor.skip(() => false)
  }
  cursor.expectSymbol(')')
  const isWindow = skipWindow(cursor, name)
  if (refused || isOrdered || isWindow) return cursor.node(first, { kind: 'null' })
  return cursor.node(first, { kind: 'call', qualifier, name, args })
}

/** Also takes `substring(x FROM 1 FOR 2)`, which is refused, for `substring(x, 1, 2)`. */
function parseArguments(cursor: TokenCursor, name: Name): readonly SqlExpression[] {
  const args = [...cursor.expressions()]
  if (name.text !== 'substring') return args
  const { start } = cursor.peek()
  while (cursor.acceptKeyword('from') || cursor.acceptKeyword('for')) {
    args.push(cursor.expression())
    const span = { start, end: cursor.lastEnd }
    if (args.length === 2) {
      cursor.refuse(span, 'FROM and FOR in substring() do not exist in sync configs: write substring(x, start, length)')
    }
  }
  return args
}

/** `trim(x, y)` is SQLite's. */
function isWordy(cursor: TokenCursor, { text }: Name): boolean {
  if (text !== 'trim' || !cursor.extensions) return WORDY.has(text)
  return ['both', 'leading', 'trailing'].some((word) => cursor.isKeyword(word))
}

function refuseWordy(cursor: TokenCursor, name: Name): SqlExpression {
  const advice = WORDY_ADVICE[name.text] ?? ''
  cursor.refuse(name, `${name.text.toUpperCase()}(…) does not exist in sync configs${advice}`)
  cursor.skip(() => false)
  cursor.expectSymbol(')')
  return cursor.node(name, { kind: 'null' })
}

/** Past `OVER (…)` and the like; was there any? */
function skipWindow(cursor: TokenCursor, name: Name): boolean {
  const word = WINDOW_WORDS.find((candidate) => cursor.isKeyword(candidate) && isWindowWord(cursor))
  if (word === undefined) return false
  const token = cursor.take()
  cursor.refuse(
    token,
    `${name.text}() ${word.toUpperCase()} … does not exist in sync configs: rows are synced one by one`,
  )
  cursor.acceptKeyword('group')
  if (cursor.acceptSymbol('(')) {
    cursor.skip(() => false)
    cursor.expectSymbol(')')
  } else {
    cursor.expectName('a window')
  }
  skipWindow(cursor, name)
  return true
}

function isWindowWord(cursor: TokenCursor): boolean {
  return cursor.isSymbol('(', 1) || cursor.isKeyword('group', 1) || (cursor.isKeyword('over') && cursor.isName(1))
}

export function parseCast(cursor: TokenCursor): SqlExpression {
  const start = cursor.take()
  cursor.expectSymbol('(')
  const operand = cursor.expression()
  cursor.expectKeyword('as')
  const type = readTypeName(cursor)
  cursor.expectSymbol(')')
  return cursor.node(start, { kind: 'cast', operand, type })
}

/** Words that go on with the name of a type. */
const TYPE_WORDS: readonly (readonly string[])[] = [
  ['varying'],
  ['precision'],
  ['with', 'time', 'zone'],
  ['without', 'time', 'zone'],
]

/** The name of a type. Longer ones, like `varchar(10)`, are read whole, so that they can be refused by name. */
export function readTypeName(cursor: TokenCursor): Name {
  const name = cursor.expectName('a type')
  const parts = [name.text]
  while (cursor.acceptSymbol('.')) parts.push('.', cursor.expectName('a type').text)
  const takeWords = (): void => {
    const words = TYPE_WORDS.find((candidate) => candidate.every((word, index) => cursor.isKeyword(word, index)))
    for (const word of words ?? []) {
      cursor.take()
      parts.push(` ${word}`)
    }
  }
  takeWords()
  parts.push(takeEnclosed(cursor, '('))
  takeWords()
  for (let brackets = takeEnclosed(cursor, '['); brackets !== ''; brackets = takeEnclosed(cursor, '['))
    parts.push(brackets)
  return { text: parts.join(''), isQuoted: name.isQuoted, start: name.start, end: cursor.lastEnd }
}

/** Text of what stands in parentheses or brackets, with them; empty where there is nothing. */
function takeEnclosed(cursor: TokenCursor, open: '(' | '['): string {
  if (!cursor.isSymbol(open)) return ''
  const { start } = cursor.take()
  cursor.skip(() => false)
  cursor.expectSymbol(open === '(' ? ')' : ']')
  return cursor.textOf({ start, end: cursor.lastEnd })
}
