import { toOpId } from '@headwater/protocol'
import { createManualClock } from '@headwater/testkit'
import { expect, test } from 'vitest'
import { CheckpointPins, PIN_MS_MAX } from './checkpoint-pins.ts'

test('the oldest checkpoint counts until the last of its pins is released', () => {
  const pins = new CheckpointPins(createManualClock().nowMs)
  expect(pins.oldest()).toBeUndefined()
  const [first, second, newer] = [pins.pin(toOpId(5n)), pins.pin(toOpId(5n)), pins.pin(toOpId(7n))]
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  expect(pins.oldest()).toBe(5n)
  second[Symbol.dispose]()
  expect(pins.oldest()).toBe(7n)
  newer[Symbol.dispose]()
  expect(pins.oldest()).toBeUndefined()
})

test('a checkpoint that is pinned for too long holds nothing back any more', async () => {
  const clock = createManualClock()
  const pins = new CheckpointPins(clock.nowMs)
  using _old = pins.pin(toOpId(5n))
  await clock.advance(PIN_MS_MAX)
  using _new = pins.pin(toOpId(9n))
  expect(pins.oldest()).toBe(5n)
  await clock.advance(1)
  expect(pins.oldest()).toBe(9n)
})
