import type { Span } from '../file/diagnostics.ts'
import { type Token, tokenize } from './tokens.ts'
import { type Name, SqlError } from './tree.ts'

/** PostgreSQL's reserved words: they name a column or table only in quotes. */
const RESERVED = new Set(
  (
    'all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation ' +
    'concurrently constraint create cross current_catalog current_date current_role current_schema current_time ' +
    'current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze ' +
    'from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like ' +
    'limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing precision ' +
    'primary references returning right select session_user similar some symmetric table tablesample then to trailing ' +
    'true union unique user using variadic verbose when where window with'
  ).split(' '),
)

/** Reserved words that go on with the query, so that a name is more likely missing than meant. */
const CLAUSE_WORDS = new Set('and as from in join on or select where'.split(' '))

/** Parentheses, subqueries and the like inside each other. */
const DEPTH_MAX = 100

/** Walks over the tokens of one query. */
export class TokenCursor {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(sql: string) {
    this.#tokens = tokenize(sql)
  }

  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] ?? { kind: 'end', start: 0, end: 0 }
  }

  take(): Token {
    const token = this.peek()
    if (token.kind !== 'end') this.#at++
    return token
  }

  /** End of the last token taken. */
  get lastEnd(): number {
    return this.#tokens[this.#at - 1]?.end ?? 0
  }

  isKeyword(word: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'word' && token.text === word
  }

  isSymbol(symbol: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'symbol' && token.symbol === symbol
  }

  acceptKeyword(word: string): boolean {
    if (!this.isKeyword(word)) return false
    this.take()
    return true
  }

  acceptSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false
    this.take()
    return true
  }

  expectKeyword(word: string): void {
    if (!this.acceptKeyword(word)) this.failExpected(word.toUpperCase())
  }

  expectSymbol(symbol: string): void {
    if (!this.acceptSymbol(symbol)) this.failExpected(`"${symbol}"`)
  }

  /** Is the next token a word that may stand for a name? */
  isName(ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'quoted' || (token.kind === 'word' && !RESERVED.has(token.text))
  }

  expectName(what: string): Name {
    const token = this.peek()
    const span = { start: token.start, end: token.end }
    if (token.kind === 'quoted') return { text: this.#taken(token).text, isQuoted: true, ...span }
    if (token.kind !== 'word') return this.failExpected(what)
    if (CLAUSE_WORDS.has(token.text)) return this.failExpected(what)
    if (RESERVED.has(token.text)) {
      throw new SqlError(
        span,
        `"${token.written}" is a reserved word of SQL: write it in quotes, "${token.text}", to name ${what}`,
      )
    }
    return { text: this.#taken(token).text, isQuoted: false, ...span }
  }

  failExpected(what: string): never {
    const token = this.peek()
    throw new SqlError(spanOf(token), `Cannot read the query: expected ${what}, got ${describe(token)}`)
  }

  /** Runs `parse` one level deeper; a query nested without end is refused instead of exhausting the stack. */
  nested<Result>(parse: () => Result): Result {
    if (this.#depth >= DEPTH_MAX) {
      throw new SqlError(spanOf(this.peek()), `The query is nested deeper than ${DEPTH_MAX} levels`)
    }
    this.#depth++
    const result = parse()
    this.#depth--
    return result
  }

  #taken<Kind extends Token>(token: Kind): Kind {
    this.take()
    return token
  }
}

function spanOf(token: Token): Span {
  return { start: token.start, end: token.end }
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'word':
      return `"${token.written}"`
    case 'quoted':
      return `"${token.text}"`
    case 'text':
      return `the text '${token.value.slice(0, 20)}'`
    case 'integer':
      return token.digits
    case 'real':
      return String(token.value)
    case 'symbol':
      return `"${token.symbol}"`
    case 'end':
      return 'the end of the query'
  }
}
