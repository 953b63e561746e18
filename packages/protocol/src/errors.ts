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
