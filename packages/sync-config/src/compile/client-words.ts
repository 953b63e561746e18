import type { Name } from '../sql/tree.ts'
import type { QueryContext } from './query-context.ts'

/** What SQLite takes for a part of a query even where a name could stand, and PostgreSQL does not. */
const CLIENT_WORDS = new Set(
  'add alter autoincrement between commit delete drop escape exists if index insert nothing set transaction update values'.split(
    ' ',
  ),
)

/** Warns of a name without quotes that is a column here, and a keyword on clients. */
export function warnOfClientWord(context: QueryContext, name: Name): void {
  if (name.isQuoted || !CLIENT_WORDS.has(name.text)) return
  const advice = `write "${name.text}" if that is meant; queries on clients need the quotes`
  context.warn(name, `"${name.text}" is a keyword of SQL, and taken for the name of a column here: ${advice}`)
}
