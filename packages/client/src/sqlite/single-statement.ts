import { SqliteError } from './sqlite-error.ts'

const SQLITE_ERROR = 1

/** Space, comments and semicolons. */
const NOTHING_MORE = /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*$/

/** SQLite prepares the first statement of a text and leaves the rest: a write there would be lost without a word. */
export function refuseSeveral(sql: string, firstStatement: string): void {
  if (sql.length === firstStatement.length || NOTHING_MORE.test(sql.slice(firstStatement.length))) return
  throw new SqliteError(
    `Cannot run several statements in one text: run them one by one, in a transaction (in: ${sql.trim().slice(0, 200)})`,
    SQLITE_ERROR,
  )
}
