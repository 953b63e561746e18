import type { ErrorCode, RequestObject, RequestValue } from '@headwater/protocol'

/** Clocks of token issuer and service may differ by this much. */
export const CLOCK_TOLERANCE_SECONDS = 60

export type ClaimRules = {
  /** Accepted audiences; empty: the claim is not looked at. */
  readonly audience: readonly string[]
  readonly lifetimeMaxSeconds: number
}

export type VerifiedUser = {
  /** `sub` as text; the first half of write checkpoint keys. */
  readonly userId: string
  readonly claims: RequestObject
  readonly expiresAtMs: number
}

/** `message` may be shown to whoever sent the token; `details` are for the log only. */
export type Refusal = {
  readonly kind: 'refused'
  readonly code: ErrorCode
  readonly message: string
  readonly details: { readonly [name: string]: unknown }
}

export type VerifyResult = { readonly kind: 'verified'; readonly user: VerifiedUser } | Refusal

/** Decides on the claims of a token whose signature is good. */
export function checkClaims(claims: RequestObject, rules: ClaimRules, nowMs: number): VerifyResult {
  const nowSeconds = nowMs / 1000
  for (const name of ['sub', 'iat', 'exp']) {
    if (!(name in claims)) return refuse('auth-bad-token', `The token has no "${name}" claim`)
  }
  for (const name of ['iat', 'exp', 'nbf']) {
    if (name in claims && typeof claims[name] !== 'number') {
      return refuse('auth-bad-token', `The "${name}" claim of the token is not a number`)
    }
  }
  const userId = formatUserId(claims['sub'])
  if (userId === undefined) return refuse('auth-bad-token', 'The "sub" claim of the token is not a scalar')
  const [issuedAt, expiresAt, notBefore] = [Number(claims['iat']), Number(claims['exp']), Number(claims['nbf'] ?? 0)]
  if (notBefore > nowSeconds + CLOCK_TOLERANCE_SECONDS) {
    return refuse('auth-bad-token', 'The token is not valid yet: its "nbf" claim is in the future')
  }
  if (expiresAt <= nowSeconds - CLOCK_TOLERANCE_SECONDS) {
    return refuse('auth-expired', `The token expired ${Math.floor(nowSeconds - expiresAt)} s ago`)
  }
  if (rules.audience.length > 0 && !isForAudience(claims['aud'], rules.audience)) {
    return refuse('auth-audience', 'The "aud" claim of the token is missing or not accepted here', {
      audienceAccepted: rules.audience,
    })
  }
  // A time of issue in the future may be a fast clock, or an attempt at a token that lives longer than tokens may.
  const lifetime = Math.max(expiresAt - issuedAt, expiresAt - nowSeconds - CLOCK_TOLERANCE_SECONDS)
  if (lifetime > rules.lifetimeMaxSeconds) {
    return refuse(
      'auth-lifetime',
      `The token is valid for ${Math.ceil(lifetime)} s; expected at most ${rules.lifetimeMaxSeconds} s`,
    )
  }
  if (!isObjectOrAbsent(claims['parameters'])) {
    return refuse('auth-bad-token', 'The "parameters" claim of the token is not an object')
  }
  return { kind: 'verified', user: { userId, claims, expiresAtMs: expiresAt * 1000 } }
}

export function refuse(code: ErrorCode, message: string, details: Refusal['details'] = {}): Refusal {
  return { kind: 'refused', code, message, details }
}

/** True and false are 1 and 0, as in SQLite. Undefined for what is not a scalar. */
function formatUserId(sub: RequestValue | undefined): string | undefined {
  if (typeof sub === 'boolean') return sub ? '1' : '0'
  if (sub === null || typeof sub === 'string' || typeof sub === 'number' || typeof sub === 'bigint') {
    return String(sub)
  }
  return undefined
}

function isForAudience(aud: RequestValue | undefined, accepted: readonly string[]): boolean {
  const given: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  return given.some((audience) => typeof audience === 'string' && accepted.includes(audience))
}

function isObjectOrAbsent(value: RequestValue | undefined): boolean {
  return value === undefined || value === null || (typeof value === 'object' && !Array.isArray(value))
}
