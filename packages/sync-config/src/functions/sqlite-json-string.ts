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

/** The text that a string means. */
export function unescapeJson({ content, style }: JsonString): string {
  if (style === 'plain' || style === 'raw') return content
  return content.replace(ESCAPE, (escape) => meaningOf(escape))
}

/** With one escaped line break, CR and LF together, or one escaped character; `\u` and `\x` with their digits. */
const ESCAPE = /\\(?:u[\da-fA-F]{4}|x[\da-fA-F]{2}|\r\n|[^])/g

const SIMPLE: { readonly [letter: string]: string } = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', 0: '\0' }

/** Of one escape. Escaped line breaks mean nothing. */
function meaningOf(escape: string): string {
  const letter = escape.charAt(1)
  switch (letter) {
    case 'u':
    case 'x':
      return String.fromCharCode(Number.parseInt(escape.slice(2), 16))
    case '\r':
    case '\n':
    case '\u2028':
    case '\u2029':
      return ''
    default:
      return SIMPLE[letter] ?? letter
  }
}

/** As a string of standard JSON, with its quotes. Escapes that JSON has stay as they were written. */
export function writeJsonString({ content, style }: JsonString): string {
  switch (style) {
    case 'plain':
    case 'escaped':
      return `"${content}"`
    case 'json5':
      return `"${content.replace(NOT_JSON, toStandard)}"`
    case 'raw':
      return JSON.stringify(content)
  }
}

// eslint-disable-next-line no-control-regex -- they are what has to be found
const NOT_JSON = /\\(?:u[\da-fA-F]{4}|x[\da-fA-F]{2}|\r\n|[^])|["\0-\x1F]/g

function toStandard(found: string): string {
  if (!found.startsWith('\\')) return JSON.stringify(found).slice(1, -1)
  switch (found.charAt(1)) {
    case "'":
      return "'"
    case 'v':
      return '\\u000b'
    case '0':
      return '\\u0000'
    case 'x':
      return `\\u00${found.slice(2)}`
    case '\r':
    case '\n':
    case '\u2028':
    case '\u2029':
      return ''
    default:
      return found
  }
}
