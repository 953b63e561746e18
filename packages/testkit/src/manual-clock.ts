/** A clock that stands still until it is told otherwise. */
export type ManualClock = {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  readonly monotonicMs: () => number
  /** Resolves when the clock has moved `delayMs` on, or when `signal` aborts. Never rejects. */
  readonly wait: (delayMs: number, signal: AbortSignal) => Promise<void>
  /** Moves on, waking every waiter that is due, the earliest first; each may wait again before the next one wakes. */
  readonly advance: (byMs: number) => Promise<void>
  readonly countWaiters: () => number
}

type Waiter = { readonly dueMs: number; readonly wake: () => void }

export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let elapsedMs = 0
  const waiters = new Set<Waiter>()

  const wait = (delayMs: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const wake = (): void => {
        waiters.delete(waiter)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const waiter: Waiter = { dueMs: elapsedMs + delayMs, wake }
      waiters.add(waiter)
      signal.addEventListener('abort', wake, { once: true })
    })

  const advance = async (byMs: number): Promise<void> => {
    const untilMs = elapsedMs + byMs
    for (let next = earliest(waiters, untilMs); next !== undefined; next = earliest(waiters, untilMs)) {
      elapsedMs = next.dueMs
      next.wake()
      await settle()
    }
    elapsedMs = untilMs
  }

  return {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    wait,
    advance,
    countWaiters: () => waiters.size,
  }
}

function earliest(waiters: ReadonlySet<Waiter>, untilMs: number): Waiter | undefined {
  let found: Waiter | undefined
  for (const waiter of waiters) {
    if (waiter.dueMs <= untilMs && (found === undefined || waiter.dueMs < found.dueMs)) found = waiter
  }
  return found
}

/** Lets everything run that needs nothing but promises. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
