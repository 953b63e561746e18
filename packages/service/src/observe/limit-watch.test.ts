import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createLimitWatch, type LimitWatch } from './limit-watch.ts'
import { createMetrics } from './metrics.ts'

function watchAt(clock: { nowMs: number }): { readonly watch: LimitWatch; readonly lines: unknown[] } {
  const lines: unknown[] = []
  const log = { warn: (event: string, fields?: object) => lines.push({ event, ...fields }) }
  return { watch: createLimitWatch({ log, metrics: createMetrics(new Registry()), nowMs: () => clock.nowMs }), lines }
}

test('of many refusals in a row one line is logged in ten seconds, which counts those before', () => {
  const clock = { nowMs: 0 }
  const { watch, lines } = watchAt(clock)
  for (let refusal = 0; refusal < 50; refusal++) watch.reached('user-requests', { userId: 'ann' })
  clock.nowMs = 10_000
  watch.reached('user-requests', { userId: 'bob' })
  const common = { event: 'limit-reached', limit: 'user-requests', setting: 'limits.userRequestsPerSecond' }
  expect(lines).toEqual([
    { ...common, code: 'too-many-user-requests', count: 1, userId: 'ann' },
    { ...common, code: 'too-many-user-requests', count: 50, userId: 'bob' },
  ])
})

test('more than half of a limit is told once for each user, with what they have', () => {
  const { watch, lines } = watchAt({ nowMs: 0 })
  watch.noteUse('buckets', { used: 50, max: 100, userId: 'ann' })
  expect(lines).toEqual([])
  for (const used of [51, 80]) watch.noteUse('buckets', { used, max: 100, userId: 'ann' })
  watch.noteUse('buckets', { used: 90, max: 100, userId: 'bob' })
  expect(lines).toMatchObject([
    { event: 'limit-near', limit: 'buckets', setting: 'limits.bucketsMax', used: 51, max: 100, userId: 'ann' },
    { used: 90, userId: 'bob' },
  ])
})
