import { expect, test } from 'vitest'
import { systemClock } from './clock.ts'

test.each([Infinity, 2 ** 31, Number.MAX_SAFE_INTEGER])(
  'a wait of %d ms is long, not over at once',
  async (delayMs) => {
    const stop = new AbortController()
    let isOver = false
    const wait = async () => {
      await systemClock.wait(delayMs, stop.signal)
      isOver = true
    }
    const waiting = wait()
    await systemClock.wait(20, new AbortController().signal)
    expect(isOver).toBe(false)
    stop.abort()
    await waiting
  },
)
