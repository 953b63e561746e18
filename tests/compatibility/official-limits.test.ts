/** A stream above the limit of buckets is left out; official clients get the others, and stay. */
import { afterAll, beforeAll, describe, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage } from './stage.ts'
import { namesOf, openDevice } from './ways.ts'

/** One bucket for all lists of a user, and one for the todos of each. */
const SYNC_CONFIG = `
config:
  edition: 3
streams:
  lists:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM lists WHERE owner_id = auth.user_id()
  todos:
    auto_subscribe: true
    query: SELECT * FROM todos WHERE list_id IN (SELECT id FROM lists WHERE owner_id = auth.user_id())
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ syncConfig: SYNC_CONFIG, limits: { bucketsMax: 2 } })
})
afterAll(async () => {
  await closeBrowser()
  await stage[Symbol.asyncDispose]()
})

const LISTS = 'SELECT id, name FROM lists ORDER BY id'
const TODOS = 'SELECT id FROM todos ORDER BY id'

// Every test has a user of its own, and mostly waits: several run at once. What they expect, they expect each for itself.
describe.concurrent.each(namesOf(({ knowsStreams }) => knowsStreams))('%s', (name) => {
  test('a stream above the limit is missing, the other is synced, and the client stays connected', async ({
    expect,
  }) => {
    const user = await stage.addUser()
    const [first, second] = [`${user}L1`, `${user}L2`]
    const groceries = { id: first, name: 'Groceries' }
    await using device = await openDevice(name, stage.app)
    await device.connect(user)
    await device.awaitFirstSync()
    await device.expectRows(LISTS, [groceries, { id: second, name: 'Zoë 🛒' }])
    expect(await device.readRows(TODOS)).toEqual([])

    await stage.database.sql(`UPDATE lists SET name = 'Animals' WHERE id = '${second}'`)
    await device.expectRows(LISTS, [groceries, { id: second, name: 'Animals' }])

    // With one list less there is room for both streams, and with one more there is not.
    await stage.database.sql(`DELETE FROM lists WHERE id = '${second}'`)
    await device.expectRows(TODOS, [{ id: `${user}T1` }, { id: `${user}T2` }])
    await stage.database.sql(`INSERT INTO lists VALUES ('${second}', 'Back', '${user}')`)
    await device.expectRows(TODOS, [])
    await device.expectRows(LISTS, [groceries, { id: second, name: 'Back' }])

    const statuses = await device.readStatuses()
    const connected = statuses.slice(statuses.findIndex(({ isConnected }) => isConnected))
    expect(connected.map(({ isConnected }) => isConnected)).not.toContain(false)
    expect(connected.at(-1)).toMatchObject({ isConnected: true, hasSynced: true })
    expect(stage.readStreams(user).map(({ event }) => event)).toEqual(['stream-opened'])
    expect((await device.readSaid()).join('\n')).toContain('[PSYNC_S2305] Too many buckets (limit of 2)')
  })
})
