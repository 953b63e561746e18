import type { JsonObject, JsonValue } from '@headwater/protocol'
import { HeadwaterError } from '@headwater/protocol'
import type { JWTPayload } from 'jose'
import { createRemoteJWKSet, errors, jwtVerify, SignJWT } from 'jose'

import type { AllowedOrigins } from './response.ts'
import { answerError, answerPreflight, errorResponse, jsonResponse, withCors } from './response.ts'
import type { Uploader } from './write-rules.ts'

/** Throws `auth-…` when the request does not show who it is from, `jwks-unavailable` when that cannot be found out. */
export type VerifyRequest = (request: Request) => Promise<Uploader>

export type TokenVerifierOptions = {
  /** Where the keys come from: one secret shared with the issuer (HS256), or the address of its public keys. */
  readonly keys: { readonly secret: string } | { readonly jwksUrl: string }
  /** One of these must be in `aud`. Left out: not checked. */
  readonly audience?: readonly string[]
}

const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
/** Clocks of servers differ by less; the service allows the same. */
const CLOCK_TOLERANCE_SECONDS = 60

/** Checks the `authorization: Bearer …` token, the same that the client shows to the service. */
export function createTokenVerifier(options: TokenVerifierOptions): VerifyRequest {
  const { keys } = options
  const checks = {
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['sub', 'exp'],
    ...(options.audience === undefined ? {} : { audience: [...options.audience] }),
  }
  const secret = 'secret' in keys ? new TextEncoder().encode(keys.secret) : undefined
  const remote = 'jwksUrl' in keys ? createRemoteJWKSet(new URL(keys.jwksUrl)) : undefined
  return async (request) => {
    const token = /^(?:Bearer|Token) +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1]
    if (token === undefined) {
      throw new HeadwaterError(
        'auth-missing',
        'Cannot tell who sends this: expected a header "authorization: Bearer …"',
      )
    }
    try {
      const { payload } =
        remote === undefined
          ? await jwtVerify(token, secret ?? new Uint8Array(), { ...checks, algorithms: ['HS256'] })
          : await jwtVerify(token, remote, { ...checks, algorithms: ASYMMETRIC })
      return toUploader(payload)
    } catch (error) {
      throw toRefusal(error)
    }
  }
}

export type TokenOptions = {
  /** HS256 key, shared with the service. */
  readonly secret: string
  readonly userId: string
  readonly audience: string
  /** The service takes at most 86,400. */
  readonly ttlSeconds: number
  /** Beside the registered ones. */
  readonly claims?: JsonObject
}

/** Makes a token that the service and the upload handler take. For development: it believes whoever calls it. */
export function issueToken(options: TokenOptions): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000)
  return new SignJWT({ ...options.claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(options.userId)
    .setAudience(options.audience)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + options.ttlSeconds)
    .sign(new TextEncoder().encode(options.secret))
}

export type DevTokenOptions = Omit<TokenOptions, 'userId' | 'claims'> & {
  readonly allowOrigins?: AllowedOrigins
  readonly log?: (error: unknown) => void
}

/** `GET …?user=ann` answers `{"token", "user_id", "expires_at"}` (ISO 8601) to anyone. Never mount it in production. */
export function createDevTokenHandler(options: DevTokenOptions): (request: Request) => Promise<Response> {
  const origins = options.allowOrigins ?? '*'
  return async (request) => {
    const preflight = answerPreflight(request, origins)
    if (preflight !== undefined) return preflight
    try {
      return withCors(await answerDevToken(request, options), request, origins)
    } catch (error) {
      return withCors(answerError(error, options.log ?? console.error), request, origins)
    }
  }
}

async function answerDevToken(request: Request, options: DevTokenOptions): Promise<Response> {
  const userId = new URL(request.url).searchParams.get('user') ?? ''
  if (userId === '') return errorResponse('bad-request', 'Cannot issue a token: name the user, as in ?user=ann')
  const token = await issueToken({ ...options, userId })
  const expiresAt = new Date(Date.now() + options.ttlSeconds * 1000).toISOString()
  return jsonResponse(200, { token, user_id: userId, expires_at: expiresAt })
}

function toUploader(payload: JWTPayload): Uploader {
  const claims = payload as { readonly [claim: string]: JsonValue }
  const { sub } = claims
  return { userId: typeof sub === 'string' ? sub : JSON.stringify(sub), claims }
}

/** jose's errors, sorted by their own codes. */
function toRefusal(error: unknown): HeadwaterError {
  if (error instanceof errors.JWTExpired) {
    return new HeadwaterError('auth-expired', 'Cannot take the request: its token has expired. Fetch a new one.', {
      cause: error,
    })
  }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud') {
    return new HeadwaterError('auth-audience', 'Cannot take the request: its token is meant for another audience', {
      cause: error,
    })
  }
  if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
    return new HeadwaterError('jwks-unavailable', 'Cannot check the token: the address of the keys does not answer', {
      cause: error,
    })
  }
  return new HeadwaterError('auth-bad-token', `Cannot take the request: its token is not valid (${error.message})`, {
    cause: error,
  })
}
