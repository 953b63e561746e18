import { HeadwaterError, type RequestObject } from '@headwater/protocol'
import { parseRequestJson } from '@headwater/sync-config'
import { compactVerify, decodeProtectedHeader } from 'jose'
import type { Log } from '../observe/log.ts'
import { checkClaims, type Refusal, refuse, type VerifyResult } from './claims.ts'
import { isSecretAlgorithm, isSupportedAlgorithm, type Jwk, keyOfJwk, keyOfSecret, type VerifyKey } from './keys.ts'
import { RemoteKeys } from './remote-keys.ts'

const LIFETIME_MAX_SECONDS_DEFAULT = 86_400

export type AuthOptions = {
  /** Shared secret for HS256, as text. */
  readonly secret?: string | undefined
  readonly keys?: readonly Jwk[] | undefined
  readonly jwksUrls?: readonly string[] | undefined
  /** Accepted audiences; empty or absent: the audience is not looked at. */
  readonly audience?: readonly string[] | undefined
  readonly lifetimeMaxSeconds?: number | undefined
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  readonly log: Pick<Log, 'warn'>
  /** Ends requests to key servers; the verifier is of no use afterwards. */
  readonly signal: AbortSignal
}

/** Verifies the JSON Web Tokens of clients. A refused token is a result, not an error. */
export type TokenVerifier = { readonly verify: (token: string) => Promise<VerifyResult> }

/** Throws `jwks-settings` for a key or URL that cannot be used. Fetches nothing until the first token. */
export function createTokenVerifier(options: AuthOptions): TokenVerifier {
  const { nowMs, log, signal } = options
  const local = [
    ...(options.secret === undefined ? [] : [keyOfSecret(options.secret)]),
    ...(options.keys ?? []).map(importSetting),
  ]
  const remotes = (options.jwksUrls ?? []).map((url) => new RemoteKeys({ url: parseUrl(url), nowMs, log, signal }))
  const rules = {
    audience: options.audience ?? [],
    lifetimeMaxSeconds: options.lifetimeMaxSeconds ?? LIFETIME_MAX_SECONDS_DEFAULT,
  }
  return {
    verify: async (token) => {
      const header = readHeader(token)
      if (header.kind === 'refused') return header
      const payload = await verifySignature(token, header, local, remotes)
      if (payload.kind === 'refused') return payload
      const result = checkClaims(payload.claims, rules, nowMs())
      return result.kind === 'refused' ? { ...result, details: { ...result.details, claims: payload.claims } } : result
    },
  }
}

type Header = { readonly kind: 'header'; readonly algorithm: string; readonly kid: string | undefined }
type Payload = { readonly kind: 'payload'; readonly claims: RequestObject }

function readHeader(token: string): Header | Refusal {
  try {
    const { alg, kid } = decodeProtectedHeader(token)
    if (alg === undefined || !isSupportedAlgorithm(alg)) {
      return refuse('auth-bad-token', 'The algorithm of the token is not supported', { algorithm: alg })
    }
    return { kind: 'header', algorithm: alg, kid: typeof kid === 'string' && kid !== '' ? kid : undefined }
  } catch {
    return refuse('auth-bad-token', 'The token is not a well-formed JSON Web Token')
  }
}

/**
 * With the key of the token's `kid` and no other if there is one, else with every key without `kid`. Key servers are
 * asked again, as far as they may be, before a token is refused.
 */
async function verifySignature(
  token: string,
  header: Header,
  local: readonly VerifyKey[],
  remotes: readonly RemoteKeys[],
): Promise<Payload | Refusal> {
  // A URL never provides secrets, so what the servers say does not matter to a token signed with one.
  const asked = isSecretAlgorithm(header.algorithm) ? [] : remotes
  const known = asked.flatMap((remote) => remote.readKnown())
  const first = await tryKeys(token, header, [...local, ...known])
  if (first !== undefined) return first
  const fresh = await Promise.all(asked.map((remote) => remote.refresh()))
  const second = await tryKeys(token, header, [...local, ...fresh.flatMap(({ keys }) => keys)])
  if (second !== undefined) return second
  const details = { algorithm: header.algorithm, kid: header.kid }
  const unavailable = fresh.find(({ error }) => error !== undefined)?.error
  if (unavailable !== undefined) {
    return refuse('jwks-unavailable', 'The keys that verify tokens cannot be fetched', {
      ...details,
      error: unavailable,
    })
  }
  return refuse('auth-bad-token', 'No known key verifies the token', details)
}

/** Undefined when no key decides about this token. */
async function tryKeys(
  token: string,
  { algorithm, kid }: Header,
  keys: readonly VerifyKey[],
): Promise<Payload | Refusal | undefined> {
  const named = kid === undefined ? undefined : keys.find((key) => key.kid === kid)
  if (named !== undefined) {
    if (!named.algorithms.includes(algorithm)) {
      return refuse('auth-bad-token', 'Unexpected token algorithm', { algorithm, kid, expected: named.algorithms })
    }
    return (await verifyWith(token, algorithm, named)) ?? refuse('auth-bad-token', 'The signature is wrong', { kid })
  }
  for (const key of keys) {
    if (key.kid !== undefined || !key.algorithms.includes(algorithm)) continue
    const payload = await verifyWith(token, algorithm, key)
    if (payload !== undefined) return payload
  }
  return undefined
}

/** Undefined when the signature is not of this key. */
async function verifyWith(
  token: string,
  algorithm: string,
  { key }: VerifyKey,
): Promise<Payload | Refusal | undefined> {
  let payload: Uint8Array
  try {
    payload = (await compactVerify(token, key, { algorithms: [algorithm] })).payload
  } catch {
    return undefined
  }
  return readClaims(payload)
}

function readClaims(payload: Uint8Array): Payload | Refusal {
  try {
    const claims = parseRequestJson(new TextDecoder('utf-8', { fatal: true }).decode(payload))
    if (isObject(claims)) return { kind: 'payload', claims }
  } catch {
    // Told below, like any other payload that is no object.
  }
  return refuse('auth-bad-token', 'The payload of the token is not a JSON object')
}

function isObject(value: unknown): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function importSetting(jwk: Jwk, index: number): VerifyKey {
  try {
    return keyOfJwk(jwk)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new HeadwaterError('jwks-settings', `Cannot use auth.keys[${index}]: ${reason}`, { cause })
  }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:')) return url
  throw new HeadwaterError(
    'jwks-settings',
    `Cannot use auth.jwksUrls: expected an http or https URL, got ${JSON.stringify(text)}`,
  )
}
