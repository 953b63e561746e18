import type { SqliteValue } from '../types.ts'
import { valueToText } from '../values/value.ts'
import { type Json, parseJson } from './json.ts'
import { RecentTexts } from './recent-texts.ts'

const recent = new RecentTexts<Json>((text) => parseJson(text))

/** What the text of a value says as JSON. Throws `EvaluationError` when it is none. */
export function readJson(value: SqliteValue): Json {
  return recent.read(valueToText(value))
}
