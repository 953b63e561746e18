import { once } from 'node:events'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { HandOver, type Taker } from './hand-over.ts'

test('each connection goes to whoever has the fewest, also after one has started anew', () => {
  const [busy, fresh] = [taker(5), taker(0)]
  const handOver = new HandOver([busy, fresh])
  for (let n = 0; n < 7; n++) handOver.offer('clients', new Socket())
  expect([busy.connections, fresh.connections]).toEqual([6, 6])
})

test('who finds nobody free waits, and is served in the order of coming', () => {
  const one = taker(0)
  const handOver = new HandOver([one])
  one.mayTake = false
  const sockets = [new Socket(), new Socket()]
  for (const socket of sockets) handOver.offer('clients', socket)
  expect(one.taken).toEqual([])
  one.mayTake = true
  handOver.flush()
  expect(one.taken).toEqual(sockets)
})

test('who has gone while waiting is left out', async () => {
  const one = taker(0)
  const handOver = new HandOver([one])
  one.mayTake = false
  const gone = new Socket()
  handOver.offer('clients', gone)
  gone.destroy()
  await once(gone, 'close')
  one.mayTake = true
  handOver.flush()
  expect(one.taken).toEqual([])
})

test('beyond the bound nobody waits, and at the end nobody is left waiting', () => {
  const handOver = new HandOver([])
  const sockets = Array.from({ length: 1_025 }, () => new Socket())
  for (const socket of sockets) handOver.offer('clients', socket)
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([...Array.from({ length: 1_024 }, () => false), true])
  handOver.close()
  expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
  const late = new Socket()
  handOver.offer('clients', late)
  expect(late.destroyed).toBe(true)
})

type TestTaker = Taker & { connections: number; mayTake: boolean; readonly taken: Socket[] }

function taker(connections: number): TestTaker {
  const taken: Socket[] = []
  const self: TestTaker = {
    connections,
    mayTake: true,
    taken,
    take: (_, socket) => {
      taken.push(socket)
      self.connections += 1
    },
  }
  return self
}
