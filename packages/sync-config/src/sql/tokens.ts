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

/** Longer ones first, so that `->>` is not read as `->` and `>`. */
const SYMBOLS = '->> :: -> <> != <= >= << >> || && == ( ) [ ] , . ; = < > + - * / % & | ~ ? : $ ! @ # ^ { } ` \\'.split(
  ' ',
)

const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const NUMBER = /\d+(?:\.\d*)?|\.\d+/y
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
  if ((char === 'E' || char === 'e') && sql.charAt(start + 1) === "'") return readText(sql, start, start + 1)
  if (char === '"') return readQuoted(sql, start)
  const word = matchAt(WORD, sql, start)
  if (word !== undefined)
    return { kind: 'word', text: word.toLowerCase(), written: word, start, end: start + word.length }
  const number = matchAt(NUMBER, sql, start)
  if (number !== undefined) return readNumber(number, start)
  const symbol = SYMBOLS.find((candidate) => sql.startsWith(candidate, start))
  if (symbol === undefined)
    throw new SqlError({ start, end: start + 1 }, `Cannot read the character ${JSON.stringify(char)}`)
  return { kind: 'symbol', symbol, start, end: start + symbol.length }
}

function readNumber(text: string, start: number): Token {
  const span = { start, end: start + text.length }
  if (/^\d+$/.test(text)) return { kind: 'integer', digits: String(BigInt(text)), ...span }
  return { kind: 'real', value: Number(text), ...span }
}

const ESCAPES: { readonly [letter: string]: string } = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

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
      at++
      value += ESCAPES[sql.charAt(at)] ?? sql.charAt(at)
    } else {
      value += char
    }
  }
  throw new SqlError({ start, end: sql.length }, "This text has no closing quote: expected '")
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
