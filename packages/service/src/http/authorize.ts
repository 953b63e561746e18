import type { IncomingHttpHeaders } from 'node:http'
import { readAuthorization } from '../auth/authorization-header.ts'
import { refuse, type VerifyResult } from '../auth/claims.ts'

export type Verify = (token: string) => Promise<VerifyResult>

/** Whose request this is, by its `Authorization` header. */
export async function authorize(verify: Verify, headers: IncomingHttpHeaders): Promise<VerifyResult> {
  const token = readAuthorization(headers.authorization)
  return token === undefined ? refuse('auth-missing', 'The request has no token') : verify(token)
}
