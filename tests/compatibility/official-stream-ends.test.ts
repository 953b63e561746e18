import type { Line } from '@headwater/protocol'
import { afterAll, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { appOf, checkpoint, complete, data, put } from './scripted-lines.ts'
import { startScriptedService } from './scripted-service.ts'
import { namesOf, openDevice, type Way, WAYS } from './ways.ts'

afterAll(closeBrowser)

/** How a service may end a stream, and with it the connection. */
const ENDS: readonly Line[] = [
  { kind: 'stream-end', reason: 'shutdown', retryAfterMs: 25_000 },
  { kind: 'stream-end', reason: 'config-changed' },
  { kind: 'stream-error', code: 'PSYNC_S2305', message: 'Too many buckets', retryAfterMs: 25_000 },
]

/** What chooses its own checkpoint numbers asks for more than streams. */
const asksForStreams = ({ transport, connect }: Way): boolean =>
  transport === 'http' && connect.checkpointMode === undefined

// Each has a service of its own, and mostly waits: several run at once.
test.concurrent.for(namesOf(asksForStreams))(
  '%s goes on by itself after a stream that says why it ends, whatever it says',
  async (name, { expect }) => {
    const way: Way = WAYS[name]
    // Each stream has one row more than the one before.
    await using service = await startScriptedService(way.format, ({ buckets }, index) => {
      const last = index + 1
      const has = Number(buckets[0]?.after ?? 0)
      const missing = Array.from({ length: last - has }, (_, at) => has + at + 1)
      return [
        checkpoint(last, 7 * last),
        data(missing.map((opId) => put(opId, `L${opId}`, 7, 'Groceries'))),
        complete(last),
        ...ENDS.slice(index, last),
      ]
    })
    await using device = await openDevice(name, appOf(service.url))

    await device.connect('ann')

    await device.expectRows('SELECT count(*) AS lists FROM lists', [{ lists: ENDS.length + 1 }])
    expect(service.requests).toHaveLength(ENDS.length + 1)
  },
)
