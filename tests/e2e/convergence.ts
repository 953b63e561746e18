import { compareRows, formatDifference, type Oracle } from '@headwater/testkit'
import type { Device } from './device.ts'

/** Everything has been mended by then, so nothing has a reason to take long, not even on a loaded machine. */
const PATIENCE_MS = 45_000
const POLL_MS = 100
const DIFFERENCES_SHOWN = 12

/**
 * Waits until every upload queue is empty and every device holds exactly the rows that the oracle says. Fails with what
 * each device has too much, too little or wrong. Nobody else may write meanwhile.
 */
export async function expectConvergence(
  devices: readonly Device[],
  oracle: Oracle,
  note: (what: string) => void,
): Promise<void> {
  const startedAtMs = performance.now()
  for (;;) {
    const troubles: string[] = []
    for (const device of devices) troubles.push(...(await findTrouble(device, oracle)))
    if (troubles.length === 0) return note(`converged after ${Math.round(performance.now() - startedAtMs)} ms`)
    if (performance.now() - startedAtMs > PATIENCE_MS) {
      throw new Error(`The devices have not converged after ${PATIENCE_MS} ms:\n${troubles.join('\n')}`)
    }
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS)
    })
  }
}

async function findTrouble(device: Device, oracle: Oracle): Promise<readonly string[]> {
  const queued = await device.countQueued()
  if (queued > 0) return [describe(device, `${queued} writes are queued`)]
  const expected = await oracle.readRows(device.oracleValues)
  const actual = await device.readRows()
  const differences = [...expected].flatMap(([table, rows]) => compareRows(table, rows, actual.get(table) ?? new Map()))
  if (differences.length === 0) return []
  const shown = differences.slice(0, DIFFERENCES_SHOWN).map((difference) => `  ${formatDifference(difference)}`)
  return [describe(device, `${differences.length} rows are wrong`), ...shown]
}

function describe(device: Device, trouble: string): string {
  return `${device.name}: ${trouble}; status ${JSON.stringify(device.readStatus())}`
}
