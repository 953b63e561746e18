import { hash, type KeyObject } from 'node:crypto'
import { LruCache } from '../lru-cache.ts'
import { readSigned } from './signature.ts'

/** Tokens that are remembered, each in about 150 bytes. */
const TOKENS_MAX = 20_000

/**
 * Reads signed tokens, and remembers by which key a signature was good: clients show the same token whenever they come
 * back, and to verify it is the dearest step of opening a stream. Nothing else is remembered: which keys there are, and
 * what is asked of claims, may have changed when the token is shown again.
 */
export class GoodSignatures {
  /** By the hash of the token. */
  readonly #keys: LruCache<string, KeyObject>

  constructor(tokensMax = TOKENS_MAX) {
    this.#keys = new LruCache(tokensMax)
  }

  /** As `readSigned`. */
  async read(token: string, algorithm: string, key: KeyObject): Promise<Uint8Array | undefined> {
    const name = hash('sha256', `${algorithm} ${token}`, 'base64')
    if (this.#keys.find(name) === key) return Buffer.from(token.split('.', 2)[1] ?? '', 'base64url')
    const payload = await readSigned(token, algorithm, key)
    if (payload !== undefined) this.#keys.keep(name, key, 1)
    return payload
  }
}
