import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { CLOCK_TOLERANCE_SECONDS } from './claims.ts'
import { covers, type Revocation, type TokenHolder } from './revocation.ts'

/** What is kept at most. When there are more, the oldest is widened to everybody, who then fetches a new token. */
export const REVOCATIONS_MAX = 100_000

/** In the place of a user id, which nobody can revoke otherwise: whoever it is. */
const EVERYBODY = ''

export type RevocationParts = {
  /** What was stored before. */
  readonly stored: readonly Revocation[]
  /** Durable when it returns. `drop` are keys, as `keyOf` makes them. */
  readonly store: (change: RevocationChange) => Promise<void>
  /** The longest life of any token that the service accepts. */
  readonly lifetimeMaxSeconds: number
  readonly max?: number
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly metrics: Pick<Metrics, 'add' | 'set'>
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

export type RevocationChange = { readonly put: readonly Revocation[]; readonly drop: readonly Revocation[] }

/** Where a revocation came from. A worker has them from the main process. */
export type RevocationOrigin = 'operator' | 'table' | 'main-process'

/**
 * Revoked tokens, and whoever must be told. An entry is kept until the last token that it concerns has expired by
 * itself; there is one for each user, client and token id, with the latest time of issue.
 */
export type Revocations = {
  /** Effective when it returns a promise, durable when that resolves. Rejects with what storage throws. */
  readonly add: (revocations: readonly Revocation[], origin: RevocationOrigin) => Promise<void>
  readonly isRevoked: (holder: TokenHolder) => boolean
  /** Whoever uses the token for longer; must be closed. */
  readonly watch: (holder: TokenHolder) => RevocationWatch
  /** Every entry. */
  readonly list: () => readonly Revocation[]
  /** When an entry is forgotten. Milliseconds since 1970. */
  readonly expiryMs: (revocation: Revocation) => number
}

/** One use of a token that lasts, such as a sync stream. */
export class RevocationWatch {
  readonly holder: TokenHolder
  #isRevoked = false
  readonly #watches: Map<string, Set<RevocationWatch>>
  /** Made anew by each that is added: there are few, and an array that grows takes room for many. */
  #listeners: readonly (() => void)[] = []

  constructor(holder: TokenHolder, watches: Map<string, Set<RevocationWatch>>) {
    this.holder = holder
    this.#watches = watches
    const ofUser = watches.get(holder.userId)
    if (ofUser === undefined) watches.set(holder.userId, new Set([this]))
    else ofUser.add(this)
  }

  get isRevoked(): boolean {
    return this.#isRevoked
  }

  /** Calls `listener` when the token is revoked, or at once if it is already. */
  listen(listener: () => void): void {
    if (this.#isRevoked) listener()
    else this.#listeners = this.#listeners.concat(listener)
  }

  revoke(): void {
    if (this.#isRevoked) return
    this.#isRevoked = true
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener()
  }

  close(): void {
    this.#listeners = []
    const ofUser = this.#watches.get(this.holder.userId)
    ofUser?.delete(this)
    if (ofUser?.size === 0) this.#watches.delete(this.holder.userId)
  }
}

export function createRevocations(parts: RevocationParts): Revocations {
  const { store, lifetimeMaxSeconds, max = REVOCATIONS_MAX, log, metrics, nowMs } = parts
  const keptMs = (lifetimeMaxSeconds + CLOCK_TOLERANCE_SECONDS) * 1000
  const entries = new Map<string, Revocation>()
  const byUser = new Map<string, Set<Revocation>>()
  const watches = new Map<string, Set<RevocationWatch>>()
  /** In force, and not durable yet. */
  const unstored = new Map<string, Revocation>()
  const expiryMs = ({ issuedBeforeMs }: Revocation): number => issuedBeforeMs + keptMs

  const remove = (revocation: Revocation): void => {
    entries.delete(keyOf(revocation))
    const ofUser = byUser.get(revocation.userId)
    ofUser?.delete(revocation)
    if (ofUser?.size === 0) byUser.delete(revocation.userId)
  }

  /** False when it says nothing new. */
  const put = (revocation: Revocation): boolean => {
    const known = entries.get(keyOf(revocation))
    if (known !== undefined && known.issuedBeforeMs >= revocation.issuedBeforeMs) return false
    if (known !== undefined) remove(known)
    entries.set(keyOf(revocation), revocation)
    const ofUser = byUser.get(revocation.userId)
    if (ofUser === undefined) byUser.set(revocation.userId, new Set([revocation]))
    else ofUser.add(revocation)
    return true
  }

  const dropExpired = (): readonly Revocation[] => {
    const expired = [...entries.values()].filter((revocation) => expiryMs(revocation) <= nowMs())
    for (const revocation of expired) remove(revocation)
    return expired
  }

  /** Makes room; whoever is not named any more is covered by the entry of everybody. */
  const widenOldest = (): RevocationChange => {
    const tooMany = entries.size - max
    if (tooMany <= 0) return { put: [], drop: [] }
    const oldestFirst = [...entries.values()].toSorted((a, b) => a.issuedBeforeMs - b.issuedBeforeMs)
    // Some more, so that this is done seldom.
    const dropped = tooMany + Math.ceil(max / 10)
    const drop = oldestFirst.filter(({ userId }) => userId !== EVERYBODY).slice(0, dropped)
    const issuedBeforeMs = drop.at(-1)?.issuedBeforeMs ?? 0
    const everybody = { userId: EVERYBODY, clientId: undefined, tokenId: undefined, issuedBeforeMs }
    for (const revocation of drop) remove(revocation)
    put(everybody)
    log.warn('revocations-widened', { dropped: drop.length, issuedBefore: new Date(issuedBeforeMs) })
    return { put: [everybody], drop }
  }

  const isRevoked = (holder: TokenHolder): boolean =>
    [EVERYBODY, holder.userId].some((user) =>
      byUser
        .get(user)
        ?.values()
        .some((revocation) => covers(revocation, holder)),
    )

  const endUses = (revoked: readonly Revocation[]): number => {
    const users = new Set(revoked.map(({ userId }) => userId))
    let ended = 0
    for (const user of users.has(EVERYBODY) ? [...watches.keys()] : users) {
      for (const watch of watches.get(user) ?? []) {
        if (watch.isRevoked || !isRevoked(watch.holder)) continue
        watch.revoke()
        ended += 1
      }
    }
    return ended
  }

  /** With what could not be stored before, which is in force all the same. */
  const storeAll = async (drop: readonly Revocation[]): Promise<void> => {
    const pending = [...unstored.values()]
    await store({ put: pending, drop })
    for (const revocation of pending) {
      if (unstored.get(keyOf(revocation)) === revocation) unstored.delete(keyOf(revocation))
    }
  }

  for (const revocation of parts.stored) put(revocation)
  metrics.set('headwater_revocations_count', entries.size)

  return {
    expiryMs,
    isRevoked,
    list: () => [...entries.values()],
    watch: (holder) => {
      const watch = new RevocationWatch(holder, watches)
      if (isRevoked(holder)) watch.revoke()
      return watch
    },
    add: async (revocations, origin) => {
      const fresh = revocations.filter((revocation) => expiryMs(revocation) > nowMs()).filter(put)
      if (fresh.length === 0 && unstored.size === 0) return
      const expired = dropExpired()
      const widened = widenOldest()
      const added = [...fresh, ...widened.put]
      const ended = endUses(added)
      metrics.set('headwater_revocations_count', entries.size)
      metrics.add('headwater_streams_revoked_total', ended)
      const [first] = fresh
      if (first !== undefined) {
        log.info('tokens-revoked', { origin, revocations: fresh.length, ended, userId: first.userId })
      }
      for (const revocation of added) unstored.set(keyOf(revocation), revocation)
      await storeAll([...expired, ...widened.drop])
    },
  }
}

/** Names an entry. */
export function keyOf({ userId, clientId, tokenId }: Revocation): string {
  return JSON.stringify([userId, clientId, tokenId])
}
