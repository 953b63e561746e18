import { expect, test } from 'vitest'
import { Keepalive } from './keepalive.ts'

test('[protocol 64] lines are spread around the interval', () => {
  const early = new Keepalive({ nowMs: 0, expiresAtMs: 3_600_000, random: () => 0 })
  const late = new Keepalive({ nowMs: 0, expiresAtMs: 3_600_000, random: () => 0.999 })
  early.begin(0)
  late.begin(0)
  expect(early.untilNextMs(0)).toBe(18_000)
  expect(Math.round(late.untilNextMs(0))).toBe(21_996)
})

test('the first line is due early, unless something else was sent', () => {
  const keepalive = new Keepalive({ nowMs: 0, expiresAtMs: 3_600_000, random: () => 0.5 })
  expect(keepalive.untilNextMs(0)).toBe(1_500)
  expect(keepalive.takeDue(1_500)).toBe(3_599)
  expect(keepalive.untilNextMs(1_500)).toBe(20_000)
})

test('no line is due twice', () => {
  const keepalive = new Keepalive({ nowMs: 0, expiresAtMs: 3_600_000, random: () => 0.5 })
  keepalive.begin(0)
  expect(keepalive.takeDue(19_999)).toBeUndefined()
  expect(keepalive.takeDue(20_000)).toBe(3_580)
  expect(keepalive.takeDue(20_000)).toBeUndefined()
})

test('[protocol 65] seconds are rounded up and never negative', () => {
  const keepalive = new Keepalive({ nowMs: 0, expiresAtMs: 1_400, random: () => 0.5 })
  expect(keepalive.takeDue(1_500)).toBe(0)
  expect(new Keepalive({ nowMs: 0, expiresAtMs: 30_001, random: () => 0.5 }).takeDue(1_500)).toBe(29)
})

test('without an interval only the lines before the end of the token and at its end are due', () => {
  const keepalive = new Keepalive({ nowMs: 0, expiresAtMs: 60_000, random: () => 0.5, intervalMs: Infinity })
  expect(keepalive.untilNextMs(0)).toBe(40_000)
  keepalive.begin(1_000)
  expect(keepalive.takeDue(39_999)).toBeUndefined()
  expect(keepalive.takeDue(40_000)).toBe(20)
  expect(keepalive.untilNextMs(40_000)).toBe(20_000)
  expect(keepalive.takeDue(60_000)).toBe(0)
})

test('a line that is due in many days is asked for once a day, as long as a timer can run', () => {
  const keepalive = new Keepalive({ nowMs: 0, expiresAtMs: 9e9, random: () => 0.5, intervalMs: Infinity })
  expect(keepalive.untilNextMs(0)).toBe(86_400_000)
  expect(keepalive.takeDue(86_400_000)).toBeUndefined()
})
