/** Every code, what it means to a client, and the words an operator reads. `docs/reference/errors.md` is checked against it. */
export const ERROR_TABLE = {
  'bad-lsn': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'A log position looks like 16/B374D848: two hexadecimal numbers joined by a slash.',
  },
  'bad-op-id': {
    status: 400,
    wireCode: 'PSYNC_S2001',
    retry: 'never',
    help: 'An op id is a decimal number between 0 and 9223372036854775807, sent as a string.',
  },
  'bad-settings': {
    status: 500,
    wireCode: 'PSYNC_S3201',
    retry: 'never',
    help: 'A setting of the service is missing, misspelt or out of range. The message names each one.',
  },
  'connection-closed': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'backoff',
    help: 'The local database was closed, or its worker ended, while a statement was waiting. Nothing half-written is kept; run it again.',
  },
  'database-in-use': {
    status: 423,
    wireCode: 'PSYNC_S2001',
    retry: 'after-operator',
    help: 'Another tab or window of this browser has the local database open. Use that one, or close it and reload this page.',
  },
  'storage-busy': {
    status: 503,
    wireCode: 'PSYNC_S2001',
    retry: 'after-operator',
    help: 'The browser still keeps the file handles of the local database for another page. Close other tabs of the site and reload.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorEntry = {
  /** HTTP status when this reaches a client. */
  readonly status: number
  /** The code that clients of the PowerSync protocol look at. */
  readonly wireCode: string
  readonly retry: 'never' | 'backoff' | 'after-operator'
  /** One or two sentences: what it means and what to do. Names a command where there is one. */
  readonly help: string
}

export type ErrorCode = keyof typeof ERROR_TABLE

/** The world misbehaved, or input was bad. Decide by `code`, never by the message. */
export class HeadwaterError extends Error {
  override readonly name = 'HeadwaterError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
