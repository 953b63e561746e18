import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CopyProgress, RowError } from '../delta.ts'

/** The newest row errors that are kept. */
const ROW_ERRORS_MAX = 1_000

/** The tables `copy_progress` and `row_error`. */
export class CopyTable {
  readonly #writeCopy: StatementSync
  readonly #readCopies: StatementSync
  readonly #insertError: StatementSync
  readonly #trimErrors: StatementSync
  readonly #readErrors: StatementSync

  constructor(writer: DatabaseSync) {
    this.#writeCopy = writer.prepare(
      `INSERT OR REPLACE INTO copy_progress
         (table_name, relation_oid, cursor, done, rows_copied, rows_estimated)
       VALUES (?, ?, ?, ?, ?, ?)`,
    )
    this.#readCopies = writer.prepare(
      `SELECT table_name, relation_oid, cursor, done, rows_copied, rows_estimated
       FROM copy_progress ORDER BY table_name`,
    )
    this.#insertError = writer.prepare(
      'INSERT INTO row_error (table_name, row, definition, message, at_ms) VALUES (?, ?, ?, ?, ?)',
    )
    this.#trimErrors = writer.prepare('DELETE FROM row_error WHERE id <= (SELECT MAX(id) FROM row_error) - ?')
    this.#readErrors = writer.prepare(
      'SELECT table_name, row, definition, message, at_ms FROM row_error ORDER BY id DESC',
    )
  }

  write(copies: readonly CopyProgress[]): void {
    for (const copy of copies) {
      this.#writeCopy.run(
        copy.table,
        copy.relationOid,
        copy.cursor,
        copy.done ? 1 : 0,
        copy.rowsCopied,
        copy.rowsEstimated,
      )
    }
  }

  read(): CopyProgress[] {
    return this.#readCopies.all().map((row) => ({
      table: String(row['table_name']),
      relationOid: Number(row['relation_oid']),
      cursor: String(row['cursor']),
      done: row['done'] === 1,
      rowsCopied: Number(row['rows_copied']),
      rowsEstimated: Number(row['rows_estimated']),
    }))
  }

  writeErrors(errors: readonly RowError[]): void {
    if (errors.length === 0) return
    for (const error of errors.slice(-ROW_ERRORS_MAX)) {
      this.#insertError.run(error.table, error.row, error.definition, error.message, error.atMs)
    }
    this.#trimErrors.run(ROW_ERRORS_MAX)
  }

  /** Newest first. */
  readErrors(): RowError[] {
    return this.#readErrors.all().map((row) => ({
      table: String(row['table_name']),
      row: String(row['row']),
      definition: String(row['definition']),
      message: String(row['message']),
      atMs: Number(row['at_ms']),
    }))
  }
}
