import { ERROR_TABLE, HeadwaterError } from '@headwater/protocol'
import type { Log } from '../observe/log.ts'

/**
 * Logs a request that failed; `fields` tell which. What the client did wrong is no failure of the service; what has a
 * code is known and may pass; the rest is a defect.
 */
export function logFailure(log: Log, error: unknown, fields: Readonly<Record<string, unknown>>): void {
  if (!(error instanceof HeadwaterError)) log.error('request-failed', { ...fields, error })
  else if (ERROR_TABLE[error.code].status >= 500) log.warn('request-failed', { ...fields, error })
  else log.debug('request-refused', { ...fields, error })
}
