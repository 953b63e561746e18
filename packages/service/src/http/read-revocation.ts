import { HeadwaterError, type RequestObject, type RequestValue } from '@headwater/protocol'
import { CLOCK_TOLERANCE_SECONDS } from '../auth/claims.ts'
import type { Revocation } from '../auth/revocation.ts'

const ID_CHARS_MAX = 1_000

/** A moment with its zone, as in `2030-01-31T12:00:00Z`. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/

/**
 * Reads what an operator revokes; without `issued_before` it is everything up to now. Throws `bad-request` with every
 * problem found.
 */
export function readRevocation(fields: RequestObject, nowMs: number): Revocation {
  const problems: string[] = []
  const userId = readId(fields, 'user_id', problems)
  if (fields['user_id'] === undefined || fields['user_id'] === null) problems.push('user_id: expected text')
  const clientId = readId(fields, 'client_id', problems)
  const tokenId = readId(fields, 'token_id', problems)
  const issuedBeforeMs = readMoment(fields['issued_before'], nowMs)
  if (issuedBeforeMs === undefined || Number.isNaN(issuedBeforeMs)) {
    problems.push('issued_before: expected a moment such as "2030-01-31T12:00:00Z", or seconds since 1970')
  } else if (issuedBeforeMs > nowMs + CLOCK_TOLERANCE_SECONDS * 1000) {
    problems.push(
      'issued_before: expected a moment that is not in the future; new tokens are for their issuer to refuse',
    )
  }
  if (problems.length > 0 || userId === undefined || issuedBeforeMs === undefined) {
    throw new HeadwaterError('bad-request', `Cannot revoke: ${problems.join('; ')}`)
  }
  return { userId, clientId, tokenId, issuedBeforeMs }
}

/** Null counts as absent, as everywhere. */
function readId(fields: RequestObject, name: string, problems: string[]): string | undefined {
  const value = fields[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string' && value !== '' && value.length <= ID_CHARS_MAX) return value
  problems.push(`${name}: expected text of 1 to ${ID_CHARS_MAX} characters`)
  return undefined
}

function readMoment(value: RequestValue | undefined, nowMs: number): number | undefined {
  if (value === undefined || value === null) return nowMs
  if (typeof value === 'number') return value * 1000
  return typeof value === 'string' && MOMENT.test(value) ? Date.parse(value) : undefined
}
