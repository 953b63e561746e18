import type { Span } from '../file/diagnostics.ts'
import { NAMED_BY_CLAUSE, RESERVED } from './reserved.ts'
import { type Token, tokenize } from './tokens.ts'
import { type Name, type Select, type SqlExpression, type SqlForm, SqlError } from './tree.ts'

/** Parentheses, subqueries and the like inside each other. */
const DEPTH_MAX = 100

/** Operators of one query. Chains of them nest without parentheses: `a + b + c` is as deep as it is long. */
const OPERATORS_MAX = 1_000

/** How the parts are read that can stand inside each other. */
export type Grammar = {
  readonly select: (cursor: TokenCursor) => Select
  /** An expression whose operators all bind tighter than `looserThan`. */
  readonly expression: (cursor: TokenCursor, looserThan: number) => SqlExpression
  /** Is there what only sync configs of this service have? */
  readonly extensions: boolean
}

/**
 * Walks over the tokens of one query and gathers what is wrong with it. Two kinds of faults are told apart: what is
 * refused though it can be read (`refuse`; the reading goes on), and what cannot be read (a thrown `SqlError`, after
 * which `recover` goes on at the next part).
 */
export class TokenCursor {
  readonly #sql: string
  readonly #tokens: readonly Token[]
  readonly #grammar: Grammar
  readonly #faults: SqlError[] = []
  readonly #folded: Name[] = []
  #isBroken = false
  #at = 0
  #depth = 0
  #operators = 0
  /** Where the last recovery went on: what fails right there follows from the fault before. */
  #resumedAt = -1

  /** Throws `SqlError` where a literal, a name or a comment has no end. */
  constructor(sql: string, grammar: Grammar) {
    this.#sql = sql
    this.#tokens = tokenize(sql)
    this.#grammar = grammar
  }

  get extensions(): boolean {
    return this.#grammar.extensions
  }

  get faults(): readonly SqlError[] {
    return this.#faults
  }

  /** Was there something that could not be read? Then what was read is not the query. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Names with capitals and without quotes. */
  get folded(): readonly Name[] {
    return this.#folded
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

  textOf({ start, end }: Span): string {
    return this.#sql.slice(start, end)
  }

  /** Reads the SELECT that begins here. */
  select(): Select {
    return this.#grammar.select(this)
  }

  /** Reads the expression that begins here. */
  expression(looserThan = 0): SqlExpression {
    return this.#grammar.expression(this, looserThan)
  }

  /** A list of expressions with commas between them. */
  expressions(): readonly SqlExpression[] {
    const items = [this.expression()]
    while (this.acceptSymbol(',')) items.push(this.expression())
    return items
  }

  /** What stands between an opening parenthesis, already taken, and its end. */
  closed<Result>(parse: () => Result): Result {
    const result = parse()
    this.expectSymbol(')')
    return result
  }

  /** A node from the beginning of `first` to the last token taken. */
  node(first: Span, form: SqlForm): SqlExpression {
    return { ...form, start: first.start, end: this.lastEnd }
  }

  /** A node that is the next token. */
  literal(form: SqlForm): SqlExpression {
    return this.node(this.take(), form)
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

  /** `what` is named, as in `a column`. A reserved word is refused and then taken for the name it was meant as. */
  expectName(what: string): Name {
    const token = this.peek()
    const span = spanOf(token)
    if (token.kind === 'quoted') return { text: this.#taken(token).text, isQuoted: true, ...span }
    if (token.kind !== 'word' || this.isClause()) return this.failExpected(`the name of ${what}`)
    if (RESERVED.has(token.text)) {
      const advice = `write it in quotes, "${token.text}", to name ${what}`
      this.refuse(span, `"${token.written}" is a reserved word of SQL: ${advice}`)
    }
    return { text: this.#taken(token).text, isQuoted: false, ...span }
  }

  /** Is the next token a word that goes on with the query, so that a name before it is missing rather than meant? */
  isClause(): boolean {
    const token = this.peek()
    return token.kind === 'word' && (NAMED_BY_CLAUSE.has(token.text) || this.isSorting())
  }

  /** Is it `ORDER BY` or `GROUP BY`? Without BY the words are names that want quotes. */
  isSorting(): boolean {
    return (this.isKeyword('order') || this.isKeyword('group')) && this.isKeyword('by', 1)
  }

  /** Keeps names of tables and columns, so that it can be told which of them lost their capitals. */
  note(...names: readonly (Name | undefined)[]): void {
    for (const name of names) {
      if (name !== undefined && !name.isQuoted && this.textOf(name) !== name.text) this.#folded.push(name)
    }
  }

  /** Tells of something that sync configs do not have. */
  refuse({ start, end }: Span, message: string): void {
    if (this.#at !== this.#resumedAt) this.#faults.push(new SqlError({ start, end }, message))
  }

  failExpected(what: string): never {
    const token = this.peek()
    throw new SqlError(spanOf(token), `Cannot read the query: expected ${what}, got ${describe(token)}`)
  }

  /** Says what is wrong with the next token, in whole sentences. */
  failWith(message: string): never {
    throw new SqlError(spanOf(this.peek()), message)
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

  /** Counts an operator that was read. */
  countOperator(): void {
    this.#operators++
    if (this.#operators <= OPERATORS_MAX) return
    this.failWith(
      `The query has more than ${OPERATORS_MAX} operators: write IN ARRAY[…], or put the values into a table`,
    )
  }

  /**
   * Runs `parse`; where it finds something it cannot read, that is kept as a fault, and what follows is skipped up to the
   * next token, outside of parentheses opened since, that `goesOn` takes. Undefined then.
   */
  recover<Result>(parse: () => Result, goesOn: (cursor: TokenCursor) => boolean): Result | undefined {
    const [from, depth] = [this.#at, this.#depth]
    try {
      return parse()
    } catch (error) {
      this.fail(error)
      this.#depth = depth
      this.skip(goesOn, from)
      this.#resumedAt = this.#at
      return undefined
    }
  }

  /** Keeps what `parse` threw; other errors are thrown on. */
  fail(error: unknown): void {
    if (!(error instanceof SqlError)) throw error
    this.#isBroken = true
    this.refuse(error.span, error.message)
  }

  /**
   * Skips to the next token that `goesOn` takes, or that closes something opened before. `from` is the token where the
   * counting of what is open begins.
   */
  skip(goesOn: (cursor: TokenCursor) => boolean, from = this.#at): void {
    let open = 0
    for (const token of this.#tokens.slice(from, this.#at)) open = Math.max(0, open + opening(token))
    for (; this.peek().kind !== 'end'; this.take()) {
      const change = opening(this.peek())
      if (open === 0 && (change < 0 || goesOn(this))) return
      open += change
    }
  }

  #taken<Kind extends Token>(token: Kind): Kind {
    this.take()
    return token
  }
}

/** 1 for what opens something, -1 for what closes it. */
function opening(token: Token): number {
  if (token.kind === 'word') return token.text === 'case' ? 1 : token.text === 'end' ? -1 : 0
  if (token.kind !== 'symbol') return 0
  if (token.symbol === '(' || token.symbol === '[') return 1
  return token.symbol === ')' || token.symbol === ']' ? -1 : 0
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
