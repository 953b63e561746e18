import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage } from './stage.ts'
import { namesOf, openDevice, type WayName, WAYS } from './ways.ts'

/** Small rows, and thereby users, for clients in Node and in a browser, which are slower by much. */
const SMALL_ROWS = { node: 50_000, web: 10_000 } as const
const LARGE_ROWS = 4
const LARGE_ROW_BYTES = 1_048_576

const prepare = (user: keyof typeof SMALL_ROWS): string => `
  INSERT INTO lists VALUES ('${user}1', 'Groceries', '${user}'), ('${user}2', 'Garden', '${user}');
  INSERT INTO items SELECT '${user}S' || n, '${user}', md5(n::text) || md5((-n)::text)
    FROM generate_series(1, ${SMALL_ROWS[user]}) AS n;
  INSERT INTO items SELECT '${user}L' || n, '${user}', repeat(md5(n::text), ${LARGE_ROW_BYTES / 32})
    FROM generate_series(1, ${LARGE_ROWS}) AS n;
`

const SUMMARY = 'SELECT count(*) AS rows, sum(length(body)) AS bytes FROM items'

/** What a client downloads, and what `SUMMARY` gives when it has all. */
function downloadOf(name: WayName): {
  readonly user: string
  readonly rows: number
  readonly whole: readonly object[]
} {
  const user = WAYS[name].client.on
  const rows = SMALL_ROWS[user] + LARGE_ROWS
  return { user, rows, whole: [{ rows, bytes: SMALL_ROWS[user] * 64 + LARGE_ROWS * LARGE_ROW_BYTES }] }
}

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ prepare: prepare('node') + prepare('web') })
})
afterAll(async () => {
  await closeBrowser()
  await stage[Symbol.asyncDispose]()
})

describe.each(namesOf(({ knowsPriorities }) => knowsPriorities))('%s', (name) => {
  test('shows urgent rows while a large download goes on, and then all of it', async () => {
    const { user, whole } = downloadOf(name)
    await using device = await openDevice(name, stage.app)
    await device.connect(user)

    await device.awaitFirstSync(1)
    expect(await device.readRows('SELECT id FROM lists ORDER BY id')).toEqual([{ id: `${user}1` }, { id: `${user}2` }])
    await device.expectRows(SUMMARY, whole)

    const synced = (await device.readStatuses()).map(({ hasSynced, hasSyncedUrgent }) => ({
      hasSynced,
      hasSyncedUrgent,
    }))
    expect(synced).toContainEqual({ hasSynced: false, hasSyncedUrgent: true })
  })
})

describe.each(namesOf(({ knowsPriorities }) => !knowsPriorities))('%s', (name) => {
  test('takes a large download', async () => {
    const { user, whole } = downloadOf(name)
    await using device = await openDevice(name, stage.app)
    await device.connect(user)

    await device.expectRows(SUMMARY, whole)
  })
})

/** One for each sync client there is, and both transports. */
const INTERRUPTED: readonly WayName[] = [
  'node 1.1, BSON',
  'node 1.1, WebSocket',
  'web 1.20, HTTP',
  'web 1.20, WebSocket',
]

/** Operations that a client has at least when the service is killed. */
const HELD_MIN = 2_000

describe.each(INTERRUPTED)('%s', (name) => {
  test('goes on with a download in the middle of which the service was killed', async () => {
    const { user, rows, whole } = downloadOf(name)
    await using device = await openDevice(name, stage.app)
    const countHeld = async (): Promise<number> => {
      const [row] = await device.readRows('SELECT count(*) AS held FROM ps_oplog')
      return (row as { readonly held: number }).held
    }
    await device.connect(user)
    await expect.poll(countHeld, { interval: 10, timeout: 30_000 }).toBeGreaterThan(HELD_MIN)
    await stage.service.kill()
    const held = await countHeld()
    await stage.service.start()

    await device.expectRows(SUMMARY, whole)
    expect(held).toBeLessThan(rows)
    // It did not begin anew.
    expect(await readOperationsSent()).toBeLessThan(rows + 2 - HELD_MIN)
  })
})

/** By the service since its last start. */
async function readOperationsSent(): Promise<number> {
  const metrics = await (await fetch(`${stage.service.url}/metrics`)).text()
  return Number(/^headwater_sync_operations_sent_total(?:\{\})? (\d+)$/m.exec(metrics)?.[1])
}
