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
export type Keepalive = {
  /** Milliseconds until the next line; if that is far, until it should be asked again. */
  readonly untilNextMs: (nowMs: number) => number
  /** Takes the line that is due, if one is: the seconds that the token is good for; 0 ends the stream. */
  readonly takeDue: (nowMs: number) => number | undefined
  /** Something else was sent: the early first line is not needed any more. */
  readonly begin: (nowMs: number) => void
  /** The token is worth nothing from now on: the line that says so is due. */
  readonly end: (nowMs: number) => void
}

export function createKeepalive({ nowMs, expiresAtMs, random, intervalMs = INTERVAL_MS }: KeepaliveOptions): Keepalive {
  const warningAtMs = expiresAtMs - WARNING_MS
  let endsAtMs = expiresAtMs
  let hasBegun = false
  let dueAtMs = Math.min(nowMs + FIRST_LINE_MS, expiresAtMs)

  const schedule = (fromMs: number): void => {
    hasBegun = true
    const spread = 1 + SPREAD * (2 * random() - 1)
    dueAtMs = Math.min(fromMs + intervalMs * spread, endsAtMs)
    if (warningAtMs > fromMs) dueAtMs = Math.min(dueAtMs, warningAtMs)
  }

  if (intervalMs === Infinity) schedule(nowMs)

  return {
    untilNextMs: (nowMs) => Math.min(Math.max(0, dueAtMs - nowMs), WAIT_MAX_MS),
    takeDue: (nowMs) => {
      if (nowMs < dueAtMs) return undefined
      schedule(nowMs)
      return Math.max(0, Math.ceil((endsAtMs - nowMs) / 1000))
    },
    begin: (nowMs) => {
      if (!hasBegun) schedule(nowMs)
    },
    end: (nowMs) => {
      endsAtMs = Math.min(endsAtMs, nowMs)
      dueAtMs = endsAtMs
    },
  }
}
