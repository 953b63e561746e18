import { expect, test } from 'vitest'
import { Places } from './places.ts'

test('some run, some wait for them in order, and the rest are refused at once', async () => {
  const places = new Places({ runningMax: 2, waitingMax: 1 })
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<number>())
  const started: number[] = []
  const runs = gates.map(({ promise }, index) =>
    places.run(async () => {
      started.push(index)
      return promise
    }),
  )
  expect(await runs[3]).toBeUndefined()
  expect(started).toEqual([0, 1])
  gates[1]?.resolve(10)
  expect(await runs[1]).toBe(10)
  gates[0]?.resolve(0)
  gates[2]?.resolve(20)
  expect([await runs[0], await runs[2]]).toEqual([0, 20])
  expect(await places.run(async () => 'free again')).toBe('free again')
})

test('work that fails gives its place back', async () => {
  const places = new Places({ runningMax: 1, waitingMax: 0 })
  await expect(places.run(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  expect(await places.run(async () => 1)).toBe(1)
})
