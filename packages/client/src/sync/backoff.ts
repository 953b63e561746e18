import type { Clock } from '../clock.ts'

/** The longest pause between attempts that nobody asked for. */
export const RETRY_DELAY_MAX_MS = 60_000

/** The longest pause that is made because the other side asked for it: a mistake there must not cut a device off. */
export const RETRY_AFTER_MAX_MS = 10 * 60_000

/** By how much, at most, a pause that was asked for is drawn out: all who were sent away come back one by one. */
const RETRY_AFTER_SPREAD = 0.5

/** Pause before the next attempt after `failures` in a row: doubling, and spread by ±10 % so that devices do not march in step. */
export function backoffMs(failures: number, retryDelayMs: number, random: number): number {
  const doubled = retryDelayMs * 2 ** Math.min(Math.max(0, failures - 1), 30)
  return Math.min(doubled, Math.max(RETRY_DELAY_MAX_MS, retryDelayMs)) * (0.9 + 0.2 * random)
}

export type PauseRule = {
  readonly failures: number
  readonly retryDelayMs: number
  /** How long the other side asked to be left alone. */
  readonly retryAfterMs: number | undefined
  /** 0 … 1. */
  readonly random: number
}

export type PausePlan = {
  /** Kept in any case. */
  readonly firmMs: number
  /** May be cut short when there is reason to hope. */
  readonly restMs: number
}

export function planPause({ failures, retryDelayMs, retryAfterMs = 0, random }: PauseRule): PausePlan {
  const asked = Math.min(retryAfterMs, RETRY_AFTER_MAX_MS)
  const firmMs = asked * (1 + RETRY_AFTER_SPREAD * random)
  return { firmMs, restMs: Math.max(0, backoffMs(failures, retryDelayMs, random) - firmMs) }
}

/** The time between an attempt and the next. It can be cut short before it begins: then there is only the firm part. */
export class Pause {
  readonly #cut = new AbortController()

  cut(): void {
    this.#cut.abort()
  }

  /** Ends early when `signal` aborts. Never rejects. */
  async wait(clock: Clock, { firmMs, restMs }: PausePlan, signal: AbortSignal): Promise<void> {
    if (firmMs > 0) await clock.wait(firmMs, signal)
    if (restMs > 0) await clock.wait(restMs, AbortSignal.any([signal, this.#cut.signal]))
  }
}
