import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createLimitWatch } from '../observe/limit-watch.ts'
import { createMetrics } from '../observe/metrics.ts'
import { SharedRoom } from './shared-room.ts'

function roomOf(max: number, userMax: number): { readonly room: SharedRoom; readonly registry: Registry } {
  const registry = new Registry()
  const watch = createLimitWatch({ log: { warn: () => {} }, metrics: createMetrics(registry), nowMs: () => 0 })
  const room = new SharedRoom(watch, {
    all: { limit: 'connections', max, message: 'full' },
    each: { limit: 'user-connections', max: userMax, message: 'yours are full' },
  })
  return { room, registry }
}

test('one user finds no room above the limit of each; others do, up to that of all', () => {
  const { room } = roomOf(3, 2)
  room.open('ann').hold(1)
  room.open('ann').hold(1)
  const refused = room.open('ann')
  expect(() => refused.hold(1)).toThrow(expect.objectContaining({ code: 'too-many-user-connections' }))
  expect(refused.size()).toBe(0)
  room.check()
  room.open('bob').hold(1)
  expect(() => room.open('carl').hold(1)).toThrow(expect.objectContaining({ code: 'too-many-connections' }))
  expect(() => room.check()).toThrow(expect.objectContaining({ code: 'too-many-connections' }))
})

test('a claim can grow, shrink and be given back, once', () => {
  const { room } = roomOf(10, 10)
  const claim = room.open('ann')
  claim.hold(4)
  claim.hold(10)
  expect(() => room.check()).toThrow()
  claim.hold(3)
  expect(claim.size()).toBe(3)
  room.open('bob').hold(7)
  claim.release()
  claim.release()
  room.open('ann').hold(3)
  expect(() => room.open('ann').hold(1)).toThrow()
})

test('every refusal is counted, and half of a limit is told once for each user', async () => {
  const { room, registry } = roomOf(100, 4)
  for (const user of ['ann', 'ann', 'ann', 'ann', 'bob']) room.open(user).hold(1)
  expect(() => room.open('ann').hold(1)).toThrow()
  const text = await registry.metrics()
  expect(text).toContain('headwater_limits_reached_total{limit="user-connections"} 1')
  expect(text).toContain('headwater_limits_near_total{limit="user-connections"} 1')
})
