import { describe, expect, test, vi } from 'vitest'
import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import {
  bucketEntry,
  checkpointLine,
  completeLine,
  dataLine,
  diffLine,
  partialLine,
  put,
  remove,
} from '../sync/scripted-service.test-parts.ts'
import { CredentialCache } from '../sync/credentials.ts'
import { ServiceClient } from '../sync/service-client.ts'
import { SyncStore } from '../store/sync-store.ts'
import { createUploader } from '../upload/backend-uploader.ts'
import { TARGET_UNKNOWN } from '../upload/hold.ts'
import { eventually, openThrowAway, until } from './throw-away-database.test-parts.ts'
import { HeadwaterDatabase } from './index.ts'

const schema = new Schema({
  lists: new Table({ name: column.text }),
  todos: new Table({ title: column.text, done: column.integer }),
})

function bodyOf(init: RequestInit | undefined): string {
  return typeof init?.body === 'string' ? init.body : ''
}

describe('rows', () => {
  test('a partial completion shows the value of urgent buckets only until the rest is complete', async () => {
    await using opened = await openThrowAway(schema)
    const { db, service } = opened
    void opened.connect()
    const stream = await service.stream(0)
    const late = [put(9, 'lists', 'a', { name: 'newest' })]
    stream.send(checkpointLine(9, [bucketEntry('late', late)]), dataLine('late', late), completeLine(9))
    await db.waitForFirstSync()
    const urgent = [put(7, 'lists', 'a', { name: 'older' })]
    stream.send(diffLine(10, [bucketEntry('urgent', urgent, 1)]), dataLine('urgent', urgent), partialLine(10, 1))
    await db.waitForStatus((status) => status.statusForPriority(1).priority === 1)
    expect(await db.getAll('SELECT name FROM lists')).toEqual([{ name: 'older' }])
    stream.send(completeLine(10))
    await db.waitForStatus((status) => !status.downloading && status.connected)
    await until(async () => (await db.get<{ op: number }>('SELECT checkpoint_op AS op FROM ps_control')).op === 10)
    expect(await db.getAll('SELECT name FROM lists')).toEqual([{ name: 'newest' }])
  })

  test('an edit of a table that left the schema gives way to what was downloaded since', async () => {
    await using opened = await openThrowAway(schema)
    const { db, service } = opened
    const rows = [put(1, 'lists', 'a', { name: 'A' })]
    void opened.connect()
    const first = await service.stream(0)
    first.send(checkpointLine(1, [bucketEntry('b', rows)]), dataLine('b', rows), completeLine(1))
    await db.waitForFirstSync()
    await db.disconnect()
    await db.execute(`UPDATE lists SET name = 'mine' WHERE id = 'a'`)
    await db.updateSchema(new Schema({}))
    void opened.connect()
    const second = await service.stream(1)
    await eventually(() => expect(service.writeCheckpoint).toBe(1))
    const newer = [put(2, 'lists', 'a', { name: 'theirs' })]
    const all = [...rows, ...newer]
    second.send(checkpointLine(2, [bucketEntry('b', all)], { write_checkpoint: '1' }), dataLine('b', newer))
    second.send(completeLine(2))
    await until(async () => (await db.getAll('SELECT 1 FROM ps_updated_rows')).length === 0)
    await db.disconnect()
    await db.updateSchema(schema)
    expect(await db.getAll('SELECT name FROM lists')).toEqual([{ name: 'theirs' }])
  })

  test('a table with a new column is read with it by statements that ran before', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.execute(`INSERT INTO lists(id, name) VALUES ('a', 'A')`)
    for (let n = 0; n < 8; n += 1) await db.getAll('SELECT * FROM lists')
    await db.execute('SELECT * FROM lists')
    await db.updateSchema(new Schema({ lists: new Table({ name: column.text, color: column.text }) }))
    for (let n = 0; n < 8; n += 1) {
      expect(await db.getAll('SELECT * FROM lists')).toEqual([{ id: 'a', name: 'A', color: null }])
    }
    expect((await db.execute('SELECT * FROM lists')).array).toEqual([{ id: 'a', name: 'A', color: null }])
  })
})

describe('a download', () => {
  test('leaves out operations that it holds already', async () => {
    await using opened = await openThrowAway(schema)
    const { db, service } = opened
    void opened.connect()
    const stream = await service.stream(0)
    const all = [put(1, 'lists', 'a', { name: 'A' }), remove(2, 'lists', 'a'), put(3, 'lists', 'b', { name: 'B' })]
    stream.send(checkpointLine(3, [bucketEntry('b', all)]), dataLine('b', all.slice(0, 2)), completeLine(2))
    const again = await service.stream(1)
    again.send(checkpointLine(3, [bucketEntry('b', all)]), dataLine('b', all.slice(0, 2)))
    await db.waitForStatus((status) => (status.downloadProgress?.downloadedOperations ?? 0) > 0)
    again.send(dataLine('b', all.slice(0, 2)), { token_expires_in: 60 }, dataLine('b', all.slice(1)), completeLine(3))
    await db.waitForFirstSync()
    expect(await db.getAll('SELECT name FROM lists')).toEqual([{ name: 'B' }])
    expect(service.streams).toHaveLength(2)
  })

  test('is checked against the newest sum, also when the number of operations stays the same', async () => {
    await using opened = await openThrowAway(schema)
    const { db, service, logs } = opened
    void opened.connect()
    const stream = await service.stream(0)
    const rows = [put(1, 'lists', 'a', { name: 'A' })]
    stream.send(checkpointLine(1, [bucketEntry('b', rows)]), dataLine('b', rows), completeLine(1))
    await db.waitForFirstSync()
    const replaced = [put(2, 'lists', 'a', { name: 'other' })]
    stream.send(diffLine(2, [bucketEntry('b', replaced)]), completeLine(2))
    const second = await service.stream(1)
    expect(second.request['buckets']).toEqual([])
    expect(logs.some(({ message }) => message.includes('Checksums differ'))).toBe(true)
  })

  test('that is complete stands for every more urgent part of it', async () => {
    await using opened = await openThrowAway(schema)
    const { db, service } = opened
    void opened.connect()
    const stream = await service.stream(0)
    stream.send(checkpointLine(1, [bucketEntry('b', [], 1)]), partialLine(1, 1))
    await db.waitForFirstSync({ priority: 1 })
    stream.send(completeLine(1))
    await db.waitForFirstSync()
    expect(db.currentStatus.priorityStatusEntries.map(({ priority }) => priority)).toEqual([2_147_483_647])
  })
})

describe('statements', () => {
  test('several in one text are refused rather than run in part', async () => {
    await using opened = await openThrowAway(schema)
    await expect(
      opened.db.execute(`INSERT INTO lists(id) VALUES ('a'); INSERT INTO lists(id) VALUES ('b')`),
    ).rejects.toThrow(/statement/)
    expect(await opened.db.getAll('SELECT id FROM lists')).toEqual([])
  })

  test.each(['SAVEPOINT s', '/* all or nothing */ BEGIN', ' -- so\n; begin'])(
    'that open a transaction and leave it (%j) do not block the database',
    async (sql) => {
      await using opened = await openThrowAway(schema)
      await opened.db.execute(sql).catch(() => undefined)
      await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
      expect(await opened.db.getAll('SELECT id FROM lists')).toEqual([{ id: 'a' }])
    },
  )

  test('EXPLAIN can be run like any other', async () => {
    await using opened = await openThrowAway(schema)
    const { array } = await opened.db.execute('EXPLAIN QUERY PLAN SELECT * FROM lists')
    expect(array.length).toBeGreaterThan(0)
  })
})

describe('calls from within the connector', () => {
  test.each(['uploadData', 'fetchCredentials'] as const)(
    '%s may disconnect and clear',
    async (method) => {
      await using opened = await openThrowAway(schema)
      const { db } = opened
      await db.execute(`INSERT INTO lists(id) VALUES ('a')`)
      const cleared = Promise.withResolvers<void>()
      const signOut = async () => {
        await db.disconnectAndClear()
        cleared.resolve()
      }
      void opened.connect(
        {},
        method === 'uploadData'
          ? { uploadData: signOut }
          : { fetchCredentials: () => signOut().then(() => null), uploadData: () => Promise.reject(new Error('no')) },
      )
      await cleared.promise
      expect(await db.getUploadQueueStats()).toMatchObject({ count: 0 })
    },
    5000,
  )
})

describe('closing', () => {
  test('ends the sync in any case: nobody else could go on with it', async () => {
    await using opened = await openThrowAway(schema)
    await opened.connect()
    await opened.db.close({ disconnect: false })
    expect(opened.service.streams[0]?.closedByClient).toBe(true)
    expect(opened.db.currentStatus.connected).toBe(false)
  })

  test('twice at once is once', async () => {
    await using opened = await openThrowAway(schema)
    const closed: string[] = []
    opened.db.registerListener({ closing: () => closed.push('closing'), closed: () => closed.push('closed') })
    await Promise.all([opened.db.close(), opened.db.close()])
    expect(closed).toEqual(['closing', 'closed'])
  })

  test('a database that could not be opened ends at once', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute('UPDATE ps_control SET layout_version = 99')
    const other = new HeadwaterDatabase({ schema, database: { dbFilename: 'app.db', dbLocation: opened.directory } })
    await expect(other.init()).rejects.toMatchObject({ code: 'layout-unknown' })
    await other.close()
    expect(other.closed).toBe(true)
    await opened.db.execute('UPDATE ps_control SET layout_version = 1')
  }, 5000)
})

describe('integers that JavaScript cannot hold', () => {
  test('go to the backend digit by digit', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute(`INSERT INTO todos(id, done) VALUES ('a', 9007199254740993)`)
    const bodies: string[] = []
    const upload = createUploader({
      url: 'http://backend.test/',
      fetch: (_, init) => {
        bodies.push(bodyOf(init))
        return Promise.resolve(Response.json({ results: [{ tx_id: 1, status: 'applied' }] }))
      },
    })
    await upload(opened.db)
    expect(bodies[0]).toContain('9007199254740993')
  })
})

describe('uploading', () => {
  test('a write checkpoint that the backend chose counts only when nothing is left to upload', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    for (const id of ['a', 'b']) await db.execute('INSERT INTO lists(id) VALUES (?)', [id])
    const readTarget = () => db.getAll('SELECT target_write_checkpoint AS target FROM ps_control')
    await (await db.getNextCrudTransaction())?.complete('42')
    expect(await readTarget()).toEqual([{ target: TARGET_UNKNOWN }])
    await (await db.getNextCrudTransaction())?.complete('43')
    expect(await readTarget()).toEqual([{ target: 43 }])
  })

  test('sends less at a time to a backend that finds it too much', async () => {
    await using opened = await openThrowAway(schema)
    for (const id of ['a', 'b', 'c']) await opened.db.execute('INSERT INTO lists(id) VALUES (?)', [id])
    const sizes: number[] = []
    const upload = createUploader({
      url: 'http://backend.test/',
      fetch: (_, init) => {
        const { transactions }: { transactions: { tx_id: number }[] } = JSON.parse(bodyOf(init))
        sizes.push(transactions.length)
        if (transactions.length > 1) return Promise.resolve(new Response('too large', { status: 413 }))
        return Promise.resolve(
          Response.json({ results: transactions.map(({ tx_id }) => ({ tx_id, status: 'applied' })) }),
        )
      },
    })
    await upload(opened.db)
    expect(sizes).toEqual([3, 1])
    expect(await opened.db.getUploadQueueStats()).toMatchObject({ count: 2 })
  })

  test('rounds that writes start keep their distance, and the last write is covered', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    const throttleMs = 200
    const beganMs: number[] = []
    await opened.connect(
      { crudUploadThrottleMs: throttleMs },
      {
        uploadData: async (database) => {
          beganMs.push(performance.now())
          await (await database.getCrudBatch())?.complete()
        },
      },
    )
    await db.execute(`INSERT INTO lists(id) VALUES ('first')`)
    await until(async () => (await db.getUploadQueueStats()).count === 0)
    await db.execute(`INSERT INTO lists(id) VALUES ('last')`)
    await until(async () => (await db.getUploadQueueStats()).count === 0)
    expect(beganMs).toHaveLength(2)
    // Timers may fire a millisecond early.
    expect((beganMs[1] ?? 0) - (beganMs[0] ?? 0)).toBeGreaterThan(throttleMs - 5)
  })

  test('a write forgets which write checkpoint was seen before: another service may count from anywhere', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.execute('UPDATE ps_control SET target_write_checkpoint = 100, seen_write_checkpoint = 100')
    await db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    expect(
      await db.getAll('SELECT target_write_checkpoint AS target, seen_write_checkpoint AS seen FROM ps_control'),
    ).toEqual([{ target: TARGET_UNKNOWN, seen: null }])
  })

  test('a write right after the round that connecting started does not wait', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.execute(`INSERT INTO lists(id) VALUES ('offline')`)
    await opened.connect({ crudUploadThrottleMs: 60_000 })
    await until(async () => (await db.getUploadQueueStats()).count === 0)
    await db.waitForStatus((status) => !status.uploading)
    await db.execute(`INSERT INTO lists(id) VALUES ('now')`)
    await until(async () => (await db.getUploadQueueStats()).count === 0)
  })
})

describe('a service that accepts the call and never answers', () => {
  test('is given up and called again', async () => {
    const clock: Clock = { ...systemClock, wait: (delayMs, signal) => systemClock.wait(Math.min(delayMs, 20), signal) }
    const signIn = () => Promise.resolve({ endpoint: 'http://service.test', token: 't' })
    const credentials = new CredentialCache(signIn, systemClock)
    const never: typeof fetch = () => new Promise(() => {})
    const service = new ServiceClient({ clock, fetch: never, credentials, userAgent: undefined })
    const { signal } = new AbortController()
    await expect(service.requestWriteCheckpoint('c', signal)).rejects.toMatchObject({ code: 'sync-interrupted' })
  })
})

describe('an upload that never ends', () => {
  test('does not keep disconnect waiting for ever, and is never run twice at once', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    const first = Promise.withResolvers<void>()
    let running = 0
    const uploadData = async () => {
      running += 1
      await first.promise
      running -= 1
    }
    void opened.connect({}, { uploadData })
    await until(() => running === 1)
    await opened.db.disconnect()
    const calls: number[] = []
    await opened.connect(
      {},
      {
        uploadData: async (database) => {
          calls.push(running)
          await (await database.getCrudBatch())?.complete()
        },
      },
    )
    expect(calls).toEqual([])
    first.resolve()
    await until(() => calls.length > 0)
    expect(calls).toEqual([0])
  })
})

describe('tokens', () => {
  test('that the app hands out again are no reason to reconnect', async () => {
    await using opened = await openThrowAway(schema)
    let fetched = 0
    void opened.connect(
      {},
      {
        fetchCredentials: () =>
          Promise.resolve({ endpoint: 'http://service.test', token: (fetched += 1) > 0 ? 't' : '' }),
      },
    )
    const stream = await opened.service.stream(0)
    stream.send({ token_expires_in: 25 })
    await until(() => fetched === 2)
    stream.send(checkpointLine(0, []), completeLine(0))
    await opened.db.waitForFirstSync()
    expect(opened.service.streams).toHaveLength(1)
  })
})

describe('status', () => {
  test('that cannot be read does not stop the sync for ever', async () => {
    await using opened = await openThrowAway(schema)
    const { db, service } = opened
    void opened.connect()
    const first = await service.stream(0)
    const reading = vi.spyOn(SyncStore.prototype, 'readStatus').mockRejectedValueOnce(new Error('worker died'))
    first.send(checkpointLine(0, []), completeLine(0))
    await until(() => reading.mock.calls.length > 0)
    first.end()
    const second = await service.stream(1)
    second.send(checkpointLine(0, []), completeLine(0))
    await db.waitForFirstSync()
    reading.mockRestore()
    await db.disconnect()
  })
})
