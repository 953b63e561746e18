import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import type { TableOptions } from '../schema/table.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'
import { openThrowAway } from './throw-away-database.test-parts.ts'

const columns = { name: column.text, rank: column.integer, weight: column.real }

function open(options: TableOptions = {}): Promise<ThrowAway> {
  return openThrowAway(new Schema({ items: new Table(columns, options) }))
}

async function queued({ db }: ThrowAway): Promise<string[]> {
  const rows = await db.getAll<{ data: string }>('SELECT data FROM ps_crud ORDER BY id')
  return rows.map(({ data }) => data)
}

async function clearQueue({ db }: ThrowAway): Promise<void> {
  await db.execute('DELETE FROM ps_crud')
}

describe('a local write', () => {
  test('INSERT queues a PUT with the columns that are not null, in alphabetical order', async () => {
    await using opened = await open()
    await opened.db.execute(`INSERT INTO items(id, weight, name) VALUES ('a', 1.5, 'A')`)
    expect(await queued(opened)).toEqual(['{"op":"PUT","id":"a","type":"items","data":{"name":"A","weight":1.5}}'])
  })

  test('UPDATE queues a PATCH with the columns that changed, null for one that was emptied', async () => {
    await using opened = await open()
    await opened.db.execute(`INSERT INTO items(id, name, rank, weight) VALUES ('a', 'A', 1, 2)`)
    await clearQueue(opened)
    await opened.db.execute(`UPDATE items SET name = NULL, rank = 2, weight = 2`)
    expect(await queued(opened)).toEqual(['{"op":"PATCH","id":"a","type":"items","data":{"name":null,"rank":2}}'])
  })

  test('an UPDATE without effect queues an empty PATCH, or nothing where the table says so', async () => {
    await using plain = await open()
    await using ignoring = await open({ ignoreEmptyUpdates: true })
    for (const { db } of [plain, ignoring]) {
      await db.execute(`INSERT INTO items(id, name) VALUES ('a', 'A')`)
      await db.execute(`DELETE FROM ps_crud`)
      await db.execute(`UPDATE items SET name = 'A'`)
    }
    expect(await queued(plain)).toEqual(['{"op":"PATCH","id":"a","type":"items","data":{}}'])
    expect(await queued(ignoring)).toEqual([])
  })

  test('DELETE queues a DELETE without data, one for each row in order', async () => {
    await using opened = await open()
    await opened.db.execute(`INSERT INTO items(id) VALUES ('a'), ('b')`)
    await clearQueue(opened)
    await opened.db.execute('DELETE FROM items')
    expect(await queued(opened)).toEqual([
      '{"op":"DELETE","id":"a","type":"items"}',
      '{"op":"DELETE","id":"b","type":"items"}',
    ])
  })

  test('INSERT OR REPLACE over an existing row queues one PUT', async () => {
    await using opened = await open()
    await opened.db.execute(`INSERT INTO items(id, name) VALUES ('a', 'A')`)
    await clearQueue(opened)
    await opened.db.execute(`INSERT OR REPLACE INTO items(id, name) VALUES ('a', 'B')`)
    expect(await queued(opened)).toEqual(['{"op":"PUT","id":"a","type":"items","data":{"name":"B"}}'])
  })

  test('an upsert queues a PUT where it inserted and a PATCH where it updated', async () => {
    await using opened = await open()
    const upsert = `INSERT INTO items(id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name`
    await opened.db.execute(upsert, ['a', 'A'])
    await opened.db.execute(upsert, ['a', 'B'])
    expect(await queued(opened)).toEqual([
      '{"op":"PUT","id":"a","type":"items","data":{"name":"A"}}',
      '{"op":"PATCH","id":"a","type":"items","data":{"name":"B"}}',
    ])
  })

  test.each(['ABORT', 'FAIL', 'IGNORE', 'ROLLBACK', 'REPLACE'])(
    'an UPDATE OR %s of a row that was captured before is captured again',
    async (clause) => {
      await using opened = await open()
      await opened.db.execute(`INSERT INTO items(id, name) VALUES ('a', 'A')`)
      await opened.db.execute(`UPDATE OR ${clause} items SET name = 'B'`)
      await opened.db.execute(`UPDATE OR ${clause} items SET name = 'C'`)
      expect((await queued(opened)).slice(1)).toEqual([
        '{"op":"PATCH","id":"a","type":"items","data":{"name":"B"}}',
        '{"op":"PATCH","id":"a","type":"items","data":{"name":"C"}}',
      ])
    },
  )

  test('INSERT OR IGNORE that ignores queues nothing', async () => {
    await using opened = await open()
    await opened.db.execute(`INSERT INTO items(id) VALUES ('a')`)
    await clearQueue(opened)
    await opened.db.execute(`INSERT OR IGNORE INTO items(id) VALUES ('a')`)
    expect(await queued(opened)).toEqual([])
  })

  test('a text that looks like JSON stays a text', async () => {
    await using opened = await open()
    await opened.db.execute(`INSERT INTO items(id, name) VALUES ('a', '{"x":1}')`)
    expect(await queued(opened)).toEqual(['{"op":"PUT","id":"a","type":"items","data":{"name":"{\\"x\\":1}"}}'])
  })

  test('an integer beyond what a number can hold is queued digit by digit', async () => {
    await using opened = await open()
    await opened.db.execute(`INSERT INTO items(id, rank) VALUES ('a', ?)`, [9_007_199_254_740_993n])
    expect(await queued(opened)).toEqual(['{"op":"PUT","id":"a","type":"items","data":{"rank":9007199254740993}}'])
    expect(await opened.db.get('SELECT rank FROM items')).toEqual({ rank: 9_007_199_254_740_993n })
  })

  test('a missing id, a blob as id and a changed id are refused', async () => {
    await using opened = await open()
    const { db } = opened
    await db.execute(`INSERT INTO items(id) VALUES ('a')`)
    await expect(db.execute(`INSERT INTO items(name) VALUES ('A')`)).rejects.toThrow('id is required')
    await expect(db.execute(`INSERT INTO items(id) VALUES (x'00')`)).rejects.toThrow('id should be text')
    await expect(db.execute(`UPDATE items SET id = 'b'`)).rejects.toThrow('Cannot update id')
    expect(await queued(opened)).toHaveLength(1)
  })

  test('a table of 1999 columns is captured', async () => {
    const many = Object.fromEntries(Array.from({ length: 1999 }, (_, index) => [`c${index}`, column.integer]))
    await using opened = await openThrowAway(new Schema({ wide: new Table(many) }))
    await opened.db.execute(`INSERT INTO wide(id, c1998) VALUES ('a', 7)`)
    await opened.db.execute(`UPDATE wide SET c0 = 1`)
    expect(await queued(opened)).toEqual([
      '{"op":"PUT","id":"a","type":"wide","data":{"c1998":7}}',
      '{"op":"PATCH","id":"a","type":"wide","data":{"c0":1}}',
    ])
  })

  test('a table whose name is an SQL keyword is captured under its synced name', async () => {
    await using opened = await openThrowAway(
      new Schema({
        order: new Table({ group: column.text }),
        shown: new Table({ a: column.text }, { viewName: 'select' }),
      }),
    )
    await opened.db.execute(`INSERT INTO "order"(id, "group") VALUES ('a', 'g')`)
    await opened.db.execute(`INSERT INTO "select"(id, a) VALUES ('b', 'x')`)
    expect(await queued(opened)).toEqual([
      '{"op":"PUT","id":"a","type":"order","data":{"group":"g"}}',
      '{"op":"PUT","id":"b","type":"shown","data":{"a":"x"}}',
    ])
  })
})

describe('a transaction', () => {
  test('gives all its entries one number; each statement on its own has another', async () => {
    await using opened = await open()
    const { db } = opened
    await db.writeTransaction(async (transaction) => {
      await transaction.execute(`INSERT INTO items(id) VALUES ('a')`)
      await transaction.execute(`INSERT INTO items(id) VALUES ('b')`)
    })
    await db.execute(`INSERT INTO items(id) VALUES ('c')`)
    await db.executeBatch(`INSERT INTO items(id) VALUES (?)`, [['d'], ['e']])
    expect(await db.getAll('SELECT tx_id FROM ps_crud ORDER BY id')).toEqual(
      [1, 1, 2, 3, 3].map((tx_id) => ({ tx_id })),
    )
  })

  test('that fails leaves no row, no entry and no number used', async () => {
    await using opened = await open()
    const { db } = opened
    const failure = new Error('no')
    const failing = db.writeTransaction(async (transaction) => {
      await transaction.execute(`INSERT INTO items(id) VALUES ('a')`)
      throw failure
    })
    await expect(failing).rejects.toBe(failure)
    await db.execute(`INSERT INTO items(id) VALUES ('b')`)
    expect(await db.getAll('SELECT id FROM items')).toEqual([{ id: 'b' }])
    expect(await db.getAll('SELECT tx_id FROM ps_crud')).toEqual([{ tx_id: 1 }])
  })
})

describe('options of a table', () => {
  test('trackPrevious records all old values of an update and a deletion', async () => {
    await using opened = await open({ trackPrevious: true })
    await opened.db.execute(`INSERT INTO items(id, name, rank) VALUES ('a', 'A', 1)`)
    await clearQueue(opened)
    await opened.db.execute(`UPDATE items SET name = 'B'`)
    await opened.db.execute(`DELETE FROM items`)
    expect(await queued(opened)).toEqual([
      '{"op":"PATCH","id":"a","type":"items","data":{"name":"B"},"old":{"name":"A","rank":1,"weight":null}}',
      '{"op":"DELETE","id":"a","type":"items","old":{"name":"B","rank":1,"weight":null}}',
    ])
  })

  test('trackPrevious can be limited to some columns, and to those that changed', async () => {
    await using opened = await open({ trackPrevious: { columns: ['name', 'rank'], onlyWhenChanged: true } })
    await opened.db.execute(`INSERT INTO items(id, name, rank, weight) VALUES ('a', 'A', 1, 1)`)
    await clearQueue(opened)
    await opened.db.execute(`UPDATE items SET name = 'B', weight = 2`)
    expect(await queued(opened)).toEqual([
      '{"op":"PATCH","id":"a","type":"items","data":{"name":"B","weight":2.0},"old":{"name":"A"}}',
    ])
  })

  test('trackMetadata passes _metadata on and stores nothing of it', async () => {
    await using opened = await open({ trackMetadata: true })
    await opened.db.execute(`INSERT INTO items(id, name, _metadata) VALUES ('a', 'A', 'from form')`)
    await opened.db.execute(`UPDATE items SET name = 'B', _metadata = 'again'`)
    await opened.db.execute(`UPDATE items SET rank = 1`)
    expect(await opened.db.get('SELECT name, _metadata, _deleted FROM items')).toEqual({
      name: 'B',
      _metadata: null,
      _deleted: null,
    })
    expect(await queued(opened)).toEqual([
      '{"op":"PUT","id":"a","type":"items","data":{"name":"A"},"metadata":"from form"}',
      '{"op":"PATCH","id":"a","type":"items","data":{"name":"B"},"metadata":"again"}',
      '{"op":"PATCH","id":"a","type":"items","data":{"rank":1}}',
    ])
  })

  test('setting _deleted deletes the row, with metadata', async () => {
    await using opened = await open({ trackMetadata: true })
    await opened.db.execute(`INSERT INTO items(id) VALUES ('a'), ('b')`)
    await clearQueue(opened)
    await opened.db.execute(`UPDATE items SET _deleted = TRUE, _metadata = 'why' WHERE id = 'a'`)
    expect(await queued(opened)).toEqual(['{"op":"DELETE","id":"a","type":"items","metadata":"why"}'])
    expect(await opened.db.getAll('SELECT id FROM items')).toEqual([{ id: 'b' }])
  })

  test('an insert-only table queues and keeps nothing; it can be neither updated nor emptied', async () => {
    await using opened = await open({ insertOnly: true })
    const { db } = opened
    await db.execute(`INSERT INTO items(id, rank) VALUES ('a', 1)`)
    expect(await queued(opened)).toEqual(['{"op":"PUT","type":"items","id":"a","data":{"rank":1}}'])
    expect(await db.getAll('SELECT * FROM items')).toEqual([])
    await expect(db.execute('UPDATE items SET rank = 2')).rejects.toThrow()
    await expect(db.execute('DELETE FROM items')).rejects.toThrow()
    expect(await db.get('SELECT target_write_checkpoint AS target FROM ps_control')).toEqual({ target: null })
  })

  test('a local-only table is never queued', async () => {
    await using opened = await open({ localOnly: true })
    await opened.db.execute(`INSERT INTO items(id) VALUES ('a')`)
    await opened.db.execute(`UPDATE items SET rank = 1`)
    await opened.db.execute(`DELETE FROM items`)
    expect(await queued(opened)).toEqual([])
  })
})
