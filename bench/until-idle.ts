import type { ServiceProcess } from '@headwater/testkit'

const PROBE_MS = 300

/** Of one processor. */
const BUSY_SHARE_MAX = 0.05
const PATIENCE_MS = 60_000

/** Waits until the service has tidied up after what came before, so that a figure holds only its own work. */
export async function untilIdle(service: Pick<ServiceProcess, 'readUsage'>): Promise<void> {
  const startedAtMs = performance.now()
  for (;;) {
    const before = await service.readUsage()
    const probedAtMs = performance.now()
    await new Promise((resolve) => {
      setTimeout(resolve, PROBE_MS)
    })
    const after = await service.readUsage()
    const nowMs = performance.now()
    if ((after.cpuMs - before.cpuMs) / (nowMs - probedAtMs) < BUSY_SHARE_MAX) return
    if (nowMs - startedAtMs > PATIENCE_MS) throw new Error(`The service is still busy after ${PATIENCE_MS} ms`)
  }
}
