import type { Span } from '../file/diagnostics.ts'
import { SqlError } from './tree.ts'

export type Token = Span & TokenForm

type TokenForm =
  /** `text` is folded to lower case; `written` is not. */
  | { readonly kind: 'word'; readonly text: string; readonly written: string }
  | { readonly kind: 'quoted'; readonly text: string }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'integer'; readonly digits: string }
  | { readonly kind: 'real'; readonly value: number }
  | { readonly kind: 'symbol'; readonly symbol: string }
  | { readonly kind: 'end' }

/**
 * Longer ones first, so that `->>` is not read as `->` and `>`. Those that sync configs do not have are read whole, so
 * that they can be refused by name.
 */
const SYMBOLS = (
  '->> #>> !~* -> <> != <= >= << >> || && == :: #> @> <@ ?| ?& ~* !~ ~~ ' +
  '( ) [ ] , . ; = < > + - * / % & | ~ ? : $ ! @ # ^ { } ` \\'
).split(' ')

const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const NUMBER = /\d+(?:\.\d*)?|\.\d+/y
const EXPONENT = /[eE][+-]?\d+/y
const SPACE = /(?:\s+|--[^\n]*)+/y

/** Splits a query into words, literals and symbols, the way PostgreSQL does; the last token is `end`. */
export function tokenize(sql: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  while ((at = skipBlank(sql, at)) < sql.length) {
    const token = readToken(sql, at)
    tokens.push(token)
    at = token.end
  }
  tokens.push({ kind: 'end', start: sql.length, end: sql.length })
  return tokens
}

function readToken(sql: string, start: number): Token {
  const char = sql.charAt(start)
  if (char === "'") return readText(sql, start, start)
  if (sql.charAt(start + 1) === "'" && /[a-z]/i.test(char)) return readPrefixed(sql, start, char)
  if (char === '"') return readQuoted(sql, start)
  const word = matchAt(WORD, sql, start)
  if (word !== undefined)
    return { kind: 'word', text: word.toLowerCase(), written: word, start, end: start + word.length }
  const number = matchAt(NUMBER, sql, start)
  if (number !== undefined) return readNumber(sql, number, start)
  const symbol = SYMBOLS.find((candidate) => sql.startsWith(candidate, start))
  if (symbol === undefined)
    throw new SqlError({ start, end: start + 1 }, `Cannot read the character ${JSON.stringify(char)}`)
  return { kind: 'symbol', symbol, start, end: start + symbol.length }
}

/** A text with a letter right before its quote, which says how to read it. */
function readPrefixed(sql: string, start: number, letter: string): Token {
  if (/e/i.test(letter)) return readText(sql, start, start + 1)
  const { end } = readText(sql, start, start + 1)
  const advice = /x/i.test(letter) ? 'compare hex(column) with a text of digits' : `write the text without "${letter}"`
  const what = /x/i.test(letter) ? 'Blob literals' : `Literals like ${letter}'…'`
  throw new SqlError({ start, end }, `${what} do not exist in sync configs: ${advice}`)
}

function readNumber(sql: string, text: string, start: number): Token {
  const end = start + text.length
  const exponent = matchAt(EXPONENT, sql, end)
  if (exponent !== undefined) {
    const span = { start, end: end + exponent.length }
    throw new SqlError(span, `Numbers have no exponents in sync configs: write the digits of ${text}${exponent} out`)
  }
  const letters = matchAt(WORD, sql, end)
  if (letters !== undefined) {
    const span = { start, end: end + letters.length }
    throw new SqlError(span, `Cannot read ${text}${letters}: a name begins with a letter, or stands in double quotes`)
  }
  if (/^\d+$/.test(text)) return { kind: 'integer', digits: String(BigInt(text)), start, end }
  return { kind: 'real', value: Number(text), start, end }
}

const ESCAPES: { readonly [letter: string]: string } = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
const CODE_ESCAPE =
  /\\(?:[xX](?<hex>[0-9a-fA-F]{1,2})|u(?<u4>[0-9a-fA-F]{4})|U(?<u8>[0-9a-fA-F]{8})|(?<octal>[0-7]{1,3}))/y

/** `'it''s'`, and with an E before it `E'tab\t'`. */
function readText(sql: string, start: number, quote: number): Token {
  const hasEscapes = quote > start
  let value = ''
  for (let at = quote + 1; at < sql.length; at++) {
    const char = sql.charAt(at)
    if (char === "'") {
      if (sql.charAt(at + 1) !== "'") return { kind: 'text', value, start, end: at + 1 }
      at++
      value += char
    } else if (char === '\\' && hasEscapes) {
      const escape = readEscape(sql, at)
      at += escape.length - 1
      value += escape.text
    } else {
      value += char
    }
  }
  throw new SqlError({ start, end: sql.length }, "This text has no closing quote: expected '")
}

/** What the backslash at `at` and what follows it stand for, and how long that is in the query. */
function readEscape(sql: string, at: number): { readonly text: string; readonly length: number } {
  CODE_ESCAPE.lastIndex = at
  const match = CODE_ESCAPE.exec(sql)
  if (match === null) {
    const letter = sql.charAt(at + 1)
    return { text: ESCAPES[letter] ?? letter, length: 2 }
  }
  const [written] = match
  const { hex, u4, u8, octal } = match.groups ?? {}
  const code = octal === undefined ? Number.parseInt(hex ?? u4 ?? u8 ?? '0', 16) : Number.parseInt(octal, 8)
  if (code > 0x10_ff_ff) {
    throw new SqlError(
      { start: at, end: at + written.length },
      `${written} is no character: expected at most \\U0010FFFF`,
    )
  }
  return { text: String.fromCodePoint(code), length: written.length }
}

function readQuoted(sql: string, start: number): Token {
  let text = ''
  for (let at = start + 1; at < sql.length; at++) {
    const char = sql.charAt(at)
    if (char !== '"') {
      text += char
    } else if (sql.charAt(at + 1) === '"') {
      at++
      text += char
    } else {
      if (text === '') throw new SqlError({ start, end: at + 1 }, 'A quoted name must not be empty')
      return { kind: 'quoted', text, start, end: at + 1 }
    }
  }
  throw new SqlError({ start, end: sql.length }, 'This name has no closing quote: expected "')
}

/** Past white space and comments. */
function skipBlank(sql: string, from: number): number {
  let at = from
  for (;;) {
    at += matchAt(SPACE, sql, at)?.length ?? 0
    if (!sql.startsWith('/*', at)) return at
    const close = sql.indexOf('*/', at + 2)
    if (close === -1) throw new SqlError({ start: at, end: sql.length }, 'This comment has no end: expected */')
    at = close + 2
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}
