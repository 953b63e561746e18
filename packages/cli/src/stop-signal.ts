/**
 * One request to stop can arrive twice at once: from the terminal, and passed on by the process that started us. A
 * second one this much later is a person who does not want to wait.
 */
const SAME_REQUEST_MS = 1_000

/**
 * Resolves at the first request to stop: Ctrl-C, `kill`, a closed terminal. A later one ends the process as it is;
 * nothing is lost by that, only the next start takes longer.
 */
export function waitForStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        firstAtMs ??= performance.now()
        if (performance.now() - firstAtMs > SAME_REQUEST_MS) process.exit(130)
        resolve(signal)
      })
    }
  })
}
