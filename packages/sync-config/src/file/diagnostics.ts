import type { Diagnostic } from '../types.ts'

/** A stretch of the file, or of one query: offsets in UTF-16 units, `end` behind the last one. */
export type Span = { readonly start: number; readonly end: number }

/** A place in the file as people see it. */
export type Place = Pick<Diagnostic, 'line' | 'column' | 'excerpt'>

/** Characters of a line shown around the place it is about. */
const EXCERPT_MAX = 100

/** Gathers what is wrong with one file. */
export class Problems {
  readonly #text: string
  readonly #lineStarts: readonly number[]
  readonly #found: { readonly offset: number; readonly diagnostic: Diagnostic }[] = []

  constructor(text: string) {
    this.#text = text
    const starts = [0]
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    this.#lineStarts = starts
  }

  error(offset: number, message: string): void {
    this.#add('error', offset, message)
  }

  warn(offset: number, message: string): void {
    this.#add('warning', offset, message)
  }

  get hasErrors(): boolean {
    return this.#found.some(({ diagnostic }) => diagnostic.severity === 'error')
  }

  /** In the order of the file. */
  list(): readonly Diagnostic[] {
    return this.#found.toSorted((a, b) => a.offset - b.offset).map(({ diagnostic }) => diagnostic)
  }

  placeOf(offset: number): Place {
    const lineIndex = this.#lineAt(offset)
    const start = this.#lineStarts[lineIndex] ?? 0
    const line = this.#text.slice(start, this.#lineStarts[lineIndex + 1]).replace(/\r?\n$/, '')
    const column = Math.min(offset - start, line.length)
    return { line: lineIndex + 1, column: column + 1, excerpt: excerptOf(line, column) }
  }

  /** Index of the line that an offset is in. */
  #lineAt(offset: number): number {
    let [low, high] = [0, this.#lineStarts.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  #add(severity: Diagnostic['severity'], offset: number, message: string): void {
    const diagnostic = { severity, message, ...this.placeOf(offset) }
    const isKnown = this.#found.some((other) => other.offset === offset && other.diagnostic.message === message)
    if (!isKnown) this.#found.push({ offset, diagnostic })
  }
}

function excerptOf(line: string, column: number): string {
  const from = line.length <= EXCERPT_MAX ? 0 : Math.max(0, column - EXCERPT_MAX / 2)
  const shown = line.slice(from, from + EXCERPT_MAX)
  const before = shown.slice(0, column - from).replaceAll(/[^\t]/g, ' ')
  return `${shown}\n${before}^`
}
