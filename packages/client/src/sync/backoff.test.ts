import { createManualClock, seededRandom } from '@headwater/testkit'
import { describe, expect, test } from 'vitest'
import { backoffMs, Pause, planPause, RETRY_AFTER_MAX_MS } from './backoff.ts'

test('[protocol 102] pauses double from the first, up to a minute', () => {
  const pauses = [1, 2, 3, 4, 5, 100].map((failures) => backoffMs(failures, 5000, 0.5))
  expect(pauses.map(Math.round)).toEqual([5000, 10_000, 20_000, 40_000, 60_000, 60_000])
})

test('[protocol 102] pauses are spread by a tenth either way', () => {
  expect(backoffMs(1, 1000, 0)).toBeCloseTo(900)
  expect(backoffMs(1, 1000, 1)).toBeCloseTo(1100)
})

test('an app that asks for more than a minute gets it', () => {
  expect(backoffMs(3, 120_000, 0.5)).toBe(120_000)
})

describe('a pause that the other side asked for', () => {
  const rule = { failures: 1, retryDelayMs: 5000, retryAfterMs: 30_000, random: 0 }

  test('[protocol 102] is never shorter than asked, and spread so that not all come back at once', () => {
    expect(planPause(rule)).toEqual({ firmMs: 30_000, restMs: 0 })
    expect(planPause({ ...rule, random: 1 })).toEqual({ firmMs: 45_000, restMs: 0 })
  })

  test('[protocol 102] goes on as any pause does after so many failures', () => {
    const { firmMs, restMs } = planPause({ ...rule, failures: 9, random: 0.5 })
    expect([firmMs, firmMs + restMs]).toEqual([37_500, 60_000])
  })

  test('leaves those spread who were asked for different ones: at most about as many a second', () => {
    const random = seededRandom(3)
    const clients = Array.from({ length: 10_000 }, () =>
      planPause({ ...rule, retryAfterMs: 5_000 + 20_000 * random.fraction(), random: random.fraction() }),
    )
    const seconds = new Map<number, number>()
    for (const { firmMs, restMs } of clients) {
      const second = Math.floor((firmMs + restMs) / 1000)
      seconds.set(second, (seconds.get(second) ?? 0) + 1)
    }
    expect(Math.max(...seconds.values())).toBeLessThan(600)
  })

  test('is bounded: a mistake there does not cut a device off', () => {
    const { firmMs } = planPause({ ...rule, retryAfterMs: 86_400_000 })
    expect(firmMs).toBe(RETRY_AFTER_MAX_MS)
  })

  test.each(['before', 'during'] as const)('is kept when it is cut %s, and nothing but it', async (when) => {
    const clock = createManualClock()
    const pause = new Pause()
    let isOver = false
    if (when === 'before') pause.cut()
    const wait = async () => {
      await pause.wait(clock, { firmMs: 1000, restMs: 9000 }, new AbortController().signal)
      isOver = true
    }
    const over = wait()
    if (when === 'during') pause.cut()
    await clock.advance(999)
    expect(isOver).toBe(false)
    await clock.advance(1)
    await over
  })
})
