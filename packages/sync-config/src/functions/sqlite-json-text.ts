import { JSON_DEPTH_MAX } from './json.ts'
import { type JsonMember, type JsonNode, malformedJson } from './sqlite-json-node.ts'
import type { JsonString } from './sqlite-json-string.ts'

export type ParsedJson = {
  readonly root: JsonNode
  /** Is it JSON as RFC 8259 has it, without extensions of JSON5? */
  readonly isStandard: boolean
}

/**
 * Reads JSON, and what SQLite accepts beside it: JSON5, with `NaN` as null and `Infinity` as a number that is too large.
 * The text ends at its first NUL. Throws `EvaluationError` where it is malformed, or deeper than 1,000 levels.
 */
export function parseSqliteJson(text: string): ParsedJson {
  const nul = text.indexOf('\0')
  return new JsonReader(nul < 0 ? text : text.slice(0, nul)).read()
}

const STANDARD_SPACE = /[\t\n\r ]*/y
/** One kind of what JSON5 has beside it, so that no text is too long for the pattern. */
const EXTENDED_SPACE =
  /[\t-\r \u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\uFEFF]+|\/\*[^]*?\*\/|\/\/[^\n\r\u2028\u2029]*/y
const NUMBER = /[+-]?(?:0[xX][\da-fA-F]+|(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)/y
const STANDARD_NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const INFINITY = /[+-]?inf(?:inity)?/iy
const IDENTIFIER_START = /[A-Za-z_$]|[^\0-\x7F]|\\(?=u[\da-fA-F]{4})/y
const IDENTIFIER_PART = /[\w$]+|[^\0-\x7F\s]+|\\(?=u[\da-fA-F]{4})/y

/** Words that stand for a value, and must not be names without quotes. */
const WORDS: readonly { readonly pattern: RegExp; readonly node: JsonNode; readonly isStandard: boolean }[] = [
  { pattern: /true(?![\da-zA-Z])/y, node: { kind: 'true' }, isStandard: true },
  { pattern: /false(?![\da-zA-Z])/y, node: { kind: 'false' }, isStandard: true },
  { pattern: /null(?![\da-zA-Z])/y, node: { kind: 'null' }, isStandard: true },
  { pattern: /inf(?:inity)?(?![\da-zA-Z])/iy, node: { kind: 'real', digits: '9e999' }, isStandard: false },
  { pattern: /[qs]?nan(?![\da-zA-Z])/iy, node: { kind: 'null' }, isStandard: false },
]

class JsonReader {
  readonly #text: string
  #position = 0
  #depth = 0
  #isStandard = true

  constructor(text: string) {
    this.#text = text
  }

  read(): ParsedJson {
    const root = this.#readValue()
    this.#skipSpace()
    if (this.#position < this.#text.length) throw malformedJson()
    return { root, isStandard: this.#isStandard }
  }

  #readValue(): JsonNode {
    this.#skipSpace()
    switch (this.#text.charAt(this.#position)) {
      case '{':
        return this.#readObject()
      case '[':
        return this.#readArray()
      case '"':
      case "'":
        return this.#readString()
      default:
        return this.#readWord() ?? this.#readNumber()
    }
  }

  #readArray(): JsonNode {
    const items: JsonNode[] = []
    this.#readList(']', () => {
      items.push(this.#readValue())
    })
    return { kind: 'array', items }
  }

  #readObject(): JsonNode {
    const members: JsonMember[] = []
    this.#readList('}', () => {
      const name = this.#readName()
      this.#skipSpace()
      if (!this.#take(':')) throw malformedJson()
      members.push({ name, value: this.#readValue() })
    })
    return { kind: 'object', members }
  }

  /** From the opening bracket to the closing one. JSON5 has a comma before it, too. */
  #readList(close: string, readPart: () => void): void {
    this.#depth += 1
    if (this.#depth > JSON_DEPTH_MAX) throw malformedJson()
    this.#position += 1
    let isFirst = true
    for (;;) {
      this.#skipSpace()
      if (this.#take(close)) {
        if (!isFirst) this.#isStandard = false
        break
      }
      readPart()
      isFirst = false
      this.#skipSpace()
      if (this.#take(close)) break
      if (!this.#take(',')) throw malformedJson()
    }
    this.#depth -= 1
  }

  #readName(): JsonString {
    const start = this.#text.charAt(this.#position)
    if (start === '"' || start === "'") return this.#readString()
    const from = this.#position
    if (this.#readWord() !== undefined || this.#match(IDENTIFIER_START) === undefined) throw malformedJson()
    while (this.#match(IDENTIFIER_PART) !== undefined);
    const name = this.#text.slice(from, this.#position)
    this.#isStandard = false
    return { kind: 'string', content: name, style: name.includes('\\') ? 'escaped' : 'plain' }
  }

  #readWord(): JsonNode | undefined {
    for (const { pattern, node, isStandard } of WORDS) {
      if (this.#match(pattern) === undefined) continue
      if (!isStandard) this.#isStandard = false
      return node
    }
    return undefined
  }

  #readNumber(): JsonNode {
    const infinity = this.#match(INFINITY)
    if (infinity !== undefined) {
      this.#isStandard = false
      return { kind: 'real', digits: infinity.startsWith('-') ? '-9e999' : '9e999' }
    }
    const number = this.#match(NUMBER)
    if (number === undefined) throw malformedJson()
    if (!STANDARD_NUMBER.test(number)) this.#isStandard = false
    const digits = number.replace('+', number.startsWith('+') ? '' : '+')
    const isReal = !/^-?0x/i.test(digits) && /[.eE]/.test(digits)
    return { kind: isReal ? 'real' : 'integer', digits }
  }

  #readString(): JsonString {
    const text = this.#text
    const quote = text.charAt(this.#position)
    const start = this.#position + 1
    let style: JsonString['style'] = 'plain'
    if (quote === "'") this.#isStandard = false
    let at = start
    for (; ; at += 1) {
      const character = text.charAt(at)
      if (character === quote) break
      if (character === '\\') {
        const escape = readEscape(text, at)
        if (escape.isStandard) {
          if (style === 'plain') style = 'escaped'
        } else {
          style = 'json5'
          this.#isStandard = false
        }
        at += escape.length - 1
      } else if (character === '') {
        throw malformedJson()
      } else if (character < ' ') {
        style = 'json5'
        this.#isStandard = false
      } else if (character === '"') {
        style = 'json5'
      }
    }
    this.#position = at + 1
    return { kind: 'string', content: text.slice(start, at), style }
  }

  #skipSpace(): void {
    STANDARD_SPACE.lastIndex = this.#position
    STANDARD_SPACE.test(this.#text)
    this.#position = STANDARD_SPACE.lastIndex
    while (this.#match(EXTENDED_SPACE) !== undefined) this.#isStandard = false
  }

  #take(character: string): boolean {
    if (this.#text.charAt(this.#position) !== character) return false
    this.#position += 1
    return true
  }

  /** Undefined, and nothing is taken, where the pattern does not match here. */
  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#position += found.length
    return found
  }
}

const STANDARD_ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
const JSON5_ESCAPE = /\\(?:['v\n\u2028\u2029]|\r\n?|0(?!\d)|x[\da-fA-F]{2})/y

function readEscape(text: string, at: number): { readonly length: number; readonly isStandard: boolean } {
  STANDARD_ESCAPE.lastIndex = at
  const standard = STANDARD_ESCAPE.exec(text)?.[0]
  if (standard !== undefined) return { length: standard.length, isStandard: true }
  JSON5_ESCAPE.lastIndex = at
  const extended = JSON5_ESCAPE.exec(text)?.[0]
  if (extended === undefined) throw malformedJson()
  return { length: extended.length, isStandard: false }
}
