/**
 * Resolves at the first request to stop: Ctrl-C, `kill`, a closed terminal. A second one ends the process as it is,
 * for whoever does not want to wait.
 */
export function waitForStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        resolve(signal)
      })
    }
  })
}
