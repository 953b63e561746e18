import type { ErrorCode } from '@headwater/protocol'

const FIRST_MS = 250
const MAX_MS = 30_000
/** Hosts ban addresses that keep failing to log in. */
const AUTH_MS = 60_000
const DOUBLINGS_MAX = 10

/** How long to wait before connecting again, for the `attempt`-th time in a row from 1. `random` is 0 … 1. */
export function backoffMs(attempt: number, code: ErrorCode, random: number): number {
  if (code === 'source-auth-failed') return AUTH_MS
  const ms = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(attempt - 1, DOUBLINGS_MAX))
  return Math.round(ms * (0.5 + random / 2))
}
