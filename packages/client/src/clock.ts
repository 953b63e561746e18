/** Time as the client sees it. Durations come from `monotonicMs`; `nowMs` is only for dates that are stored or shown. */
export type Clock = {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  readonly monotonicMs: () => number
  /** Resolves after `delayMs` (of weeks: earlier), or at once when `signal` aborts. Never rejects. */
  readonly wait: (delayMs: number, signal: AbortSignal) => Promise<void>
}

/** Timers of longer delays fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  wait: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const stop = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const timer = setTimeout(stop, Math.min(delayMs, TIMER_MAX_MS))
      signal.addEventListener('abort', stop, { once: true })
    }),
}
