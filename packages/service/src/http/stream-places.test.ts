import { HeadwaterError } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { AUTHORIZED, start } from './http-server.test-parts.ts'
import { endlessLines, openRsocket } from './rsocket-client.test-parts.ts'
import type { PlaceAmongAll } from './stream-places.ts'

const REFUSED = new HeadwaterError('too-many-user-connections', 'As many as one user may have')
const POST = { method: 'POST', headers: { ...AUTHORIZED, 'content-type': 'application/json' }, body: '{}' }

test('a stream that finds no place among those of all processes is refused over HTTP, and holds nothing', async () => {
  const places = openPlaces()
  const { url } = await start({ openStream: endlessLines, takePlaceAmongAll: places.take })
  places.refuse = true
  const refused = await fetch(`${url}/sync/stream`, POST)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
  expect(await refused.json()).toMatchObject({ error: { code: 'PSYNC_S2304' } })
  expect(places.held).toBe(0)

  places.refuse = false
  const granted = await fetch(`${url}/sync/stream`, POST)
  expect([granted.status, places.held]).toEqual([200, 1])
  await granted.body?.cancel()
  await expect.poll(() => places.held).toBe(0)
})

test('a WebSocket has one place, and its further streams each another; a refused stream leaves the others alone', async () => {
  const places = openPlaces()
  const { url } = await start({ openStream: endlessLines, takePlaceAmongAll: places.take })
  const client = await openRsocket(url)
  client.request({ streamId: 1 })
  expect(await client.next()).toMatchObject({ kind: 'next', streamId: 1 })
  client.request({ streamId: 3 })
  expect(await client.next()).toMatchObject({ kind: 'next', streamId: 3 })
  expect(places.held).toBe(2)

  places.refuse = true
  client.request({ streamId: 5 })
  expect(await client.next()).toMatchObject({ kind: 'error', streamId: 5, text: /^\[PSYNC_S2304\]/ })
  expect(places.held).toBe(2)
  const another = await openRsocket(url)
  expect(await another.next()).toMatchObject({ kind: 'error', streamId: 0, text: /^\[PSYNC_S2304\]/ })
  await another.closed
  expect(places.held).toBe(2)
  client.webSocket.terminate()
  await expect.poll(() => places.held).toBe(0)
})

test('a client that leaves while its place is asked for gives it back, over both transports', async () => {
  const places = openPlaces()
  const gate = Promise.withResolvers<void>()
  const take = (userId: string): PlaceAmongAll => ({ ...places.take(userId), granted: gate.promise })
  const { url } = await start({ openStream: endlessLines, takePlaceAmongAll: take })
  const leaving = new AbortController()
  const request = fetch(`${url}/sync/stream`, { ...POST, signal: leaving.signal })
  const client = await openRsocket(url)
  client.request()
  await expect.poll(() => places.held).toBe(2)
  leaving.abort()
  await expect(request).rejects.toThrow('abort')
  client.webSocket.terminate()
  gate.resolve()
  await expect.poll(() => places.held).toBe(0)
})

/** `held`: places that were taken and not given back, granted or not. */
function openPlaces(): { held: number; refuse: boolean; readonly take: (userId: string) => PlaceAmongAll } {
  const places = {
    held: 0,
    refuse: false,
    take: (): PlaceAmongAll => {
      places.held += 1
      let isHeld = true
      const granted = places.refuse ? Promise.reject(REFUSED) : Promise.resolve()
      granted.catch(() => {})
      return {
        granted,
        giveBack: () => {
          if (isHeld) places.held -= 1
          isHeld = false
        },
      }
    },
  }
  return places
}
