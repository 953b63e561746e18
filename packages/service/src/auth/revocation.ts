import type { VerifiedUser } from './claims.ts'

/** Tokens that are not accepted any more. */
export type Revocation = {
  readonly userId: string
  /** Only what this client does, by the name that it gives itself; undefined: whatever the user's clients do. */
  readonly clientId: string | undefined
  /** Only the token with this `jti`; undefined: every token of the user. */
  readonly tokenId: string | undefined
  /** Milliseconds since 1970. Tokens that were issued before are revoked; one with this very `iat` is not. */
  readonly issuedBeforeMs: number
}

/** Who shows a token, as far as revocations look at it. */
export type TokenHolder = {
  readonly userId: string
  /** Undefined where a client has not said yet who it is. */
  readonly clientId: string | undefined
  readonly tokenId: string | undefined
  /** Milliseconds since 1970. */
  readonly issuedAtMs: number
}

export function toTokenHolder({ userId, claims }: VerifiedUser, clientId: string | undefined): TokenHolder {
  const { jti, iat } = claims
  return {
    userId,
    clientId,
    tokenId: typeof jti === 'string' ? jti : undefined,
    // Verified tokens have the claim.
    issuedAtMs: typeof iat === 'number' ? iat * 1000 : 0,
  }
}

/** Does the revocation, which is one of this holder's user, end what the holder may do? */
export function covers(revocation: Revocation, holder: TokenHolder): boolean {
  return (
    holder.issuedAtMs < revocation.issuedBeforeMs &&
    (revocation.clientId === undefined || revocation.clientId === holder.clientId) &&
    (revocation.tokenId === undefined || revocation.tokenId === holder.tokenId)
  )
}
