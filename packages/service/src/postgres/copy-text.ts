/** Splits the bytes of `COPY … TO STDOUT` in text format into rows. */
export type CopyTextSplitter = {
  /** Rows that are whole after this piece. */
  readonly push: (piece: Buffer) => readonly (readonly (string | null)[])[]
}

const LINE_FEED = 0x0a
const TAB = '\t'
const NULL_TEXT = '\\N'

const ESCAPES: { readonly [letter: string]: string } = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/**
 * One row a line, columns by tabs, `\N` for NULL, backslash escapes. Line feeds and tabs inside values are escaped by
 * Postgres, so a line feed byte always ends a row. `columns` 0: a table without columns sends empty lines.
 */
export function createCopyTextSplitter(): CopyTextSplitter {
  let rest: readonly Buffer[] = []
  return {
    push: (piece) => {
      const last = piece.lastIndexOf(LINE_FEED)
      if (last < 0) {
        rest = [...rest, piece]
        return []
      }
      const head = piece.subarray(0, last)
      const text = rest.length === 0 ? head.toString('utf8') : Buffer.concat([...rest, head]).toString('utf8')
      rest = last + 1 < piece.length ? [piece.subarray(last + 1)] : []
      const hasEscapes = text.includes('\\')
      return text.split('\n').map(hasEscapes ? readEscapedLine : readPlainLine)
    },
  }
}

function readPlainLine(line: string): readonly (string | null)[] {
  return line.split(TAB)
}

function readEscapedLine(line: string): readonly (string | null)[] {
  const values: (string | null)[] = line.split(TAB)
  if (!line.includes('\\')) return values
  for (const [index, value] of values.entries()) {
    if (value === NULL_TEXT) values[index] = null
    else if (value?.includes('\\') === true) values[index] = unescape(value)
  }
  return values
}

/** Every escape that Postgres writes; it also reads octal and hexadecimal ones, but never writes them. */
function unescape(value: string): string {
  return value.replaceAll(/\\(.)/gsu, (_, letter: string) => ESCAPES[letter] ?? letter)
}
