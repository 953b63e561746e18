/** Text that is not in the form its Postgres type prints; the text itself is then used. */
export class MalformedText extends Error {
  override readonly name = 'MalformedText'
}

/** Elements of an array as Postgres prints it: text, null for NULL, a list for a further dimension. */
export type ArrayText = readonly (string | null | ArrayText)[]

/** Reads `{a,"b c",NULL,{d}}`; a prefix with the bounds of the dimensions, `[0:1]={…}`, is dropped. */
export function parseArrayText(text: string, delimiter: string): ArrayText {
  const cursor = new TextCursor(text)
  if (cursor.peek() === '[') cursor.skipPast('=')
  const elements = parseDimension(cursor, delimiter)
  cursor.expectEnd()
  return elements
}

/** Reads `(1,,"a ""b""")`: the members in order, null for NULL. */
export function parseCompositeText(text: string): readonly (string | null)[] {
  const cursor = new TextCursor(text)
  cursor.expect('(')
  const members = [parseField(cursor, ',)')]
  while (cursor.accept(',')) members.push(parseField(cursor, ',)'))
  cursor.expect(')')
  cursor.expectEnd()
  return members
}

export type RangeText =
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'bounds'
      readonly lower: string | null
      readonly upper: string | null
      readonly lowerExclusive: boolean
      readonly upperExclusive: boolean
    }

/** Reads `[1,5)`, `(,5]` or `empty`. */
export function parseRangeText(text: string): RangeText {
  if (text === 'empty') return { kind: 'empty' }
  const cursor = new TextCursor(text)
  const range = parseBounds(cursor)
  cursor.expectEnd()
  return range
}

/** Reads `{[1,3),[5,8)}`. */
export function parseMultirangeText(text: string): readonly RangeText[] {
  const cursor = new TextCursor(text)
  const ranges: RangeText[] = []
  cursor.expect('{')
  if (!cursor.accept('}')) {
    do ranges.push(parseBounds(cursor))
    while (cursor.accept(','))
    cursor.expect('}')
  }
  cursor.expectEnd()
  return ranges
}

function parseDimension(cursor: TextCursor, delimiter: string): ArrayText {
  const elements: (string | null | ArrayText)[] = []
  cursor.expect('{')
  if (cursor.accept('}')) return elements
  do elements.push(cursor.peek() === '{' ? parseDimension(cursor, delimiter) : parseElement(cursor, delimiter))
  while (cursor.accept(delimiter))
  cursor.expect('}')
  return elements
}

function parseElement(cursor: TextCursor, delimiter: string): string | null {
  if (cursor.peek() === '"') return cursor.takeQuoted()
  const text = cursor.takeUntil(`${delimiter}}`)
  return text === 'NULL' ? null : text
}

function parseBounds(cursor: TextCursor): RangeText {
  const lowerExclusive = cursor.peek() === '('
  cursor.expect(lowerExclusive ? '(' : '[')
  const lower = parseField(cursor, ',')
  cursor.expect(',')
  const upper = parseField(cursor, ')]')
  const upperExclusive = cursor.peek() === ')'
  cursor.expect(upperExclusive ? ')' : ']')
  return { kind: 'bounds', lower, upper, lowerExclusive, upperExclusive }
}

/** A member or bound: quoted and bare stretches in a row; nothing at all is NULL, `""` is empty text. */
function parseField(cursor: TextCursor, ends: string): string | null {
  let text: string | null = null
  for (let next = cursor.peek(); next !== '' && !ends.includes(next); next = cursor.peek()) {
    text = (text ?? '') + (next === '"' ? cursor.takeQuoted() : cursor.takeUntil(`${ends}"`))
  }
  return text
}

class TextCursor {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** The next character; empty at the end. */
  peek(): string {
    return this.#text.charAt(this.#at)
  }

  accept(char: string): boolean {
    if (this.peek() !== char || char === '') return false
    this.#at++
    return true
  }

  expect(char: string): void {
    if (!this.accept(char)) this.#fail(`"${char}"`)
  }

  expectEnd(): void {
    if (this.#at < this.#text.length) this.#fail('the end')
  }

  skipPast(char: string): void {
    const found = this.#text.indexOf(char, this.#at)
    if (found === -1) this.#fail(`"${char}"`)
    this.#at = found + 1
  }

  /** Text up to one of `ends`, with a backslash before a character taking it as it is. */
  takeUntil(ends: string): string {
    let out = ''
    for (let next = this.peek(); next !== '' && !ends.includes(next); next = this.peek()) {
      if (next === '\\') this.#at++
      out += this.peek()
      this.#at++
    }
    return out
  }

  /** Text in double quotes; inside, `""` and `\"` are a quote. */
  takeQuoted(): string {
    let out = ''
    this.expect('"')
    for (;;) {
      const next = this.peek()
      if (next === '') this.#fail('a closing quote')
      this.#at++
      if (next === '"') {
        if (this.peek() !== '"') return out
        this.#at++
        out += '"'
      } else if (next === '\\') {
        out += this.peek()
        this.#at++
      } else {
        out += next
      }
    }
  }

  #fail(expected: string): never {
    throw new MalformedText(`Cannot read a value: expected ${expected} at character ${this.#at}`)
  }
}
