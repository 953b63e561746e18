import type { IncomingHttpHeaders } from 'node:http'
import { readAuthorization } from '../auth/authorization-header.ts'
import { type Refusal, refuse, type VerifiedUser, type VerifyResult } from '../auth/claims.ts'
import { toTokenHolder } from '../auth/revocation.ts'
import type { Revocations } from '../auth/revocations.ts'

export type Verify = (token: string) => Promise<VerifyResult>

/** Whose request this is, by its `Authorization` header. */
export async function authorize(
  { verify, revocations }: { readonly verify: Verify; readonly revocations: Pick<Revocations, 'isRevoked'> },
  headers: IncomingHttpHeaders,
): Promise<VerifyResult> {
  const token = readAuthorization(headers.authorization)
  if (token === undefined) return refuse('auth-missing', 'The request has no token')
  const result = await verify(token)
  return result.kind === 'refused' ? result : (findRevoked(revocations, result.user, undefined) ?? result)
}

/** The refusal of a token that was good and is revoked; `clientId`: the name that the client gives itself, once known. */
export function findRevoked(
  revocations: Pick<Revocations, 'isRevoked'>,
  user: VerifiedUser,
  clientId: string | undefined,
): Refusal | undefined {
  if (!revocations.isRevoked(toTokenHolder(user, clientId))) return undefined
  return refuse('auth-revoked', 'The token was revoked', { claims: user.claims, clientId })
}
