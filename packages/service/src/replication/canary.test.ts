import { setImmediate } from 'node:timers/promises'
import { createManualClock, type ManualClock } from '@headwater/testkit'
import { expect, test } from 'vitest'
import type { Session } from '../postgres/connection.ts'
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import { type Canary, createCanary, type Progress, runCanary } from './canary.ts'

const START_MS = 1_800_000_000_000
const PLACE = toLsn(0x100n)

test('a canary is awaited from the start, passed when its checkpoint is shown, and followed by the next', async () => {
  const stage = open()
  expect(stage.canary.read()).toMatchObject({ passedAtMs: undefined, awaited: { sinceMs: START_MS, place: undefined } })
  await stage.begin()
  expect(stage.canary.read().awaited).toMatchObject({ sinceMs: START_MS, place: PLACE })
  expect(stage.firsts).toEqual([PLACE])
  await stage.clock.advance(40)
  await stage.show()
  expect(stage.canary.read()).toEqual({ passedAtMs: START_MS + 40, awaited: undefined })
  expect(stage.seconds).toEqual([0.04])
  await stage.clock.advance(4_959)
  expect(stage.canary.read().awaited).toBeUndefined()
  await stage.clock.advance(1)
  expect(stage.canary.read().awaited).toMatchObject({ sinceMs: START_MS + 5_000, place: PLACE })
  expect([stage.writes(), stage.firsts]).toEqual([2, [PLACE]])
})

test.each<[what: string, progress: Partial<Progress>, hasMoved: boolean]>([
  ['nothing moves', {}, false],
  ['something is stored', { stored: toLsn(5n) }, true],
  ['slices are stored of a transaction that goes on', { deltas: 1 }, true],
  ['the server reads log that does not concern us', { sent: toLsn(0x50n) }, true],
])('while %s, the time of the last movement says so', async (_what, progress, hasMoved) => {
  const stage = open()
  await stage.begin()
  stage.set(progress)
  await stage.clock.advance(1_000)
  expect(stage.canary.read().awaited?.movedAtMs).toBe(hasMoved ? START_MS + 1_000 : START_MS)
  await stage.clock.advance(5_000)
  expect(stage.canary.read().awaited?.movedAtMs).toBe(hasMoved ? START_MS + 1_000 : START_MS)
})

test('what arrives behind the canary does not count, as what is before it may still be stuck', async () => {
  const stage = open()
  await stage.begin()
  stage.set({ sent: PLACE })
  await stage.clock.advance(1_000)
  stage.set({ sent: toLsn(0x9000n) })
  await stage.clock.advance(1_000)
  expect(stage.canary.read().awaited?.movedAtMs).toBe(START_MS + 1_000)
})

test('the server is asked how far it is, as long as it is not past the canary', async () => {
  const stage = open()
  await stage.begin()
  await stage.clock.advance(2_000)
  stage.set({ sent: PLACE })
  await stage.clock.advance(3_000)
  expect(stage.asked()).toBe(2)
})

test('after an interruption only what is stored for good counts, not what is tried again and again', async () => {
  const stage = open()
  await stage.begin()
  stage.canary.interrupted()
  expect(stage.canary.read().awaited).toMatchObject({ sinceMs: START_MS, place: undefined, wasInterrupted: true })
  await stage.clock.advance(500)
  stage.set({ deltas: 7, sent: toLsn(0x50n) })
  await stage.clock.advance(500)
  expect(stage.canary.read().awaited?.movedAtMs).toBe(START_MS)
  stage.set({ stored: toLsn(5n) })
  await stage.clock.advance(1_000)
  expect(stage.canary.read().awaited?.movedAtMs).toBe(START_MS + 2_000)
})

test('an interruption between two canaries is the beginning of waiting', async () => {
  const stage = open()
  await stage.begin()
  await stage.show()
  await stage.clock.advance(300)
  stage.canary.interrupted()
  expect(stage.canary.read()).toMatchObject({ passedAtMs: START_MS, awaited: { sinceMs: START_MS + 300 } })
})

type Stage = {
  readonly canary: Canary
  readonly clock: ManualClock
  readonly firsts: readonly Lsn[]
  readonly seconds: readonly number[]
  readonly begin: () => Promise<void>
  readonly set: (progress: Partial<Progress>) => void
  readonly show: () => Promise<void>
  readonly writes: () => number
  readonly asked: () => number
}

function open(): Stage {
  const clock = createManualClock(START_MS)
  const canary = createCanary(clock.nowMs)
  const [firsts, seconds]: [Lsn[], number[]] = [[], []]
  let progress: Progress = { stored: toLsn(1n), deltas: 0, sent: toLsn(1n) }
  let [writes, asked] = [0, 0]
  let shown = Promise.withResolvers<void>()
  // Postgres gives the position of the marker as text.
  const query: Session['query'] = async () => [{ lsn: `0/${PLACE.toString(16)}`, n: String((writes += 1)) }]
  const run = (): Promise<void> =>
    runCanary(
      {
        canary,
        control: { query } as Session,
        slot: 's',
        canaryMs: 5_000,
        untilShown: () => shown.promise,
        readProgress: () => progress,
        askServer: () => (asked += 1),
        clock,
        metrics: { observe: (_name, value) => seconds.push(value) },
      },
      (place) => firsts.push(place),
      new AbortController().signal,
    )
  const settle = (): Promise<void> => setImmediate()
  return {
    canary,
    clock,
    firsts,
    seconds,
    begin: async () => {
      void run()
      await settle()
    },
    set: (changes) => {
      progress = { ...progress, ...changes }
    },
    show: async () => {
      shown.resolve()
      shown = Promise.withResolvers()
      await settle()
    },
    writes: () => writes,
    asked: () => asked,
  }
}
