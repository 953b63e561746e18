import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { bucketEntry, checkpointLine, completeLine, dataLine, put } from '../sync/scripted-service.test-parts.ts'
import { openThrowAway } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

const rows = [
  put(1, 'lists', 'a', { name: 'A', rank: '7', color: 'red' }),
  put(2, 'lists', 'b', { name: 'B', rank: '8', color: 'blue' }),
]

/** A database that has downloaded `rows`, and is disconnected. */
async function openWithRows(schema: Schema): Promise<ThrowAway> {
  const opened = await openThrowAway(schema)
  void opened.connect()
  const stream = await opened.service.stream(0)
  stream.send(checkpointLine(2, [bucketEntry('b', rows)]), dataLine('b', rows), completeLine(2))
  await opened.db.waitForFirstSync()
  await opened.db.disconnect()
  return opened
}

const lists = (columns: ConstructorParameters<typeof Table>[0], options = {}) =>
  new Schema({ lists: new Table(columns, options) })

describe('a schema change', () => {
  test('that is none writes nothing', async () => {
    await using opened = await openThrowAway(lists({ name: column.text }, { indexes: { by_name: ['name'] } }))
    const versions = async ({ db }: ThrowAway) => [
      await db.getAll('PRAGMA schema_version'),
      await db.getAll('PRAGMA data_version'),
      await db.getAll('SELECT name, rootpage, sql FROM sqlite_schema'),
    ]
    const before = await versions(opened)
    await using reopened = await opened.reopen()
    expect(await versions(reopened)).toEqual(before)
  })

  test('that adds columns fills them from what was downloaded', async () => {
    await using opened = await openWithRows(lists({ name: column.text }))
    await opened.db.updateSchema(lists({ name: column.text, color: column.text, rank: column.integer }))
    expect(await opened.db.getAll('SELECT * FROM lists ORDER BY id')).toEqual([
      { id: 'a', name: 'A', color: 'red', rank: 7 },
      { id: 'b', name: 'B', color: 'blue', rank: 8 },
    ])
  })

  test('that changes order, type and number of columns keeps local edits, and casts the rest anew', async () => {
    await using opened = await openWithRows(lists({ name: column.text, rank: column.text, color: column.text }))
    const { db } = opened
    await db.execute(`UPDATE lists SET rank = '70' WHERE id = 'a'`)
    await db.execute(`CREATE INDEX by_app ON lists(name)`)
    await db.updateSchema(lists({ rank: column.integer, name: column.text }))
    expect(await db.getAll('SELECT * FROM lists ORDER BY id')).toEqual([
      { id: 'a', rank: 70, name: 'A' },
      { id: 'b', rank: 8, name: 'B' },
    ])
    expect(await db.getAll(`SELECT name FROM sqlite_schema WHERE name = 'by_app'`)).toHaveLength(1)
    await db.execute(`UPDATE lists SET name = 'B2' WHERE id = 'b'`)
    expect((await db.getCrudBatch())?.crud.map(({ opData }) => opData)).toEqual([{ rank: '70' }, { name: 'B2' }])
  })

  test('that takes a table away and brings it back restores its rows, also those made and deleted here', async () => {
    await using opened = await openWithRows(lists({ name: column.text }))
    const { db } = opened
    await db.execute(`INSERT INTO lists(id, name) VALUES ('mine', 'M')`)
    await db.execute(`DELETE FROM lists WHERE id = 'b'`)
    await db.updateSchema(new Schema({}))
    await expect(db.getAll('SELECT * FROM lists')).rejects.toThrow('no such table')
    await db.updateSchema(lists({ name: column.text }))
    expect(await db.getAll('SELECT * FROM lists ORDER BY id')).toEqual([
      { id: 'a', name: 'A' },
      { id: 'mine', name: 'M' },
    ])
    expect((await db.getUploadQueueStats()).count).toBe(2)
  })

  test('creates, changes and drops indexes, and the planner uses them', async () => {
    await using opened = await openWithRows(lists({ name: column.text }, { indexes: { by_name: ['-name'] } }))
    const { db } = opened
    const plan = () => db.getAll<{ detail: string }>(`EXPLAIN QUERY PLAN SELECT * FROM lists WHERE name = 'A'`)
    expect((await plan())[0]?.detail).toContain('ix__lists__by_name')
    expect(await db.get(`SELECT sql FROM sqlite_schema WHERE name = 'ix__lists__by_name'`)).toEqual({
      sql: 'CREATE INDEX "ix__lists__by_name" ON "lists"("name" DESC)',
    })
    await db.updateSchema(lists({ name: column.text }))
    expect((await plan())[0]?.detail).not.toContain('ix__')
  })

  test('between local-only and synced starts empty and queues nothing', async () => {
    await using opened = await openThrowAway(lists({ name: column.text }, { localOnly: true }))
    const { db } = opened
    await db.execute(`INSERT INTO lists(id, name) VALUES ('a', 'A')`)
    await db.updateSchema(lists({ name: column.text }))
    expect(await db.getAll('SELECT * FROM lists')).toEqual([])
    expect(await db.getCrudBatch()).toBeNull()
  })

  test('is refused while connected', async () => {
    await using opened = await openThrowAway(lists({ name: column.text }))
    void opened.connect()
    await opened.service.stream(0)
    await opened.db.waitForStatus((status) => status.connected)
    await expect(opened.db.updateSchema(new Schema({}))).rejects.toThrow('Cannot update schema while connected')
  })
})
