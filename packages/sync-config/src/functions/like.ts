import { textOf } from './sqlite-text.ts'
import type { ScalarFunction } from './functions.ts'

/** A character of a pattern; undefined for one that may be any. */
type Unit = string | undefined

/** What stands between the `%` of a pattern. */
type Pattern = readonly (readonly Unit[])[]

/**
 * `x LIKE pattern ESCAPE escape` with SQLite's rules: `%` is any text, `_` any character, letters of ASCII are the same
 * in both cases, and text ends at a NUL. NULL where one of them is. The function remembers the last pattern.
 */
export function makeLike(): ScalarFunction {
  let known: { readonly pattern: unknown; readonly escape: unknown; readonly parts: Pattern | undefined } | undefined
  return (x = null, pattern = null, escape = '') => {
    if (x === null || pattern === null || escape === null) return null
    if (known?.pattern !== pattern || known.escape !== escape) {
      known = { pattern, escape, parts: readPattern(textOf(pattern), textOf(escape)) }
    }
    return known.parts !== undefined && matches(charactersOf(textOf(x)), known.parts) ? 1n : 0n
  }
}

function charactersOf(text: string): readonly string[] {
  const end = text.indexOf('\0')
  return Array.from(foldCase(end < 0 ? text : text.slice(0, end)))
}

function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** Undefined where nothing stands behind the escape: that matches nothing. */
function readPattern(pattern: string, escape: string): Pattern | undefined {
  const escaped = foldCase(escape)
  const parts: Unit[][] = [[]]
  let isEscaped = false
  for (const character of charactersOf(pattern)) {
    if (isEscaped) {
      parts.at(-1)?.push(character)
      isEscaped = false
    } else if (character === escaped) {
      isEscaped = true
    } else if (character === '%') {
      parts.push([])
    } else {
      parts.at(-1)?.push(character === '_' ? undefined : character)
    }
  }
  return isEscaped ? undefined : parts
}

/** Each part is taken where it comes first: what is behind it then has the most room. */
function matches(text: readonly string[], parts: Pattern): boolean {
  const [first = [], ...others] = parts
  const last = others.pop()
  if (!standsAt(text, first, 0)) return false
  if (last === undefined) return text.length === first.length
  let at = first.length
  for (const part of others) {
    while (at + part.length <= text.length && !standsAt(text, part, at)) at += 1
    at += part.length
  }
  const end = text.length - last.length
  return at <= end && standsAt(text, last, end)
}

function standsAt(text: readonly string[], part: readonly Unit[], at: number): boolean {
  if (at + part.length > text.length) return false
  return part.every((unit, index) => unit === undefined || unit === text[at + index])
}
