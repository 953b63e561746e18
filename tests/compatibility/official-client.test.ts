import { startTestPostgres, type TestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Connection, openOfficialDatabase } from './official-database.ts'
import { openStage } from './stage.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

const TODOS = 'SELECT id, title, done, weight FROM todos ORDER BY id'
const MILK = { id: 'T1', title: 'Milk', done: 0, weight: 1 }
const BREAD = { id: 'T2', title: 'Bread', done: 1, weight: 0.5 }

/** What the answer to a stream says it is; nothing over a WebSocket. */
const STREAM_TYPES: { readonly [Way in Connection]: readonly string[] } = {
  ndjson: ['application/x-ndjson'],
  bson: ['application/vnd.powersync.bson-stream'],
  websocket: [],
  'websocket, line by line': [],
}

describe.each(Object.keys(STREAM_TYPES) as Connection[])('the official client, over %s', (connection) => {
  test('gets its rows and nobody else’s, and sees a change while connected', async () => {
    await using stage = await openStage(postgres)
    await using official = await openOfficialDatabase(connection)
    await official.connect(stage.connectorOf('ann'))

    await official.expectRows('SELECT id, name, owner_id FROM lists ORDER BY id', [
      { id: 'L1', name: 'Groceries', owner_id: 'ann' },
      { id: 'L2', name: 'Zoë 🛒', owner_id: 'ann' },
    ])

    await stage.database.sql(`
      UPDATE lists SET name = 'Food' WHERE id = 'L1';
      UPDATE lists SET owner_id = 'bob' WHERE id = 'L2';
      UPDATE lists SET owner_id = 'ann' WHERE id = 'L3';
    `)

    await official.expectRows('SELECT id, name, owner_id FROM lists ORDER BY id', [
      { id: 'L1', name: 'Food', owner_id: 'ann' },
      { id: 'L3', name: 'Not hers', owner_id: 'ann' },
    ])
    expect(official.streamTypes).toEqual(STREAM_TYPES[connection])
    const transport = connection.startsWith('websocket') ? 'websocket' : 'http'
    const metrics = await (await fetch(`${stage.service.url}/metrics`)).text()
    expect(metrics).toContain(`headwater_sync_streams_count{transport="${transport}"} 1`)
  })

  // Not with `ttl: 0`: about one time in forty the client's core then drops a subscription that the app holds while it
  // makes the request, with and without a service (seen with 1.1.0). The time to live ends in the millisecond it starts.
  test('subscribes to a stream with parameters, and leaves it again', async () => {
    await using stage = await openStage(postgres)
    await using official = await openOfficialDatabase(connection)
    await official.connect(stage.connectorOf('ann'))

    const subscription = await official.db.syncStream('todos', { list: 'L1' }).subscribe()
    await official.expectRows(TODOS, [MILK, BREAD])
    subscription.unsubscribe()
    await official.db.syncStream('todos', { list: 'L1' }).unsubscribeAll()

    await official.expectRows(TODOS, [])
  })

  test('uploads a write, and sees it come back as Postgres stored it', async () => {
    await using stage = await openStage(postgres)
    await using official = await openOfficialDatabase(connection)
    await official.db.syncStream('todos', { list: 'L1' }).subscribe()
    await official.connect(stage.connectorOf('ann'))
    await official.expectRows(TODOS, [MILK, BREAD])

    await official.db.writeTransaction(async (transaction) => {
      await transaction.execute(
        `INSERT INTO todos (id, list_id, title, done, weight) VALUES ('T9', 'L1', '  Eggs  ', 0, 2.5)`,
      )
      await transaction.execute(`UPDATE todos SET done = 1 WHERE id = 'T1'`)
      await transaction.execute(`DELETE FROM todos WHERE id = 'T2'`)
    })

    // The title without spaces can only have come from Postgres, and only after the write checkpoint was reached.
    const eggs = { id: 'T9', title: 'Eggs', done: 0, weight: 2.5 }
    await official.expectRows(TODOS, [{ ...MILK, done: 1 }, eggs])
    expect(await official.db.getUploadQueueStats()).toMatchObject({ count: 0 })
    const stored = await stage.database.sql(
      `SELECT id, title, done, weight FROM todos WHERE list_id = 'L1' ORDER BY id`,
    )
    expect(stored).toEqual([
      { ...MILK, done: true },
      { ...eggs, done: false },
    ])
  })

  test('goes on after the service was killed and started again', async () => {
    await using stage = await openStage(postgres)
    await using official = await openOfficialDatabase(connection)
    await official.connect(stage.connectorOf('ann'))
    await official.expectRows(`SELECT name FROM lists WHERE id = 'L1'`, [{ name: 'Groceries' }])

    await stage.service.kill()
    await stage.database.sql(`UPDATE lists SET name = 'Changed meanwhile' WHERE id = 'L1'`)
    await stage.service.start()

    await official.expectRows(`SELECT name FROM lists WHERE id = 'L1'`, [{ name: 'Changed meanwhile' }])
  })
})
