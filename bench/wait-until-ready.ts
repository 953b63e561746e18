const POLL_MS = 5
const READY_MS_MAX = 300_000

/** Polls the readiness probe, which turns when clients can be served. */
export async function waitUntilReady(url: string): Promise<void> {
  const patience = AbortSignal.timeout(READY_MS_MAX)
  while ((await fetch(`${url}/probes/readiness`, { signal: patience })).status !== 200) {
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS)
    })
  }
}
