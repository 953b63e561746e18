import { afterAll, beforeAll, describe, test } from 'vitest'
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

const TODOS = 'SELECT id, title, done, weight FROM todos ORDER BY id'

// Every test has a user of its own, and mostly waits: several run at once. What they expect, they expect each for itself.
describe.concurrent.each(namesOf(({ knowsStreams }) => knowsStreams))('%s', (name) => {
  // Not with `ttl: 0`: about one time in forty the client's core then drops a subscription that the app holds while it
  // makes the request, with and without a service (seen with 1.1.0). The time to live ends in the millisecond it starts.
  test('subscribes to one stream several times, and leaves each alone', async ({ expect }) => {
    const user = await stage.addUser()
    const milk = { id: `${user}T1`, title: 'Milk', done: 0, weight: 1 }
    const bread = { id: `${user}T2`, title: 'Bread', done: 1, weight: 0.5 }
    const lion = { id: `${user}T3`, title: 'Lion', done: 0, weight: 190.25 }
    await using device = await openDevice(name, stage.app)
    await device.connect(user)

    await device.subscribe('todos', { list: `${user}L1` })
    await device.expectRows(TODOS, [milk, bread])
    await device.subscribe('todos', { list: `${user}L2` }, 0)
    await device.expectRows(TODOS, [milk, bread, lion])
    await stage.database.sql(`UPDATE todos SET list_id = '${user}L2' WHERE id = '${user}T2'`)
    await device.unsubscribe('todos', { list: `${user}L1` })
    await device.expectRows(TODOS, [bread, lion])
    await device.unsubscribe('todos', { list: `${user}L2` })
    await device.expectRows(TODOS, [])

    // Default streams were not touched by it.
    expect(await device.readRows('SELECT id FROM lists ORDER BY id')).toEqual([
      { id: `${user}L1` },
      { id: `${user}L2` },
    ])
  })

  test('a subscription to a stream that does not exist harms no other', async ({ expect }) => {
    const user = await stage.addUser()
    await using device = await openDevice(name, stage.app)
    await device.subscribe('no_such_stream', {})
    await device.subscribe('todos', {})
    await device.subscribe('todos', { list: `${user}L2` })

    await device.connect(user)

    await device.expectRows('SELECT id FROM todos', [{ id: `${user}T3` }])
    expect(await device.readRows('SELECT count(*) AS lists FROM lists')).toEqual([{ lists: 2 }])
  })
})
