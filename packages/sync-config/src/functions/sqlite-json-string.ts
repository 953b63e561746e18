/** A JSON string as it stands between its quotes. */
export type JsonString = {
  readonly kind: 'string'
  readonly content: string
  /**
   * `plain`: no escapes. `escaped`: those of JSON. `json5`: those of JSON5, and characters that JSON would escape. `raw`:
   * the text itself, nothing is escaped.
   */
  readonly style: 'plain' | 'escaped' | 'json5' | 'raw'
}

/** The text that a string means. Escaped line breaks mean nothing, but SQLite makes a NUL of those at the end. */
export function unescapeJson({ content, style }: JsonString): string {
  if (style === 'plain' || style === 'raw') return content
  return content.replace(ESCAPE, (escape, offset: number) => {
    if (!LINE_BREAK.test(escape)) return meaningOf(escape)
    return offset + escape.length === content.length ? '\0' : ''
  })
}

/** One character with the digits that `\u` and `\x` have, or a line break. */
const ESCAPE = /\\(?:u[\da-fA-F]{4}|x[\da-fA-F]{2}|\r\n|[^])/g
const LINE_BREAK = /^\\[\r\n\u2028\u2029]/

const SIMPLE: { readonly [letter: string]: string } = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', 0: '\0' }

function meaningOf(escape: string): string {
  const letter = escape.charAt(1)
  if (letter === 'u' || letter === 'x') return String.fromCharCode(Number.parseInt(escape.slice(2), 16))
  return SIMPLE[letter] ?? letter
}

/** As a string of standard JSON, with its quotes. Escapes that JSON has stay as they were written. */
export function writeJsonString({ content, style }: JsonString): string {
  switch (style) {
    case 'plain':
    case 'escaped':
      return `"${content}"`
    case 'json5':
      return `"${content.replace(ESCAPE_OR_RAW, toStandard)}"`
    case 'raw':
      return JSON.stringify(content)
  }
}

/** Escapes as above, and what has to be one in standard JSON. */
const ESCAPE_OR_RAW = new RegExp(`${ESCAPE.source}|["\\0-\\x1F]`, 'g')

function toStandard(found: string): string {
  if (!found.startsWith('\\')) return JSON.stringify(found).slice(1, -1)
  if (LINE_BREAK.test(found)) return ''
  switch (found.charAt(1)) {
    case "'":
      return "'"
    case 'v':
      return '\\u000b'
    case '0':
      return '\\u0000'
    case 'x':
      return `\\u00${found.slice(2)}`
    default:
      return found
  }
}
