import { afterAll, beforeAll, describe, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage } from './stage.ts'
import { namesOf, openDevice, type Way, WAYS } from './ways.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => {
  await closeBrowser()
  await stage[Symbol.asyncDispose]()
})

const LISTS = 'SELECT id, name FROM lists ORDER BY id'

// Every test has a user of its own, and mostly waits: several run at once. What they expect, they expect each for itself.
describe.concurrent.each(namesOf())('%s', (name) => {
  const way: Way = WAYS[name]

  test('gets its rows and nobody else’s, and sees a change while connected', async ({ expect }) => {
    const user = await stage.addUser()
    await using device = await openDevice(name, stage.app)
    await device.connect(user)
    await device.expectRows(LISTS, [
      { id: `${user}L1`, name: 'Groceries' },
      { id: `${user}L2`, name: 'Zoë 🛒' },
    ])

    await stage.database.sql(`
      UPDATE lists SET name = 'Food' WHERE id = '${user}L1';
      UPDATE lists SET owner_id = 'nobody' WHERE id = '${user}L2';
      INSERT INTO lists VALUES ('${user}L3', 'New', '${user}')
    `)

    await device.expectRows(LISTS, [
      { id: `${user}L1`, name: 'Food' },
      { id: `${user}L3`, name: 'New' },
    ])
    const [opened, ...more] = stage.readStreams(user)
    expect(opened).toMatchObject({ event: 'stream-opened', transport: way.transport, format: way.format })
    expect(more).toEqual([])
  })

  test('uploads a write, which stays visible until it comes back as Postgres stored it', async ({ expect }) => {
    const user = await stage.addUser()
    await using device = await openDevice(name, stage.app)
    await device.connect(user)
    await device.expectRows(LISTS, [
      { id: `${user}L1`, name: 'Groceries' },
      { id: `${user}L2`, name: 'Zoë 🛒' },
    ])
    await device.follow(`SELECT name FROM lists WHERE id = '${user}L9'`)

    await device.write([
      `INSERT INTO lists (id, name, owner_id) VALUES ('${user}L9', '  Eggs  ', '${user}')`,
      `UPDATE lists SET name = 'Food' WHERE id = '${user}L1'`,
      `DELETE FROM lists WHERE id = '${user}L2'`,
    ])

    // Without spaces the name can only have come from Postgres, and only after the write checkpoint was reached.
    const rows = [
      { id: `${user}L1`, name: 'Food' },
      { id: `${user}L9`, name: 'Eggs' },
    ]
    await device.expectRows(LISTS, rows)
    await expect
      .poll(device.readFollowed, { timeout: 20_000 })
      .toEqual(['[]', '[{"name":"  Eggs  "}]', '[{"name":"Eggs"}]'])
    expect(await device.readRows('SELECT id FROM ps_crud')).toEqual([])
    expect(await readLists(user)).toEqual(rows)
  })

  test('edits while offline, and keeps its own words over what others wrote meanwhile', async ({ expect }) => {
    const user = await stage.addUser()
    await using device = await openDevice(name, stage.app)
    await device.connect(user)
    await device.expectRows(`SELECT count(*) AS lists FROM lists`, [{ lists: 2 }])
    await device.disconnect()
    await device.write([`UPDATE lists SET name = 'Mine' WHERE id = '${user}L1'`])
    await device.write([`INSERT INTO lists (id, name, owner_id) VALUES ('${user}L8', 'Offline', '${user}')`])
    await device.follow(`SELECT name FROM lists WHERE id = '${user}L1'`)
    await stage.database.sql(`UPDATE lists SET name = 'Theirs' WHERE owner_id = '${user}'`)

    await device.connect(user)

    const rows = [
      { id: `${user}L1`, name: 'Mine' },
      { id: `${user}L2`, name: 'Theirs' },
      { id: `${user}L8`, name: 'Offline' },
    ]
    await device.expectRows(LISTS, rows)
    expect(await device.readFollowed()).toEqual(['[{"name":"Mine"}]'])
    expect(await readLists(user)).toEqual(rows)
  })

  test('forgets everything, and gets the rows of another user', async ({ expect }) => {
    const [before, after] = [await stage.addUser(), await stage.addUser()]
    await using device = await openDevice(name, stage.app)
    await device.connect(before)
    await device.expectRows(`SELECT count(*) AS lists FROM lists`, [{ lists: 2 }])

    await device.disconnectAndClear()

    expect(await device.readRows(LISTS)).toEqual([])
    expect(await device.readRows('SELECT row_id FROM ps_oplog')).toEqual([])
    await device.connect(after)
    await device.expectRows(LISTS, [
      { id: `${after}L1`, name: 'Groceries' },
      { id: `${after}L2`, name: 'Zoë 🛒' },
    ])
  })
})

function readLists(user: string): Promise<readonly object[]> {
  return stage.database.sql(`SELECT id, name FROM lists WHERE owner_id = '${user}' ORDER BY id`)
}
