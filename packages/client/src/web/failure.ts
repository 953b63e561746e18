import { HeadwaterError } from '@headwater/protocol'
import { SqliteError } from '../sqlite/sqlite-error.ts'
import type { Failure } from './messages.ts'

/** What a thrown value is on the way to the page. */
export function encodeFailure(error: unknown): Failure {
  if (error instanceof HeadwaterError) return { kind: 'headwater', message: error.message, code: error.code }
  if (!(error instanceof Error)) return { kind: 'other', name: 'Error', message: String(error), stack: undefined }
  if ('resultCode' in error && typeof error.resultCode === 'number') {
    return { kind: 'sqlite', message: plainMessage(error.message), resultCode: error.resultCode }
  }
  return { kind: 'other', name: error.name, message: error.message, stack: error.stack }
}

export function decodeFailure(failure: Failure): Error {
  switch (failure.kind) {
    case 'headwater':
      return new HeadwaterError(failure.code, failure.message)
    case 'sqlite':
      return new SqliteError(failure.message, failure.resultCode)
    case 'other': {
      const error = new Error(failure.message)
      error.name = failure.name
      if (failure.stack !== undefined) error.stack = failure.stack
      return error
    }
  }
}

/** The engine puts `SQLITE_X: sqlite3 result code N: ` before the words that SQLite itself has for an error. */
function plainMessage(message: string): string {
  return message.replace(/^[A-Z_]+: sqlite3 result code \d+: /, '')
}
