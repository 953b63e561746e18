import { createManualClock, readSeeds, seededRandom } from '@headwater/testkit'
import { expect, test } from 'vitest'
import { Alarm, Alarms } from './alarms.ts'

test.each(readSeeds(process.env, 5))(
  'alarms that are set, moved and cleared at random ring in order, at their times (seed %s)',
  async (seed) => {
    const random = seededRandom(seed)
    const clock = createManualClock(0)
    const alarms = new Alarms(clock)
    const rung: { readonly name: number; readonly atMs: number }[] = []
    const all = Array.from(
      { length: 50 },
      (_, name): Alarm => new Alarm(() => void rung.push({ name, atMs: clock.nowMs() })),
    )
    const expected = new Map<number, number>()
    for (let step = 0; step < 300; step++) {
      const name = random.between(0, all.length - 1)
      const alarm = all[name]
      if (alarm === undefined) throw new RangeError(`There is no alarm ${name}`)
      if (random.between(0, 3) === 0) {
        alarms.clear(alarm)
        expected.delete(name)
      } else {
        const atMs = random.between(0, 10_000)
        alarms.set(alarm, atMs)
        expected.set(name, atMs)
      }
      // What is due at 0 rings at once.
      if (expected.get(name) === 0) expected.delete(name)
    }
    await new Promise(setImmediate)
    rung.splice(0)

    await clock.advance(10_000)
    expect(rung.map(({ atMs }) => atMs)).toEqual([...expected.values()].toSorted((a, b) => a - b))
    expect(new Map(rung.map(({ name, atMs }) => [name, atMs]))).toEqual(expected)
    expect(clock.countWaiters()).toBe(0)
  },
)

test('alarms of any number wait on one timer, for the first of them', async () => {
  const clock = createManualClock(0)
  const alarms = new Alarms(clock)
  const rung: string[] = []
  const late = new Alarm(() => void rung.push('late'))
  alarms.set(late, 2_000)
  alarms.set(new Alarm(() => void rung.push('early')), 1_000)
  await new Promise(setImmediate)
  await clock.advance(999)
  expect(rung).toEqual([])
  expect(clock.countWaiters()).toBe(1)
  await clock.advance(1)
  expect(rung).toEqual(['early'])
  expect(late.isSet).toBe(true)
  await clock.advance(1_000)
  expect(rung).toEqual(['early', 'late'])
  expect(late.isSet).toBe(false)
})

test('an alarm may be set again while it rings', async () => {
  const clock = createManualClock(0)
  const alarms = new Alarms(clock)
  let times = 0
  const alarm: Alarm = new Alarm(() => {
    times++
    alarms.set(alarm, clock.nowMs() + 1_000)
  })
  alarms.set(alarm, 1_000)
  await clock.advance(5_000)
  expect(times).toBe(5)
})
