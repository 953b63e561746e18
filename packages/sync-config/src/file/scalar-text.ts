/**
 * Text of a YAML scalar, with the place in the file of every character of it. Quotes, escapes, folded lines and the
 * indent of blocks stand in the file but not in the text:
 *
 *     file    query: |           text   SELECT *↵FROM t↵
 *               SELECT *                ↑ 0     ↑ 9
 *               FROM t
 */
export type ScalarText = {
  readonly text: string
  /** Offset in the file of the character at `index`; of the end of the scalar when `index` is behind the text. */
  readonly offsetAt: (index: number) => number
}

export type ScalarStyle = 'plain' | 'single-quoted' | 'double-quoted' | 'block'

/** `start` is where the scalar begins in the file: at its opening quote or block header, if it has one. */
export function mapScalar(file: string, start: number, end: number, text: string, style: ScalarStyle): ScalarText {
  const offsets =
    style === 'plain' && file.startsWith(text, start) ? undefined : alignText(file, start, end, text, style)
  return {
    text,
    offsetAt: (index) => (offsets === undefined ? start + Math.min(index, text.length) : (offsets[index] ?? end)),
  }
}

/**
 * Characters that are not white space follow each other in the same order in the file and in the text, so they are
 * found one after the other; white space, which folding changes, is put where the previous character ended.
 */
function alignText(file: string, start: number, end: number, text: string, style: ScalarStyle): readonly number[] {
  const offsets: number[] = []
  let at = bodyStart(file, start, end, style)
  for (let index = 0; index < text.length; index++) {
    if (isSpace(text.charAt(index))) {
      offsets.push(at)
      if (isSpace(file.charAt(at)) && file.charAt(at) !== '\n') at++
      continue
    }
    at = skipSpace(file, at, end, style)
    offsets.push(at)
    const { length, units } = unitAt(file, at, style)
    for (let unit = 1; unit < units && index + 1 < text.length; unit++, index++) offsets.push(at)
    at += length
  }
  return offsets
}

function bodyStart(file: string, start: number, end: number, style: ScalarStyle): number {
  if (style === 'block') {
    const newline = file.indexOf('\n', start)
    return newline === -1 ? end : newline + 1
  }
  return style === 'plain' ? start : start + 1
}

function skipSpace(file: string, from: number, end: number, style: ScalarStyle): number {
  let at = from
  while (at < end) {
    if (isSpace(file.charAt(at))) at++
    else if (style === 'double-quoted' && file.charAt(at) === '\\' && SPACE_ESCAPES.has(file.charAt(at + 1))) at += 2
    else break
  }
  return at
}

/** Escapes of white space, and of a line end that joins two lines. */
const SPACE_ESCAPES = new Set(['n', 't', 'v', 'f', 'r', ' ', '_', 'N', 'L', 'P', '\t', '\n', '\r'])
const HEX_ESCAPE_LENGTH: { readonly [letter: string]: number } = { x: 4, u: 6, U: 10 }

/** How long the thing at `at` is in the file, and how many UTF-16 units it is in the text. */
function unitAt(file: string, at: number, style: ScalarStyle): { readonly length: number; readonly units: number } {
  if (style === 'single-quoted' && file.startsWith("''", at)) return { length: 2, units: 1 }
  if (style !== 'double-quoted' || file.charAt(at) !== '\\') return { length: 1, units: 1 }
  const length = HEX_ESCAPE_LENGTH[file.charAt(at + 1)] ?? 2
  const isWide = length === 10 && Number.parseInt(file.slice(at + 2, at + 10), 16) > 0xffff
  return { length, units: isWide ? 2 : 1 }
}

function isSpace(char: string): boolean {
  return /[\s\u0085]/.test(char)
}
