import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** By so much the heap may grow, counting the buffers that belong to it, before V8 collects all of it. */
const GROWTH_BYTES = 128 * 1024 * 1024
const PERCENT_MAX = 300

/** From this heap on V8 gives as much room by itself. */
const LARGE_HEAP_BYTES = 512 * 1024 * 1024

const PERIOD_MS = 5_000

/**
 * Gives a small heap room to grow; what is returned ends it. V8 counts the memory of buffers as part of the heap, and lets
 * a heap of 30 MiB grow by some MiB: the bodies and downloads of a few clients then make it collect everything once a
 * second, and each time everybody waits for 5 to 20 ms.
 */
export function keepHeapRoom(): () => void {
  const update = (): void => {
    const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
    setFlagsFromString(`--heap-growing-percent=${chooseGrowthPercent(heap + external)}`)
  }
  update()
  const timer = setInterval(update, PERIOD_MS).unref()
  return () => clearInterval(timer)
}

/** Of what is used; 0: V8 chooses. */
export function chooseGrowthPercent(usedBytes: number): number {
  if (usedBytes >= LARGE_HEAP_BYTES) return 0
  return Math.min(PERCENT_MAX, Math.round((100 * GROWTH_BYTES) / usedBytes))
}
