import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage } from './stage.ts'
import { namesOf, openDevice } from './ways.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => {
  await closeBrowser()
  await stage[Symbol.asyncDispose]()
})

const LISTS = 'SELECT id, name FROM lists ORDER BY id'

describe.each(namesOf())('%s', (name) => {
  // One after the other: devices of one process that are open at the same time wait for each other in the client.
  test('goes on over a compaction from wherever it was, and finds no wrong sum', async () => {
    const user = await stage.addUser()
    const rename = (list: string, to: string) =>
      stage.database.sql(`UPDATE lists SET name = '${to}' WHERE id = '${user}${list}'`)
    await using device = await openDevice(name, stage.app)
    await device.connect(user)
    await device.expectRows('SELECT count(*) AS lists FROM lists', [{ lists: 2 }])
    await device.disconnect()
    await rename('L1', 'one')
    await rename('L1', 'two')
    await stage.database.sql(`DELETE FROM lists WHERE id = '${user}L2'`)
    await stage.database.sql(`INSERT INTO lists VALUES ('${user}L3', 'New', '${user}')`)
    await expect.poll(stage.compact, { timeout: 10_000 }).toBeGreaterThan(0)

    await device.connect(user)
    const rows = (second: string) => [
      { id: `${user}L1`, name: 'two' },
      { id: `${user}L3`, name: second },
    ]
    await device.expectRows(LISTS, rows('New'))
    for (const to of ['Newer', 'Newer still']) {
      await rename('L3', to)
      await device.expectRows(LISTS, rows(to))
    }
    expect(await stage.compact()).toBeGreaterThan(0)
    await rename('L3', 'Newest')
    await device.expectRows(LISTS, rows('Newest'))
    await device.disconnectAndClear()

    await device.connect(user)
    await device.expectRows(LISTS, rows('Newest'))
    // Who finds a wrong sum connects once more.
    expect(stage.readStreams(user).filter(({ event }) => event === 'stream-opened')).toHaveLength(3)
  })
})
