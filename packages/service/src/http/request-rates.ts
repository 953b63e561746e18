/** Requests that a user may send at once, after a silence: as many as otherwise in this time. */
const BURST_SECONDS = 20

/** Users with a burst begun that are remembered; of more, those are forgotten first that asked longest ago. */
const USERS_MAX = 20_000

type Spent = { readonly spent: number; readonly atMs: number }

/** How many requests each user has sent lately, as a bucket that leaks at `perSecond`. */
export class RequestRates {
  readonly #perSecond: number
  readonly #nowMs: () => number
  /** The one that asked longest ago first. */
  readonly #users = new Map<string, Spent>()

  constructor(perSecond: number, nowMs: () => number) {
    this.#perSecond = perSecond
    this.#nowMs = nowMs
  }

  /** Counts `cost` requests; a large one may make a debt. False, and nothing counted, when the user has sent too many. */
  spend(userId: string, cost = 1): boolean {
    const nowMs = this.#nowMs()
    const spent = this.#spentBy(userId, nowMs)
    if (spent >= this.#perSecond * BURST_SECONDS) return false
    this.#users.delete(userId)
    if (this.#users.size >= USERS_MAX) this.#forgetOldest()
    this.#users.set(userId, { spent: spent + cost, atMs: nowMs })
    return true
  }

  #forgetOldest(): void {
    const [oldest] = this.#users.keys()
    if (oldest !== undefined) this.#users.delete(oldest)
  }

  #spentBy(userId: string, nowMs: number): number {
    const known = this.#users.get(userId)
    if (known === undefined) return 0
    return Math.max(0, known.spent - ((nowMs - known.atMs) / 1000) * this.#perSecond)
  }
}
