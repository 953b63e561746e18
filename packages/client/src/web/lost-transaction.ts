/**
 * What becomes of a transaction when the worker that ran it dies: SQLite has rolled it back, but whoever wrote it is
 * still going on. Its next statements must not run on a fresh connection as if nothing had happened.
 */
export type StatementFate = 'run' | 'refuse' | 'already-rolled-back'

/** `isLost`: a transaction was open when the worker died, and its writer has not yet ended it. */
export function fateOfStatement(isLost: boolean, sql: string): StatementFate {
  if (!isLost) return 'run'
  if (/^\s*ROLLBACK\b(?!\s+TO\b)/i.test(sql)) return 'already-rolled-back'
  return /^\s*BEGIN\b/i.test(sql) ? 'run' : 'refuse'
}
