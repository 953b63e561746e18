/** Characters that some platforms' line readers (Swift's) take for the end of a line although JSON allows them in strings. */
const UNUSUAL_LINE_ENDS = /[\u0085\u2028\u2029]/

/**
 * JSON text with U+0085, U+2028 and U+2029 as `\u` escapes: the same value in one line for every reader.
 * They can only stand inside strings, since JSON does not count them as white space.
 */
export function escapeLineEnds(json: string): string {
  if (!UNUSUAL_LINE_ENDS.test(json)) return json
  return json.replaceAll('\u0085', '\\u0085').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
}
