import { describe, expect, test } from 'vitest'
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
import type { ScriptedStream, WireOperation } from '../sync/scripted-service.test-parts.ts'
import { eventually, openThrowAway, until } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

const schema = new Schema({
  lists: new Table({ name: column.text }),
  todos: new Table({ title: column.text, done: column.integer }),
})

async function openConnected(): Promise<{ opened: ThrowAway; stream: ScriptedStream }> {
  const opened = await openThrowAway(schema)
  void opened.connect()
  return { opened, stream: await opened.service.stream(0) }
}

function names({ db }: ThrowAway): Promise<string[]> {
  return db
    .getAll<{ name: string }>('SELECT name FROM lists ORDER BY name')
    .then((rows) => rows.map(({ name }) => name))
}

/** Resolves when the checkpoint has been completed, shown or not. */
async function settled({ db }: ThrowAway, lastOpId: number): Promise<void> {
  await until(async () => {
    const { op } = await db.get<{ op: number }>('SELECT checkpoint_op AS op FROM ps_control')
    return op >= lastOpId && !db.currentStatus.downloading
  })
}

describe('a download', () => {
  test('[protocol 100] shows all rows of a checkpoint in one commit, at its completion line and not before', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const operations = [put(1, 'lists', 'a', { name: 'A' }), put(2, 'lists', 'b', { name: 'B' })]
    stream.send(checkpointLine(2, [bucketEntry('b', operations)]), dataLine('b', operations))
    await opened.db.waitForStatus((status) => status.downloadProgress?.downloadedFraction === 1)
    expect(await names(opened)).toEqual([])
    expect(opened.db.currentStatus.hasSynced).toBe(false)
    stream.send(completeLine(2))
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['A', 'B'])
    expect(opened.db.currentStatus.downloadProgress).toBeNull()
  })

  test('an empty checkpoint counts as synced', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    stream.send(checkpointLine(0, []), completeLine(0))
    await opened.db.waitForFirstSync()
    expect(opened.db.currentStatus.lastSyncedAt).toBeInstanceOf(Date)
  })

  test('values arrive as documented', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const operation: WireOperation = {
      ...put(1, 'todos', 't', {}),
      data: '{"id":"t","title":{"deep":[1]},"done":9007199254740993,"unknown":1}',
    }
    const flag = put(2, 'todos', 'u', { title: null, done: true })
    stream.send(
      checkpointLine(2, [bucketEntry('b', [operation, flag])]),
      dataLine('b', [operation, flag]),
      completeLine(2),
    )
    await opened.db.waitForFirstSync()
    expect(await opened.db.getAll('SELECT * FROM todos ORDER BY id')).toEqual([
      { id: 't', title: '{"deep":[1]}', done: 9_007_199_254_740_993n },
      { id: 'u', title: null, done: 1 },
    ])
  })

  test('[protocol 95] the newest operation of a row wins within a bucket and between buckets', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const first = [put(1, 'lists', 'a', { name: 'old' }), put(4, 'lists', 'a', { name: 'newest' })]
    const second = [put(3, 'lists', 'a', { name: 'older' }), put(5, 'lists', 'b', { name: 'B' })]
    stream.send(
      checkpointLine(5, [bucketEntry('x', first), bucketEntry('y', second)]),
      dataLine('x', first),
      dataLine('y', second),
      completeLine(5),
    )
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['B', 'newest'])
    const gone = [...first, remove(6, 'lists', 'a')]
    stream.send(diffLine(6, [bucketEntry('x', gone)]), dataLine('x', gone.slice(2)), completeLine(6))
    await settled(opened, 6)
    expect(await names(opened)).toEqual(['B', 'older'])
  })

  test('one row under two subkeys goes when both are removed', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const all = [
      put(1, 'lists', 'a', { name: 'one' }, 's1'),
      put(2, 'lists', 'a', { name: 'two' }, 's2'),
      remove(3, 'lists', 'a', 's2'),
      remove(4, 'lists', 'a', 's1'),
    ]
    stream.send(checkpointLine(2, [bucketEntry('b', all.slice(0, 2))]), dataLine('b', all.slice(0, 2)), completeLine(2))
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['two'])
    stream.send(diffLine(3, [bucketEntry('b', all.slice(0, 3))]), dataLine('b', all.slice(2, 3)), completeLine(3))
    await settled(opened, 3)
    expect(await names(opened)).toEqual(['one'])
    stream.send(diffLine(4, [bucketEntry('b', all)]), dataLine('b', all.slice(3)), completeLine(4))
    await settled(opened, 4)
    expect(await names(opened)).toEqual([])
  })

  test('a MOVE changes the sum only; rows that a CLEAR took and nobody sent again vanish at the publish', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const history = [put(1, 'lists', 'a', { name: 'A' }), put(2, 'lists', 'b', { name: 'B' })]
    stream.send(checkpointLine(2, [bucketEntry('b', history)]), dataLine('b', history), completeLine(2))
    await opened.db.waitForFirstSync()
    const moved: WireOperation = { op_id: '3', op: 'MOVE', checksum: 77 }
    stream.send(diffLine(3, [bucketEntry('b', [...history, moved])]), dataLine('b', [moved]), completeLine(3))
    await settled(opened, 3)
    expect(await names(opened)).toEqual(['A', 'B'])
    const cleared: WireOperation = { op_id: '8', op: 'CLEAR', checksum: 4_294_967_295 }
    const after = [cleared, put(9, 'lists', 'b', { name: 'B2' })]
    stream.send(diffLine(9, [bucketEntry('b', after)]), dataLine('b', after))
    await opened.db.waitForStatus((status) => status.downloading)
    expect(await names(opened)).toEqual(['A', 'B'])
    stream.send(completeLine(9))
    await settled(opened, 9)
    expect(await names(opened)).toEqual(['B2'])
  })

  test('[protocol 94] a bucket that a checkpoint does not list any more loses its rows, unless another bucket has them', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const x = [put(1, 'lists', 'a', { name: 'A' }), put(2, 'lists', 'b', { name: 'B' })]
    const y = [put(3, 'lists', 'a', { name: 'A3' })]
    stream.send(
      checkpointLine(3, [bucketEntry('x', x), bucketEntry('y', y)]),
      dataLine('x', x),
      dataLine('y', y),
      completeLine(3),
    )
    await opened.db.waitForFirstSync()
    stream.send(diffLine(4, [], { removed_buckets: ['y'] }), completeLine(4))
    await settled(opened, 4)
    expect(await names(opened)).toEqual(['A', 'B'])
    stream.send(checkpointLine(5, []), completeLine(5))
    await settled(opened, 5)
    expect(await names(opened)).toEqual([])
  })

  test('an interrupted one goes on from where it was', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const all = [
      put(1, 'lists', 'a', { name: 'A' }),
      put(2, 'lists', 'b', { name: 'B' }),
      put(3, 'lists', 'c', { name: 'C' }),
    ]
    stream.send(checkpointLine(3, [bucketEntry('b', all)]), dataLine('b', all.slice(0, 2)))
    await opened.db.waitForStatus((status) => status.downloadProgress?.downloadedOperations === 2)
    stream.break()
    const again = await opened.service.stream(1)
    expect(again.request['buckets']).toEqual([{ name: 'b', after: '2' }])
    again.send(checkpointLine(3, [bucketEntry('b', all)]))
    await opened.db.waitForStatus((status) => status.downloadProgress?.downloadedOperations === 2)
    again.send(dataLine('b', all.slice(2)), completeLine(3))
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['A', 'B', 'C'])
    expect(opened.db.currentStatus.downloadError).toBeUndefined()
  })

  test('[protocol 93] a wrong sum drops that bucket alone, says so, and heals', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const good = [put(1, 'lists', 'a', { name: 'A' })]
    const bad = [put(2, 'lists', 'b', { name: 'B' })]
    stream.send(
      checkpointLine(2, [bucketEntry('good', good), bucketEntry('bad', 12_345)]),
      dataLine('good', good),
      dataLine('bad', bad),
      completeLine(2),
    )
    const again = await opened.service.stream(1)
    expect(again.request['buckets']).toEqual([{ name: 'good', after: '1' }])
    expect(opened.logs.some(({ message }) => /bad is \d+, not 12345/.test(message))).toBe(true)
    expect(opened.db.currentStatus.downloadError).toMatchObject({ code: 'checksum-mismatch' })
    expect(await names(opened)).toEqual([])
    again.send(
      checkpointLine(2, [bucketEntry('good', good), bucketEntry('bad', bad)]),
      dataLine('bad', bad),
      completeLine(2),
    )
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['A', 'B'])
  })

  test('a row that is right already is not told as a change', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const first = [put(1, 'lists', 'a', { name: 'A' }), put(2, 'todos', 't', { title: 'T' })]
    stream.send(checkpointLine(2, [bucketEntry('b', first)]), dataLine('b', first), completeLine(2))
    await opened.db.waitForFirstSync()
    const changed = new Set<string>()
    const stop = opened.db.onChange(
      { onChange: (event) => event.changedTables.forEach((table) => changed.add(table)) },
      { tables: ['lists', 'todos'], throttleMs: 0 },
    )
    const more = [put(3, 'lists', 'a', { name: 'A' }), put(4, 'todos', 't', { title: 'T2' })]
    stream.send(diffLine(4, [bucketEntry('b', [...first, ...more])]), dataLine('b', more), completeLine(4))
    await settled(opened, 4)
    await until(() => changed.size > 0)
    stop()
    expect([...changed]).toEqual(['todos'])
  })

  test('rows of a table that nobody declared appear when the schema has it', async () => {
    const { opened, stream } = await openConnected()
    const operations = [put(1, 'notes', 'n', { text: 'later' }), put(2, 'lists', 'a', { name: 'A', color: 'red' })]
    stream.send(checkpointLine(2, [bucketEntry('b', operations)]), dataLine('b', operations), completeLine(2))
    await opened.db.waitForFirstSync()
    await using reopened = await opened.reopen(
      new Schema({
        lists: new Table({ name: column.text, color: column.text }),
        notes: new Table({ text: column.text }),
      }),
    )
    expect(await reopened.db.getAll('SELECT * FROM notes')).toEqual([{ id: 'n', text: 'later' }])
    expect(await reopened.db.getAll('SELECT * FROM lists')).toEqual([{ id: 'a', name: 'A', color: 'red' }])
  })
})

describe('priorities', () => {
  const urgent = [put(1, 'lists', 'u', { name: 'urgent' })]
  const soon = [put(2, 'lists', 's', { name: 'soon' })]
  const late = [put(3, 'lists', 'l', { name: 'late' })]
  const all = checkpointLine(3, [bucketEntry('u', urgent, 0), bucketEntry('s', soon, 1), bucketEntry('l', late, 3)])

  test('a partial completion shows the buckets it covers, and says so', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    stream.send(all, dataLine('u', urgent), partialLine(3, 0))
    await opened.db.waitForFirstSync({ priority: 0 })
    expect(await names(opened)).toEqual(['urgent'])
    stream.send(dataLine('s', soon), partialLine(3, 1))
    await opened.db.waitForFirstSync({ priority: 1 })
    expect(await names(opened)).toEqual(['soon', 'urgent'])
    expect(opened.db.currentStatus.hasSynced).toBe(false)
    stream.send(dataLine('l', late), completeLine(3))
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['late', 'soon', 'urgent'])
    expect(opened.db.currentStatus.statusForPriority(2).hasSynced).toBe(true)
  })

  test('[protocol 92] over pending writes only priority 0 is shown', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute(`INSERT INTO todos(id) VALUES ('mine')`)
    const blocked = Promise.withResolvers<void>()
    void opened.connect({}, { uploadData: () => blocked.promise })
    const stream = await opened.service.stream(0)
    stream.send(all, dataLine('u', urgent), partialLine(3, 0), dataLine('s', soon), partialLine(3, 1))
    stream.send(dataLine('l', late), completeLine(3))
    await settled(opened, 3)
    expect(await names(opened)).toEqual(['urgent'])
    expect(opened.db.currentStatus.hasSynced).toBe(false)
    blocked.resolve()
  })
})

describe('local writes and downloads', () => {
  test('[protocol 92] an edit is not overwritten between its upload and the checkpoint that has it', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const first = [put(1, 'lists', 'a', { name: 'A' })]
    stream.send(checkpointLine(1, [bucketEntry('b', first)]), dataLine('b', first), completeLine(1))
    await opened.db.waitForFirstSync()
    await opened.db.execute(`UPDATE lists SET name = 'mine' WHERE id = 'a'`)
    const older = [...first, put(2, 'lists', 'a', { name: 'theirs' })]
    stream.send(diffLine(2, [bucketEntry('b', older)]), dataLine('b', older.slice(1)), completeLine(2))
    await settled(opened, 2)
    expect(await names(opened)).toEqual(['mine'])
    expect(opened.service.writeCheckpointRequests).toHaveLength(1)
    const newer = [...older, put(3, 'lists', 'a', { name: 'mine' })]
    stream.send(
      diffLine(3, [bucketEntry('b', newer)], { write_checkpoint: '1' }),
      dataLine('b', newer.slice(2)),
      completeLine(3),
    )
    await settled(opened, 3)
    expect(await names(opened)).toEqual(['mine'])
    const theirs = [...newer, put(4, 'lists', 'a', { name: 'theirs' })]
    stream.send(
      diffLine(4, [bucketEntry('b', theirs)], { write_checkpoint: '1' }),
      dataLine('b', theirs.slice(3)),
      completeLine(4),
    )
    await settled(opened, 4)
    expect(await names(opened)).toEqual(['theirs'])
  })

  test('what the server did not take is undone once it has answered', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const first = [put(1, 'lists', 'a', { name: 'A' }), put(2, 'lists', 'b', { name: 'B' })]
    stream.send(checkpointLine(2, [bucketEntry('b', first)]), dataLine('b', first), completeLine(2))
    await opened.db.waitForFirstSync()
    await opened.db.writeTransaction(async (transaction) => {
      await transaction.execute(`INSERT INTO lists(id, name) VALUES ('c', 'C')`)
      await transaction.execute(`UPDATE lists SET name = 'A2' WHERE id = 'a'`)
      await transaction.execute(`DELETE FROM lists WHERE id = 'b'`)
    })
    expect(await names(opened)).toEqual(['A2', 'C'])
    await opened.db.waitForStatus((status) => !status.uploading)
    await until(() => opened.service.writeCheckpointRequests.length === 1)
    stream.send(diffLine(3, [], { write_checkpoint: '1' }), completeLine(3))
    await settled(opened, 3)
    await eventually(async () => expect(await names(opened)).toEqual(['A', 'B']))
  })

  test('a held checkpoint is shown when the uploads end, without another line', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute(`INSERT INTO todos(id) VALUES ('mine')`)
    const upload = Promise.withResolvers<void>()
    void opened.connect(
      {},
      {
        uploadData: async (database) => {
          await upload.promise
          await (await database.getCrudBatch())?.complete('7')
        },
      },
    )
    const stream = await opened.service.stream(0)
    const operations = [put(1, 'lists', 'a', { name: 'A' })]
    stream.send(checkpointLine(1, [bucketEntry('b', operations)], { write_checkpoint: '7' }))
    stream.send(dataLine('b', operations), completeLine(1))
    await settled(opened, 1)
    expect(await names(opened)).toEqual([])
    upload.resolve()
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['A'])
    expect(opened.service.writeCheckpointRequests).toEqual([])
  })

  test('rows written by the sync are never queued', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const operations = [put(1, 'lists', 'a', { name: 'A' })]
    stream.send(checkpointLine(1, [bucketEntry('b', operations)]), dataLine('b', operations), completeLine(1))
    await opened.db.waitForFirstSync()
    expect(await opened.db.getUploadQueueStats()).toEqual({ count: 0, size: null })
  })
})

describe('clearing', () => {
  test('leaves no synced row and keeps the client id', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const { db } = opened
    const operations = [put(1, 'lists', 'a', { name: 'A' })]
    stream.send(checkpointLine(1, [bucketEntry('b', operations)]), dataLine('b', operations), completeLine(1))
    await db.waitForFirstSync()
    const clientId = await db.getClientId()
    await db.disconnectAndClear()
    expect(await names(opened)).toEqual([])
    expect(await db.getAll('SELECT * FROM ps_buckets')).toEqual([])
    expect(await db.getAll('SELECT * FROM ps_oplog')).toEqual([])
    expect(db.currentStatus.hasSynced).toBe(false)
    expect(await db.getClientId()).toBe(clientId)
  })

  test('softly keeps what was downloaded; the same buckets are shown again without a download', async () => {
    const { opened, stream } = await openConnected()
    await using _ = opened
    const operations = [put(1, 'lists', 'a', { name: 'A' })]
    stream.send(checkpointLine(1, [bucketEntry('b', operations)]), dataLine('b', operations), completeLine(1))
    await opened.db.waitForFirstSync()
    await opened.db.disconnectAndClear({ soft: true })
    expect(await names(opened)).toEqual([])
    void opened.connect()
    const again = await opened.service.stream(1)
    expect(again.request['buckets']).toEqual([{ name: 'b', after: '1' }])
    again.send(checkpointLine(1, [bucketEntry('b', operations)]), completeLine(1))
    await opened.db.waitForFirstSync()
    expect(await names(opened)).toEqual(['A'])
  })
})
