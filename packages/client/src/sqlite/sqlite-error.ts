/** What SQLite refused, with its extended result code (https://sqlite.org/rescode.html). */
export class SqliteError extends Error {
  override readonly name = 'SqliteError'
  readonly resultCode: number

  constructor(message: string, resultCode: number, options?: ErrorOptions) {
    super(message, options)
    this.resultCode = resultCode
  }
}

/** Primary result codes: the low byte of the extended one. */
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6

/** Somebody else holds the file: the same statement may succeed later. */
export function isBusy(error: unknown): boolean {
  if (!(error instanceof SqliteError)) return false
  const primary = error.resultCode & 0xff
  return primary === SQLITE_BUSY || primary === SQLITE_LOCKED
}
