import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { HeadwaterDatabase } from './index.ts'
import { openThrowAway } from './throw-away-database.test-parts.ts'

const schema = new Schema({ items: new Table({ name: column.text, n: column.integer, weight: column.real }) })

describe('running SQL', () => {
  test('rows come in every documented form', async () => {
    await using opened = await openThrowAway(schema)
    const result = await opened.db.execute<{ id: string }>(`INSERT INTO items(id) VALUES ('a'), ('b') RETURNING id`)
    expect(result.rows?.length).toBe(2)
    expect(result.rows?.item(1)).toEqual({ id: 'b' })
    expect(result.rows?._array).toEqual(result.array)
    expect([...result]).toEqual(result.array)
    expect(result.rowsAffected).toBe(2)
  })

  test('rowsAffected counts the rows of the statement, not those of its triggers', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    expect((await db.execute(`INSERT INTO items(id) VALUES ('a'), ('b'), ('c')`)).rowsAffected).toBe(3)
    expect((await db.execute(`UPDATE items SET n = 1 WHERE id <> 'a'`)).rowsAffected).toBe(2)
    expect((await db.execute(`DELETE FROM items`)).rowsAffected).toBe(3)
  })

  test('executeRaw keeps columns of the same name apart', async () => {
    await using opened = await openThrowAway(schema)
    const result = await opened.db.executeRaw('SELECT 1 AS x, 2 AS x')
    expect(result).toMatchObject({ columnNames: ['x', 'x'], rawRows: [[1, 2]] })
  })

  test('get wants a row, getOptional does not', async () => {
    await using opened = await openThrowAway(schema)
    await expect(opened.db.get('SELECT * FROM items')).rejects.toThrow('Result set is empty')
    expect(await opened.db.getOptional('SELECT * FROM items')).toBeNull()
    expect(await opened.db.getAll('SELECT * FROM items')).toEqual([])
  })

  test('values are bound and read as documented', async () => {
    await using opened = await openThrowAway(schema)
    const row = await opened.db.get(
      'SELECT ? AS t, ? AS f, ? AS u, ? AS n, ? AS i, ? AS blob, ? AS big, typeof(?) AS kind',
      [true, false, undefined, null, 5, new Uint8Array([1, 2]), 9_223_372_036_854_775_807n, 5],
    )
    expect(row).toEqual({
      t: 1,
      f: 0,
      u: null,
      n: null,
      i: 5,
      blob: new Uint8Array([1, 2]),
      big: 9_223_372_036_854_775_807n,
      kind: 'integer',
    })
    const insert = `INSERT INTO items(id, n, name) VALUES ('a', ?, ?) RETURNING n, name`
    expect(await opened.db.execute(insert, [9_007_199_254_740_993n, 5])).toMatchObject({
      array: [{ n: 9_007_199_254_740_993n, name: '5' }],
    })
  })

  test('writing through a read is refused with the way out', async () => {
    await using opened = await openThrowAway(schema)
    await expect(opened.db.getAll(`INSERT INTO items(id) VALUES ('a')`)).rejects.toMatchObject({ code: 'read-only' })
  })

  test('executeBatch is all or nothing', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    expect(
      (
        await db.executeBatch('INSERT INTO items(id, n) VALUES (?, ?)', [
          ['a', 1],
          ['b', 2],
        ])
      ).rowsAffected,
    ).toBe(2)
    await expect(db.executeBatch('INSERT INTO items(id) VALUES (?)', [['c'], ['a']])).rejects.toThrow('UNIQUE')
    expect(await db.get('SELECT count(*) AS count FROM items')).toEqual({ count: 2 })
  })

  test('VACUUM and PRAGMA run outside a transaction', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute('VACUUM')
    expect((await opened.db.execute('PRAGMA user_version')).array).toEqual([{ user_version: 0 }])
  })

  test('uuid() gives another version 4 UUID each time', async () => {
    await using opened = await openThrowAway(schema)
    const row = await opened.db.get<{ a: string; b: string }>('SELECT uuid() AS a, gen_random_uuid() AS b')
    expect(row.a).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(row.a).not.toBe(row.b)
  })
})

describe('locks and transactions', () => {
  test('commit and rollback end a transaction early, may be called again, and nothing runs after them', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.writeTransaction(async (transaction) => {
      await transaction.execute(`INSERT INTO items(id) VALUES ('a')`)
      await transaction.commit()
      await transaction.commit()
      await expect(transaction.execute(`INSERT INTO items(id) VALUES ('b')`)).rejects.toMatchObject({
        code: 'transaction-ended',
      })
    })
    await db.writeTransaction(async (transaction) => {
      await transaction.execute(`DELETE FROM items`)
      await transaction.rollback()
    })
    expect(await db.getAll('SELECT id FROM items')).toEqual([{ id: 'a' }])
  })

  test('a read transaction sees one moment, and reads run beside each other and beside a write', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    const written = Promise.withResolvers<void>()
    const counted = Promise.withResolvers<void>()
    const count = 'SELECT count(*) AS count FROM items'
    const reading = db.readTransaction(async (transaction) => {
      const before = await transaction.get(count)
      counted.resolve()
      await written.promise
      return [before, await transaction.get(count)]
    })
    await counted.promise
    await db.execute(`INSERT INTO items(id) VALUES ('a')`)
    expect(await db.get(count)).toEqual({ count: 1 })
    written.resolve()
    expect(await reading).toEqual([{ count: 0 }, { count: 0 }])
  })

  test('writers are served first come, first served, one at a time', async () => {
    await using opened = await openThrowAway(schema)
    const order: string[] = []
    const holders = ['a', 'b', 'c'].map((name) =>
      opened.db.writeLock(async (context) => {
        order.push(`${name} in`)
        await context.execute('INSERT INTO items(id) VALUES (?)', [name])
        order.push(`${name} out`)
      }),
    )
    await Promise.all(holders)
    expect(order).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  })

  test('who waits too long for a lock gets an error, and never the lock', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    let ran = false
    await db.writeTransaction(async () => {
      const waiting = db.writeTransaction(() => Promise.resolve(void (ran = true)), 10)
      await expect(waiting).rejects.toMatchObject({ code: 'lock-timeout' })
    })
    await db.execute('SELECT 1')
    expect(ran).toBe(false)
  })

  test('BEGIN in a write lock is the app’s own transaction; one left open is rolled back', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.writeLock(async (context) => {
      await context.execute('BEGIN')
      await context.execute(`INSERT INTO items(id) VALUES ('a')`)
      await context.execute('COMMIT')
      await context.execute('BEGIN')
      await context.execute(`INSERT INTO items(id) VALUES ('b')`)
    })
    expect(await db.getAll('SELECT id FROM items')).toEqual([{ id: 'a' }])
  })
})

describe('a life', () => {
  test('a missing directory is said at once, and by every later call', async () => {
    const db = new HeadwaterDatabase({ schema, database: { dbFilename: 'x.db', dbLocation: '/does/not/exist' } })
    await expect(db.init()).rejects.toMatchObject({ code: 'database-missing' })
    await expect(db.get('SELECT 1')).rejects.toMatchObject({ code: 'database-missing' })
    await db.close()
  })

  test('closing tells, ends queries and refuses what comes later', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    const events: string[] = []
    db.registerListener({ closing: () => events.push('closing'), closed: () => events.push('closed') })
    const query = db.query({ sql: 'SELECT * FROM items' }).watch()
    query.registerListener({ closed: () => events.push('query closed') })
    await db.close()
    await db.close()
    expect(events).toEqual(['closing', 'query closed', 'closed'])
    await expect(db.execute('SELECT 1')).rejects.toMatchObject({ code: 'connection-closed' })
    expect(query.closed).toBe(true)
  })

  test('the client id stays through restarts and clearing', async () => {
    await using opened = await openThrowAway(schema)
    const id = await opened.db.getClientId()
    await opened.db.disconnectAndClear()
    await using reopened = await opened.reopen()
    expect(await reopened.db.getClientId()).toBe(id)
  })

  test('a file of another client is left alone, with the reason', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute('UPDATE ps_control SET layout_version = 99')
    await expect(opened.reopen()).rejects.toMatchObject({ code: 'layout-unknown' })
  })
})
