import { EvaluationError, realToJson } from '../values/value.ts'

/** A JSON value whose numbers kept their kind: digits alone are an exact integer, a point or exponent makes a real. */
export type Json = null | boolean | bigint | number | string | readonly Json[] | JsonMembers
/** In the order of the text. */
export type JsonMembers = ReadonlyMap<string, Json>

export type JsonReading = {
  /** `real`: every number is a real, but integers that a double cannot tell from their neighbours stay exact. */
  readonly numbers: 'exact' | 'real'
  /** Of a key that stands twice: is it an error unless both values are the same, or does the last one count? */
  readonly repeatedKeys: 'same' | 'last'
}

const EXACT: JsonReading = { numbers: 'exact', repeatedKeys: 'same' }

/** As deep as SQLite reads. */
export const JSON_DEPTH_MAX = 1000
/** Longer ones take too long to turn into numbers, and nobody counts so far. */
const INTEGER_DIGITS_MAX = 10_000
/** Doubles have 53 bits: above this they miss integers. */
const DOUBLE_INTEGER_MAX = 2n ** 53n
/** Integers of so few digits are below that. */
const SAFE_DIGITS = 15

/** Reads strict JSON. Throws `EvaluationError` for anything else. */
export function parseJson(text: string, reading: JsonReading = EXACT): Json {
  return new JsonReader(text, reading).readDocument()
}

/** Without white space; integers and reals keep their kind. */
export function writeJson(value: Json): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return realToJson(value)
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'object':
      if (value === null) return 'null'
      if (isArray(value)) return `[${value.map(writeJson).join(',')}]`
      return `{${orderedKeys(value)
        .map((key) => `${JSON.stringify(key)}:${writeJson(value.get(key) ?? null)}`)
        .join(',')}}`
  }
}

/** As in objects of JavaScript, which is what configs rely on: array indexes first, by size, then the others as they came. */
export function orderedKeys(members: JsonMembers): readonly string[] {
  const keys = [...members.keys()]
  const indexes = keys.filter(isArrayIndex)
  if (indexes.length === 0) return keys
  return [...indexes.toSorted((a, b) => Number(a) - Number(b)), ...keys.filter((key) => !isArrayIndex(key))]
}

export function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

/** An integer as digits with a sign or without one. Throws `EvaluationError` for one of absurd length. */
export function toInteger(digits: string): bigint {
  if (digits.length > INTEGER_DIGITS_MAX) {
    throw new EvaluationError(`Cannot read a number: expected at most ${INTEGER_DIGITS_MAX} digits`)
  }
  return BigInt(digits)
}

const ARRAY_INDEX = /^(?:0|[1-9]\d{0,9})$/
const ARRAY_INDEX_MAX = 2 ** 32 - 2

export function isArrayIndex(key: string): boolean {
  // Most keys begin with a letter.
  return key.charCodeAt(0) <= NINE && ARRAY_INDEX.test(key) && Number(key) <= ARRAY_INDEX_MAX
}

const [TAB, NEWLINE, RETURN, SPACE] = [9, 10, 13, 32]
const [QUOTE, PLUS, COMMA, MINUS, POINT, ZERO, NINE, COLON] = [34, 43, 44, 45, 46, 48, 57, 58]
const [UPPER_E, OPEN_ARRAY, BACKSLASH, CLOSE_ARRAY, LOWER_E] = [69, 91, 92, 93, 101]
const [LOWER_F, LOWER_N, LOWER_T, LOWER_U, OPEN_OBJECT, CLOSE_OBJECT] = [102, 110, 116, 117, 123, 125]

class JsonReader {
  readonly #text: string
  readonly #reading: JsonReading
  #at = 0

  constructor(text: string, reading: JsonReading) {
    this.#text = text
    this.#reading = reading
  }

  readDocument(): Json {
    const value = this.#readValue(1)
    this.#skipSpace()
    if (this.#at < this.#text.length) this.#fail('the end')
    return value
  }

  /** `depth` counts the arrays and objects around it, itself included if it is one. */
  #readValue(depth: number): Json {
    this.#skipSpace()
    switch (this.#text.charCodeAt(this.#at)) {
      case QUOTE:
        return this.#readString()
      case OPEN_OBJECT:
        return this.#readObject(depth)
      case OPEN_ARRAY:
        return this.#readArray(depth)
      case LOWER_T:
        return this.#readWord('true', true)
      case LOWER_F:
        return this.#readWord('false', false)
      case LOWER_N:
        return this.#readWord('null', null)
      default:
        return this.#readNumber()
    }
  }

  #readObject(depth: number): JsonMembers {
    this.#open(depth)
    const members = new Map<string, Json>()
    if (this.#accept(CLOSE_OBJECT)) return members
    do {
      this.#skipSpace()
      if (this.#text.charCodeAt(this.#at) !== QUOTE) this.#fail('a key in double quotes')
      const key = this.#readString()
      if (!this.#accept(COLON)) this.#fail('":"')
      const value = this.#readValue(depth + 1)
      const before = this.#reading.repeatedKeys === 'last' ? undefined : members.get(key)
      if (before === undefined) members.set(key, value)
      else if (!isSame(before, value)) this.#fail('the same value for a key that stands twice')
    } while (this.#accept(COMMA))
    if (!this.#accept(CLOSE_OBJECT)) this.#fail('"," or "}"')
    return members
  }

  #readArray(depth: number): readonly Json[] {
    this.#open(depth)
    const elements: Json[] = []
    if (this.#accept(CLOSE_ARRAY)) return elements
    do elements.push(this.#readValue(depth + 1))
    while (this.#accept(COMMA))
    if (!this.#accept(CLOSE_ARRAY)) this.#fail('"," or "]"')
    return elements
  }

  #open(depth: number): void {
    if (depth > JSON_DEPTH_MAX) {
      throw new EvaluationError(`Cannot read JSON: expected at most ${JSON_DEPTH_MAX} levels of arrays and objects`)
    }
    this.#at++
  }

  #readWord(word: string, value: boolean | null): boolean | null {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value')
    this.#at += word.length
    return value
  }

  #readNumber(): bigint | number {
    const start = this.#at
    if (this.#peek() === MINUS) this.#at++
    const first = this.#at
    this.#skipDigits('a value')
    if (this.#text.charCodeAt(first) === ZERO && this.#at > first + 1) this.#fail('a number without leading zeros')
    const whole = this.#at
    if (this.#peek() === POINT) {
      this.#at++
      this.#skipDigits('a digit')
    }
    if (this.#peek() === LOWER_E || this.#peek() === UPPER_E) {
      this.#at++
      if (this.#peek() === PLUS || this.#peek() === MINUS) this.#at++
      this.#skipDigits('a digit')
    }
    const text = this.#text.slice(start, this.#at)
    if (this.#at > whole) return Number(text)
    if (this.#reading.numbers === 'exact') return toInteger(text)
    if (text.length <= SAFE_DIGITS) return Number(text)
    const integer = toInteger(text)
    return integer > DOUBLE_INTEGER_MAX || integer < -DOUBLE_INTEGER_MAX ? integer : Number(integer)
  }

  #skipDigits(expected: string): void {
    const start = this.#at
    for (let code = this.#peek(); code >= ZERO && code <= NINE; code = this.#peek()) this.#at++
    if (this.#at === start) this.#fail(expected)
  }

  /** With the quote at the start and the one at the end. */
  #readString(): string {
    let out = ''
    let from = ++this.#at
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === QUOTE) {
        const rest = this.#text.slice(from, this.#at++)
        return out === '' ? rest : out + rest
      }
      if (code === BACKSLASH) {
        out += this.#text.slice(from, this.#at) + this.#readEscape()
        from = this.#at
      } else if (code >= SPACE) {
        this.#at++
      } else {
        // Also the end of the text, whose code is NaN.
        this.#fail('a closing quote')
      }
    }
  }

  #readEscape(): string {
    const char = this.#text.charAt(this.#at + 1)
    if (char.charCodeAt(0) === LOWER_U) {
      const digits = this.#text.slice(this.#at + 2, this.#at + 6)
      if (!FOUR_HEX.test(digits)) this.#fail('four hexadecimal digits')
      this.#at += 6
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    const meant = ESCAPES.get(char)
    if (meant === undefined) this.#fail('an escape that JSON has')
    this.#at += 2
    return meant
  }

  #accept(code: number): boolean {
    this.#skipSpace()
    if (this.#peek() !== code) return false
    this.#at++
    return true
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#peek()
      if (code !== SPACE && code !== NEWLINE && code !== RETURN && code !== TAB) return
      this.#at++
    }
  }

  /** NaN at the end. */
  #peek(): number {
    return this.#text.charCodeAt(this.#at)
  }

  #fail(expected: string): never {
    throw new EvaluationError(`Cannot read JSON: expected ${expected} at character ${this.#at + 1}`)
  }
}

const FOUR_HEX = /^[0-9a-fA-F]{4}$/

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

/** Same content and same kinds: 1 and 1.0 are two things. */
function isSame(a: Json, b: Json): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (isArray(a)) {
    return isArray(b) && a.length === b.length && a.every((element, index) => isSame(element, b[index] ?? null))
  }
  if (isArray(b) || a.size !== b.size) return false
  return [...a].every(([key, value]) => {
    const other = b.get(key)
    return other !== undefined && isSame(value, other)
  })
}
