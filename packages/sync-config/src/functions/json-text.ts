import type { SqliteValue } from '../types.ts'
import { valueToText } from '../values/value.ts'
import { type Json, parseJson } from './json.ts'

/** Texts whose content is kept: a few columns of one row. */
const KEPT_MAX = 4
/** UTF-16 units. Longer texts are read each time, so that what is kept stays small. */
const KEPT_LENGTH_MAX = 250_000

/** The last texts that were read: expressions over a row tend to look into the same column, one after the other. */
const kept: { readonly text: string; readonly json: Json }[] = []

/** What the text of a value says as JSON. Throws `EvaluationError` when it is none. */
export function readJson(value: SqliteValue): Json {
  const text = valueToText(value)
  const known = kept.find((entry) => entry.text === text)
  if (known !== undefined) return known.json
  const json = parseJson(text)
  if (text.length <= KEPT_LENGTH_MAX) {
    kept.unshift({ text, json })
    if (kept.length > KEPT_MAX) kept.pop()
  }
  return json
}
