import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { readAuthorization } from '../auth/authorization-header.ts'

/** Does the request carry one of the tokens? How long that takes to find out says nothing about them. */
export function isOperator(headers: IncomingHttpHeaders, tokens: readonly string[]): boolean {
  const given = digest(readAuthorization(headers.authorization) ?? '')
  // All are looked at, whichever is right.
  return tokens.map((token) => timingSafeEqual(digest(token), given)).includes(true)
}

/** Of one length for all tokens. */
function digest(token: string): Buffer {
  return hash('sha256', token, 'buffer')
}
