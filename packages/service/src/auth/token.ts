import type { LookupFunction } from 'node:net'
import { HeadwaterError, type RequestObject } from '@headwater/protocol'
import { parseRequestJson } from '@headwater/sync-config'
import { decodeProtectedHeader } from 'jose'
import { LruCache } from '../lru-cache.ts'
import type { Log } from '../observe/log.ts'
import { checkClaims, type ClaimRules, type Refusal, refuse, type VerifyResult } from './claims.ts'
import { GoodSignatures } from './good-signatures.ts'
import { isSecretAlgorithm, isSupportedAlgorithm, type Jwk, keyOfJwk, keyOfSecret, type VerifyKey } from './keys.ts'
import { RemoteKeys } from './remote-keys.ts'
import { keyOfSupabaseSecret, SUPABASE_RULES } from './supabase.ts'

const LIFETIME_MAX_SECONDS_DEFAULT = 86_400

export type AuthOptions = {
  /** Shared secret for HS256, as text. */
  readonly secret?: string | undefined
  readonly keys?: readonly Jwk[] | undefined
  readonly jwksUrls?: readonly string[] | undefined
  /** May key servers be in private networks? Not unless said so. */
  readonly jwksPrivate?: boolean | undefined
  /** Keys of a Supabase project, whose tokens have an audience and a lifetime of their own. */
  readonly supabase?: { readonly jwksUrl?: string | undefined; readonly secret?: string | undefined } | undefined
  /** How names of key servers become addresses, for tests. */
  readonly resolve?: LookupFunction | undefined
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
  const { nowMs, supabase } = options
  const keys: Keys = {
    local: [
      ...(options.secret === undefined ? [] : [keyOfSecret(options.secret)]),
      ...(options.keys ?? []).map(importSetting),
      ...(supabase?.secret === undefined ? [] : [keyOfSupabaseSecret(supabase.secret)]),
    ],
    remotes: [
      ...(options.jwksUrls ?? []).map((url) => openRemote(options, url)),
      ...(supabase?.jwksUrl === undefined ? [] : [openRemote(options, supabase.jwksUrl, SUPABASE_RULES)]),
    ],
    signatures: new GoodSignatures(),
    hint: supabase === undefined ? undefined : SUPABASE_HINT,
  }
  const rules = {
    audience: options.audience ?? [],
    lifetimeMaxSeconds: options.lifetimeMaxSeconds ?? LIFETIME_MAX_SECONDS_DEFAULT,
  }
  const headers = new Headers()
  return {
    verify: async (token) => {
      const header = headers.read(token)
      if (header.kind === 'refused') return header
      const payload = await verifySignature(token, header, keys)
      if (payload.kind === 'refused') return payload
      const result = checkClaims(payload.claims, payload.rules ?? rules, nowMs())
      return result.kind === 'refused' ? { ...result, details: { ...result.details, claims: payload.claims } } : result
    },
  }
}

type Header = { readonly kind: 'header'; readonly algorithm: string; readonly kid: string | undefined }
type Payload = {
  readonly kind: 'payload'
  readonly claims: RequestObject
  /** Those of the key; undefined: those of the settings. */
  readonly rules: ClaimRules | undefined
}

type Keys = {
  readonly local: readonly VerifyKey[]
  readonly remotes: readonly RemoteKeys[]
  readonly signatures: GoodSignatures
  /** For the log, when no key is found. */
  readonly hint: string | undefined
}

const SUPABASE_HINT =
  'If the token is of a Supabase project: is it the project of the source database, is auth.supabaseJwtSecret its secret, or has it signing keys?'

function openRemote(
  { jwksPrivate, resolve, nowMs, log, signal }: AuthOptions,
  url: string,
  rules?: ClaimRules,
): RemoteKeys {
  return new RemoteKeys({ url: parseUrl(url), mayBePrivate: jwksPrivate ?? false, resolve, rules, nowMs, log, signal })
}

const HEADERS_MAX = 100
const HEADER_CHARS_MAX = 1_000

/** An issuer's tokens have the same header, as long as it signs with the same key. */
class Headers {
  readonly #known = new LruCache<string, Header>(HEADERS_MAX)

  read(token: string): Header | Refusal {
    const [text = '', ...others] = token.split('.', 4)
    const known = others.length === 2 ? this.#known.find(text) : undefined
    if (known !== undefined) return known
    const header = readHeader(token)
    if (header.kind === 'header' && text.length <= HEADER_CHARS_MAX) this.#known.keep(text, header, 1)
    return header
  }
}

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
  { local, remotes, signatures, hint }: Keys,
): Promise<Payload | Refusal> {
  // A URL never provides secrets, so what the servers say does not matter to a token signed with one.
  const asked = isSecretAlgorithm(header.algorithm) ? [] : remotes
  const known = asked.flatMap((remote) => remote.readKnown())
  const first = await tryKeys(token, header, { keys: [...local, ...known], signatures })
  if (first !== undefined) return first
  const fresh = await Promise.all(asked.map((remote) => remote.refresh()))
  const keys = [...local, ...fresh.flatMap((remote) => remote.keys)]
  // Without a key server they are those that were tried already.
  const second = asked.length === 0 ? undefined : await tryKeys(token, header, { keys, signatures })
  if (second !== undefined) return second
  const details = { algorithm: header.algorithm, kid: header.kid, ...(hint === undefined ? {} : { hint }) }
  const unavailable = fresh.find(({ error }) => error !== undefined)?.error
  if (unavailable !== undefined) {
    return refuse(unavailable.code, 'The keys that verify tokens cannot be fetched', {
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
  { keys, signatures }: { readonly keys: readonly VerifyKey[]; readonly signatures: GoodSignatures },
): Promise<Payload | Refusal | undefined> {
  const named = kid === undefined ? [] : keys.filter((key) => key.kid === kid)
  const fitting = (named.length > 0 ? named : keys.filter((key) => key.kid === undefined)).filter(({ algorithms }) =>
    algorithms.includes(algorithm),
  )
  for (const key of fitting) {
    const payload = await signatures.read(token, algorithm, key.key)
    if (payload !== undefined) return readClaims(payload, key.rules)
  }
  if (named.length === 0) return undefined
  if (fitting.length > 0) return refuse('auth-bad-token', 'The signature is wrong', { kid })
  const expected = named.flatMap(({ algorithms }) => algorithms)
  return refuse('auth-bad-token', 'Unexpected token algorithm', { algorithm, kid, expected })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function readClaims(payload: Uint8Array, rules: ClaimRules | undefined): Payload | Refusal {
  try {
    const claims = parseRequestJson(utf8.decode(payload))
    if (isObject(claims)) return { kind: 'payload', claims, rules }
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
