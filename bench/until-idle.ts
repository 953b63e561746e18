import type { ServiceProcess } from '@headwater/testkit'

const PROBE_MS = 300

/** Of one processor: less is idle. */
const IDLE_SHARE_MAX = 0.05

/**
 * Thousands of open streams are kept alive by writing to each of them, which costs more on a busy machine. What stays
 * below this and falls no longer is such work, and not the rest of what came before.
 */
const STEADY_SHARE_MAX = 0.25

/** Of so many probes the mean is compared with that of as many before. */
const STEADY_PROBES = 10

/** A mean falls when it is less than this share of the one before. */
const FALLING_SHARE = 0.9

const PATIENCE_MS = 60_000

/** Waits until the service has tidied up after what came before, so that a figure holds only its own work. */
export async function untilIdle(service: Pick<ServiceProcess, 'readUsage'>): Promise<void> {
  const startedAtMs = performance.now()
  const shares: number[] = []
  for (;;) {
    const share = await probe(service)
    shares.push(share)
    if (share < IDLE_SHARE_MAX || isSteady(shares)) return
    if (performance.now() - startedAtMs > PATIENCE_MS) {
      const percent = Math.round(share * 100)
      throw new Error(`The service is still busy after ${PATIENCE_MS} ms: it takes ${percent} % of a processor`)
    }
  }
}

/** CPU time over wall time. */
async function probe(service: Pick<ServiceProcess, 'readUsage'>): Promise<number> {
  const before = await service.readUsage()
  const startedAtMs = performance.now()
  await new Promise((resolve) => {
    setTimeout(resolve, PROBE_MS)
  })
  const after = await service.readUsage()
  return (after.cpuMs - before.cpuMs) / (performance.now() - startedAtMs)
}

function isSteady(shares: readonly number[]): boolean {
  if (shares.length < 2 * STEADY_PROBES) return false
  const now = mean(shares.slice(-STEADY_PROBES))
  const before = mean(shares.slice(-2 * STEADY_PROBES, -STEADY_PROBES))
  return now < STEADY_SHARE_MAX && now >= before * FALLING_SHARE
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
