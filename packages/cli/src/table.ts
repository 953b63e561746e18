import { styleText } from 'node:util'

type Output = { readonly isTTY?: boolean; readonly columns?: number }

/** Kept free at the right of a line, so that a terminal does not wrap it. */
const LAST_CELL_CHARS_MIN = 20

/**
 * Columns as wide as their widest cell. On a terminal the last one is cut at its edge and the titles are bold; in a
 * pipe everything is written out.
 */
export function formatTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  output: Output & NodeJS.WritableStream,
): string {
  const widths = titles.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)))
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0)
  const lastMax =
    output.isTTY === true ? Math.max(LAST_CELL_CHARS_MIN, (output.columns ?? 80) - before) : Number.POSITIVE_INFINITY
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, index) => (index === titles.length - 1 ? cut(cell, lastMax) : cell.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd()
  const heading = styleText('bold', format(titles), { stream: output })
  return [heading, ...rows.map(format)].join('\n')
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`
}
