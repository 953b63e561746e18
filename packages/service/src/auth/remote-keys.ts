import type { LookupFunction } from 'node:net'
import { HeadwaterError } from '@headwater/protocol'
import type { Log } from '../observe/log.ts'
import type { ClaimRules } from './claims.ts'
import { fetchKeys } from './fetch-keys.ts'
import { FETCH_BUDGET_FULL, spendFetch } from './fetch-budget.ts'
import { isForVerifying, type Jwk, keyOfJwk, type VerifyKey } from './keys.ts'

/** Older than this, keys are fetched again in the background when they are used. */
const REFRESH_AFTER_MS = 5 * 60_000
/** Older than this, keys are not used any more: a key server that is down is survived this long. */
const EXPIRE_AFTER_MS = 60 * 60_000
/** The longest that one request waits for a key server. */
const WAIT_MS = 3_000
const FETCH_TIMEOUT_MS = 30_000
const KEYS_MAX = 1_000

export type RemoteKeysOptions = {
  readonly url: URL
  /** May the server be in a private network? */
  readonly mayBePrivate: boolean
  /** Of tokens signed with these keys; undefined: those of the settings. */
  readonly rules: ClaimRules | undefined
  /** How names become addresses, for tests. */
  readonly resolve?: LookupFunction | undefined
  readonly nowMs: () => number
  readonly log: Pick<Log, 'warn'>
  /** Ends a fetch that is under way. */
  readonly signal: AbortSignal
}

export type KeySet = { readonly keys: readonly VerifyKey[]; readonly error: HeadwaterError | undefined }

/** The keys behind one JWKS URL: fetched when needed, one fetch at a time, kept for an hour when the server is down. */
export class RemoteKeys {
  readonly #options: RemoteKeysOptions
  #keys: readonly VerifyKey[] = []
  #fetchedAtMs = Number.NEGATIVE_INFINITY
  #error: HeadwaterError | undefined
  #fetching: Promise<void> | undefined
  #budget = FETCH_BUDGET_FULL

  constructor(options: RemoteKeysOptions) {
    this.#options = options
  }

  /** The keys that may be used now, none at first. Asks the server for newer ones in the background. */
  readKnown(): readonly VerifyKey[] {
    const ageMs = this.#options.nowMs() - this.#fetchedAtMs
    if (ageMs >= REFRESH_AFTER_MS) void this.#fetch()
    return ageMs < EXPIRE_AFTER_MS ? this.#keys : []
  }

  /** The keys as they are now at the server, as far as it may be asked again already and answers in time. */
  async refresh(): Promise<KeySet> {
    const isInTime = await settlesWithin(this.#fetch(), WAIT_MS)
    const error = isInTime ? this.#error : this.#unavailable(`no answer within ${WAIT_MS / 1000} s`)
    return { keys: this.readKnown(), error }
  }

  /** Never rejects: what went wrong is kept in `#error`. Nothing happens while another fetch is too recent. */
  #fetch(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching
    const budget = spendFetch(this.#budget, this.#options.nowMs())
    if (budget === undefined) return Promise.resolve()
    this.#budget = budget
    this.#fetching = this.#fetchOnce().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetchOnce(): Promise<void> {
    try {
      this.#keys = this.#importKeys(await this.#download())
      this.#fetchedAtMs = this.#options.nowMs()
      this.#error = undefined
    } catch (cause) {
      const error =
        cause instanceof HeadwaterError
          ? cause
          : this.#unavailable(cause instanceof Error ? cause.message : String(cause), cause)
      this.#error = error
      if (!this.#options.signal.aborted) this.#options.log.warn('jwks-fetch-failed', { error })
    }
  }

  async #download(): Promise<readonly Jwk[]> {
    const { url, mayBePrivate, resolve, signal } = this.#options
    const timeout = AbortSignal.timeout(FETCH_TIMEOUT_MS)
    const text = await fetchKeys(url, {
      mayBePrivate,
      signal: AbortSignal.any([timeout, signal]),
      ...(resolve === undefined ? {} : { resolve }),
    })
    return parseKeySet(text)
  }

  /** One unusable key does not take the others away. Secrets are never taken from a URL. */
  #importKeys(jwks: readonly Jwk[]): readonly VerifyKey[] {
    return jwks.flatMap((jwk) => {
      if (jwk.kty === 'oct' || !isForVerifying(jwk)) return []
      try {
        return [{ ...keyOfJwk(jwk), rules: this.#options.rules }]
      } catch (error) {
        this.#options.log.warn('jwks-key-ignored', { url: this.#options.url.href, kid: jwk['kid'], error })
        return []
      }
    })
  }

  #unavailable(reason: string, cause?: unknown): HeadwaterError {
    return new HeadwaterError('jwks-unavailable', `Cannot fetch keys from ${this.#options.url.href}: ${reason}`, {
      cause,
    })
  }
}

function parseKeySet(text: string): readonly Jwk[] {
  const value: unknown = parseJson(text)
  const keys: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'keys') : undefined
  if (!Array.isArray(keys) || !keys.every(isJwk)) throw new Error('the answer is not a JSON Web Key Set')
  return keys.slice(0, KEYS_MAX)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error('the answer is not JSON', { cause })
  }
}

function isJwk(value: unknown): value is Jwk {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'kty') === 'string'
}

/** True when `promise`, which never rejects, settles in time. */
async function settlesWithin(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  const timer = Promise.withResolvers<boolean>()
  const timeout = setTimeout(() => {
    timer.resolve(false)
  }, timeoutMs)
  try {
    return await Promise.race([promise.then(() => true), timer.promise])
  } finally {
    clearTimeout(timeout)
  }
}
