import { expect, test } from 'vitest'
import { createManualClock } from './manual-clock.ts'

const NEVER = new AbortController().signal

test('a waiter wakes when the clock has moved far enough, and not before', async () => {
  const clock = createManualClock()
  let woken = false
  const waiting = clock.wait(100, NEVER).then(() => (woken = true))

  await clock.advance(99)
  expect(woken).toBe(false)
  await clock.advance(1)
  await waiting

  expect(clock.monotonicMs()).toBe(100)
})

test('waiters wake in the order of their times, and one that waits again is seen in the same move', async () => {
  const clock = createManualClock()
  const woken: string[] = []
  const wake = async (name: string, delayMs: number): Promise<void> => {
    await clock.wait(delayMs, NEVER)
    woken.push(`${name} at ${clock.monotonicMs()}`)
  }
  const all = [wake('late', 30), wake('early', 10).then(() => wake('again', 10))]

  await clock.advance(50)
  await Promise.all(all)

  expect(woken).toEqual(['early at 10', 'again at 20', 'late at 30'])
})

test('an abort ends the wait at once', async () => {
  const clock = createManualClock()
  const stop = new AbortController()
  const waiting = clock.wait(1_000, stop.signal)

  stop.abort()
  await waiting

  expect(clock.countWaiters()).toBe(0)
})
