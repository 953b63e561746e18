/** Time, as it is passed in. */
export type Clock = {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Resolves after `delayMs`, or when `signal` aborts. Never rejects. */
  readonly wait: (delayMs: number, signal: AbortSignal) => Promise<void>
}

/** The machine's own time. Its timers keep no process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  wait: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, delayMs).unref()
      signal.addEventListener('abort', done, { once: true })
    }),
}
