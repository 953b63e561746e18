import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { ClaimRules } from './claims.ts'

/** A JSON Web Key, private or public; only its public part is used. */
export type Jwk = { readonly kty: string; readonly [field: string]: unknown }

/** A key that tokens can be verified with. */
export type VerifyKey = {
  /** Undefined: a wildcard key, tried for every token whose algorithm fits and whose `kid` no key has. */
  readonly kid: string | undefined
  readonly algorithms: readonly string[]
  readonly key: KeyObject
  /** What claims this key's tokens must have, when that is not what the settings say. */
  readonly rules?: ClaimRules | undefined
}

/** Every algorithm that is accepted, by the key that it takes. Not among them: `none`, and the RSA-PSS family. */
const ALGORITHMS = {
  RSA: ['RS256', 'RS384', 'RS512'],
  oct: ['HS256', 'HS384', 'HS512'],
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
  Ed25519: ['EdDSA'],
  Ed448: ['EdDSA'],
} as const satisfies Record<string, readonly string[]>

const SUPPORTED: ReadonlySet<string> = new Set(Object.values(ALGORITHMS).flat())

export function isSupportedAlgorithm(algorithm: string): boolean {
  return SUPPORTED.has(algorithm)
}

/** HMAC takes a secret; all others a public key that may come from anywhere. */
export function isSecretAlgorithm(algorithm: string): boolean {
  return algorithm.startsWith('HS')
}

/** The shared secret of the settings: tokens are signed with the bytes of its UTF-8 text. */
export function keyOfSecret(secret: string): VerifyKey {
  return { kid: undefined, algorithms: ['HS256'], key: createSecretKey(secret, 'utf8') }
}

/** Throws a plain `Error` that says what is wrong with the key. */
export function keyOfJwk(jwk: Jwk): VerifyKey {
  const algorithms: readonly string[] | undefined = algorithmsOf(jwk)
  if (algorithms === undefined) throw new Error(`keys of type ${describeType(jwk)} are not supported`)
  const { kid, alg } = jwk
  if (kid !== undefined && typeof kid !== 'string') throw new Error('"kid" is not text')
  if (alg !== undefined && (typeof alg !== 'string' || !algorithms.includes(alg))) {
    throw new Error(
      `"alg" is ${JSON.stringify(alg)}; a key of type ${describeType(jwk)} can be ${algorithms.join(', ')}`,
    )
  }
  return {
    kid: kid === '' ? undefined : kid,
    algorithms: alg === undefined ? algorithms : [alg],
    key: jwk.kty === 'oct' ? secretOf(jwk) : createPublicKey({ key: toJsonWebKey(jwk), format: 'jwk' }),
  }
}

/** May the key verify signatures, by what it says of itself? */
export function isForVerifying(jwk: Jwk): boolean {
  const { use, key_ops: operations } = jwk
  return (use === undefined || use === 'sig') && (!Array.isArray(operations) || operations.includes('verify'))
}

function algorithmsOf(jwk: Jwk): readonly string[] | undefined {
  if (jwk.kty === 'RSA' || jwk.kty === 'oct') return ALGORITHMS[jwk.kty]
  const curve = jwk['crv']
  if (jwk.kty === 'EC' && (curve === 'P-256' || curve === 'P-384' || curve === 'P-521')) return ALGORITHMS[curve]
  if (jwk.kty === 'OKP' && (curve === 'Ed25519' || curve === 'Ed448')) return ALGORITHMS[curve]
  return undefined
}

function describeType(jwk: Jwk): string {
  const curve = jwk['crv']
  return typeof curve === 'string' ? `${jwk.kty} ${curve}` : jwk.kty
}

function secretOf(jwk: Jwk): KeyObject {
  const { k } = jwk
  if (typeof k !== 'string' || k === '') throw new Error('"k" is missing')
  return createSecretKey(k, 'base64url')
}

/** Only the public fields, so that no private key is held. */
function toJsonWebKey(jwk: Jwk): JsonWebKey {
  const fields: JsonWebKey = { kty: jwk.kty }
  for (const name of ['n', 'e', 'crv', 'x', 'y'] as const) {
    const value = jwk[name]
    if (typeof value === 'string') fields[name] = value
  }
  return fields
}
