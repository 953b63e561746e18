/** Clients and proxies give up after 30 s or more without a byte. */
const INTERVAL_MS = 20_000

/** Spread of the interval to each side, so that connections that began together do not stay together. */
const SPREAD = 0.1

/** A line so long before the end lets clients that only look at the number fetch a new token in time. */
const WARNING_MS = 20_000

/** A client that sees nothing for longer cannot tell a slow service from a dead one. */
const FIRST_LINE_MS = 1_500

/** Timers cannot run for longer than 24 days, and a token may be good for longer: so often one looks again. */
const WAIT_MAX_MS = 86_400_000

export type KeepaliveOptions = {
  readonly nowMs: number
  /** When the token ends. */
  readonly expiresAtMs: number
  /** At least 0, below 1. */
  readonly random: () => number
  /** Infinity: only the lines that tell the end of the token are due. */
  readonly intervalMs?: number | undefined
}

/** When a `token_expires_in` line is due on one stream. */
export class Keepalive {
  readonly #random: () => number
  readonly #intervalMs: number
  readonly #warningAtMs: number
  #endsAtMs: number
  #dueAtMs: number
  #hasBegun = false

  constructor({ nowMs, expiresAtMs, random, intervalMs = INTERVAL_MS }: KeepaliveOptions) {
    this.#random = random
    this.#intervalMs = intervalMs
    this.#warningAtMs = expiresAtMs - WARNING_MS
    this.#endsAtMs = expiresAtMs
    this.#dueAtMs = Math.min(nowMs + FIRST_LINE_MS, expiresAtMs)
    if (intervalMs === Infinity) this.#schedule(nowMs)
  }

  /** Milliseconds until the next line; if that is far, until it should be asked again. */
  untilNextMs(nowMs: number): number {
    return Math.min(Math.max(0, this.#dueAtMs - nowMs), WAIT_MAX_MS)
  }

  /** Takes the line that is due, if one is: the seconds that the token is good for; 0 ends the stream. */
  takeDue(nowMs: number): number | undefined {
    if (nowMs < this.#dueAtMs) return undefined
    this.#schedule(nowMs)
    return Math.max(0, Math.ceil((this.#endsAtMs - nowMs) / 1000))
  }

  /** Something else was sent: the early first line is not needed any more. True if it was due until then. */
  begin(nowMs: number): boolean {
    if (this.#hasBegun) return false
    this.#schedule(nowMs)
    return true
  }

  /** The token is worth nothing from now on: the line that says so is due. */
  end(nowMs: number): void {
    this.#endsAtMs = Math.min(this.#endsAtMs, nowMs)
    this.#dueAtMs = this.#endsAtMs
  }

  #schedule(fromMs: number): void {
    this.#hasBegun = true
    const spread = 1 + SPREAD * (2 * this.#random() - 1)
    this.#dueAtMs = Math.min(fromMs + this.#intervalMs * spread, this.#endsAtMs)
    if (this.#warningAtMs > fromMs) this.#dueAtMs = Math.min(this.#dueAtMs, this.#warningAtMs)
  }
}
