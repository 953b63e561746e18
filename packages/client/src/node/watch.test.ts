import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { eventually, openThrowAway, until } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

const schema = new Schema({
  lists: new Table({ name: column.text }, { indexes: { by_name: ['name'] } }),
  todos: new Table({ list_id: column.text, title: column.text }),
  events: Table.createInsertOnly({ what: column.text }),
})

/** Collects the tables of change events, and waits until the last write has been told. */
async function changesOf({ db }: ThrowAway, write: () => Promise<unknown>): Promise<string[]> {
  const changed: string[] = []
  const stop = db.onChange({ onChange: (event) => void changed.push(...event.changedTables) }, { throttleMs: 0 })
  await write()
  await db.execute(`INSERT INTO ps_kv(key, value) VALUES (uuid(), 1)`)
  await until(() => changed.includes('ps_kv'))
  stop()
  return changed.filter((table) => !table.startsWith('ps_'))
}

describe('changes', () => {
  test('are told after a commit, with plain names, once per table', async () => {
    await using opened = await openThrowAway(schema)
    const changed = await changesOf(opened, () =>
      opened.db.writeTransaction(async (transaction) => {
        await transaction.execute(`INSERT INTO lists(id) VALUES ('a')`)
        await transaction.execute(`INSERT INTO lists(id) VALUES ('b')`)
        await transaction.execute(`INSERT INTO todos(id) VALUES ('a')`)
      }),
    )
    expect(changed.toSorted()).toEqual(['lists', 'todos'])
  })

  test('of a transaction that was rolled back are not told', async () => {
    await using opened = await openThrowAway(schema)
    const changed = await changesOf(opened, () =>
      opened.db.writeTransaction(async (transaction) => {
        await transaction.execute(`INSERT INTO lists(id) VALUES ('a')`)
        await transaction.rollback()
      }),
    )
    expect(changed).toEqual([])
  })

  test('include tables that triggers of the app write to, and a DELETE without WHERE', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.execute('CREATE TABLE journal(line TEXT)')
    await db.execute(`CREATE TRIGGER j AFTER DELETE ON lists BEGIN INSERT INTO journal VALUES (OLD.id); END`)
    await db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    expect((await changesOf(opened, () => db.execute('DELETE FROM lists'))).toSorted()).toEqual(['journal', 'lists'])
    expect(await changesOf(opened, () => db.execute('DELETE FROM journal'))).toEqual(['journal'])
  })

  test('of statements that touched no row are not told', async () => {
    await using opened = await openThrowAway(schema)
    expect(await changesOf(opened, () => opened.db.execute(`UPDATE lists SET name = 'x'`))).toEqual([])
  })

  test('of an insert-only table are told by its queue', async () => {
    await using opened = await openThrowAway(schema)
    const told: string[] = []
    opened.db.onChange({ onChange: (event) => void told.push(...event.changedTables) }, { tables: ['ps_crud'] })
    await opened.db.execute(`INSERT INTO events(id) VALUES ('a')`)
    await until(() => told.includes('ps_crud'))
  })

  test.each(['todos', 'ps_data__todos', 'ps_data_local__todos'])('are filtered by the spelling %s', async (name) => {
    await using opened = await openThrowAway(schema)
    const told: string[][] = []
    opened.db.onChange(
      { onChange: ({ changedTables }) => void told.push(changedTables) },
      { tables: [name], throttleMs: 0 },
    )
    await opened.db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await opened.db.execute(`INSERT INTO todos(id) VALUES ('a')`)
    await until(() => told.length > 0)
    expect(told).toEqual([['todos']])
  })

  test('in a burst are told together, the last one for sure, and never while a handler runs', async () => {
    await using opened = await openThrowAway(schema)
    let running = 0
    let most = 0
    let calls = 0
    let lastSeen = 0
    const onChange = async () => {
      running += 1
      most = Math.max(most, running)
      calls += 1
      lastSeen = (await opened.db.get<{ n: number }>('SELECT count(*) AS n FROM lists')).n
      running -= 1
    }
    opened.db.onChange({ onChange }, { tables: ['lists'], throttleMs: 20 })
    for (let n = 0; n < 50; n += 1) await opened.db.execute('INSERT INTO lists(id) VALUES (?)', [`l${n}`])
    await until(() => lastSeen === 50)
    expect(most).toBe(1)
    expect(calls).toBeLessThan(25)
  })

  test('can be iterated over until the signal aborts', async () => {
    await using opened = await openThrowAway(schema)
    const stop = new AbortController()
    const events: string[][] = []
    for await (const { changedTables } of opened.db.onChange({ signal: stop.signal, triggerImmediate: true })) {
      events.push(changedTables)
      if (events.length === 1) await opened.db.execute('CREATE TABLE own(x)')
      if (events.length === 1) await opened.db.execute('INSERT INTO own VALUES (1)')
      if (events.length === 2) stop.abort()
    }
    expect(events).toHaveLength(2)
    expect(events[1]).toContain('own')
  })
})

describe('a watched query', () => {
  test('finds its tables through views, joins, sub-queries and indexes', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.execute('CREATE VIEW both AS SELECT l.name, t.title FROM lists l JOIN todos t ON t.list_id = l.id')
    expect((await db.resolveTables('SELECT * FROM both')).toSorted()).toEqual(['lists', 'todos'])
    expect(await db.resolveTables(`SELECT name FROM lists WHERE name > 'a'`)).toEqual(['lists'])
    expect(await db.resolveTables('WITH x AS (SELECT 1 IN (SELECT list_id FROM todos)) SELECT * FROM x')).toEqual([
      'todos',
    ])
  })

  test('gives its result at once, and again after each change that concerns it', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    const counts: unknown[] = []
    const stop = db.watch(
      'SELECT count(*) AS n FROM lists',
      [],
      {
        onResult: (result) => void counts.push(result.array[0]?.['n']),
      },
      { throttleMs: 0 },
    )
    await until(() => counts.length === 1)
    await db.execute(`INSERT INTO todos(id) VALUES ('a')`)
    await db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await until(() => counts.at(-1) === 1)
    stop()
    expect(counts).toEqual([0, 1])
  })

  test('reports an error and goes on after the next change', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    const results: unknown[] = []
    const errors: string[] = []
    db.watch(
      `SELECT json_extract(name, '$') AS x FROM lists`,
      [],
      { onResult: ({ array }) => void results.push(array), onError: ({ message }) => void errors.push(message) },
      { throttleMs: 0 },
    )
    await until(() => results.length === 1)
    await db.execute(`INSERT INTO lists(id, name) VALUES ('a', 'not json')`)
    await until(() => errors.length === 1)
    await db.execute(`UPDATE lists SET name = '[1]'`)
    await until(() => results.length === 2)
    expect(results[1]).toEqual([{ x: '[1]' }])
  })

  test('as an iterable ends with its error', async () => {
    await using opened = await openThrowAway(schema)
    const iterate = async () => {
      for await (const _ of opened.db.watch('SELECT * FROM nowhere')) expect.unreachable()
    }
    await expect(iterate()).rejects.toThrow('no such table')
  })

  test('as an object says whether it is loading, and keeps old data when a run fails', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    const query = db.query({ sql: 'SELECT id FROM lists ORDER BY id' }).watch({ throttleMs: 0 })
    expect(query.state).toMatchObject({ isLoading: true, data: [] })
    await until(() => !query.state.isLoading)
    await db.execute(`INSERT INTO lists(id) VALUES ('a')`)
    await until(() => query.state.data.length === 1)
    expect(query.state).toMatchObject({ isLoading: false, error: null, data: [{ id: 'a' }] })
    await query.close()
    expect(query.closed).toBe(true)
  })

  test('in its differential form keeps the objects of rows that did not change', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.execute(`INSERT INTO lists(id, name) VALUES ('a', 'A'), ('b', 'B')`)
    const query = db.query<{ id: string; name: string }>({ sql: 'SELECT * FROM lists ORDER BY id' }).differentialWatch({
      throttleMs: 0,
    })
    let told = 0
    query.registerListener({ onData: () => void (told += 1) })
    await until(() => query.state.data.length === 2)
    const [a, b] = query.state.data
    await db.execute(`UPDATE lists SET name = 'B2' WHERE id = 'b'`)
    await until(() => query.state.data[1] !== b)
    expect(query.state.data[0]).toBe(a)
    const before = query.state.data
    await db.execute(`UPDATE lists SET name = 'B2' WHERE id = 'b'`)
    await db.execute(`INSERT INTO lists(id, name) VALUES ('c', 'C')`)
    await until(() => query.state.data.length === 3)
    expect(query.state.data.slice(0, 2)).toEqual(before)
    expect(query.state.data[1]).toBe(before[1])
    expect(told).toBe(3)
  })
})

test('a watched query follows its tables through a change of the schema', async () => {
  await using opened = await openThrowAway(schema)
  const { db } = opened
  const results: unknown[] = []
  const errors: string[] = []
  db.watch(
    'SELECT * FROM drafts',
    [],
    { onResult: ({ array }) => void results.push(array), onError: ({ message }) => void errors.push(message) },
    { throttleMs: 0 },
  )
  const query = db.query({ sql: 'SELECT * FROM lists' }).watch({ throttleMs: 0 })
  await until(() => errors.length === 1 && !query.state.isLoading)
  await db.execute(`INSERT INTO lists(id, name) VALUES ('a', 'A')`)
  await db.updateSchema(
    new Schema({
      lists: new Table({ name: column.text, rank: column.integer }),
      drafts: new Table({ text: column.text }),
    }),
  )
  await until(() => results.length === 1)
  await eventually(() => expect(query.state.data).toEqual([{ id: 'a', name: 'A', rank: null }]))
  await db.execute(`INSERT INTO drafts(id, text) VALUES ('d', 'D')`)
  await eventually(() => expect(results.at(-1)).toEqual([{ id: 'd', text: 'D' }]))
})

test('the differential form says what was added, removed, updated and unchanged', async () => {
  await using opened = await openThrowAway(schema)
  const { db } = opened
  await db.execute(`INSERT INTO lists(id, name) VALUES ('a', 'A'), ('b', 'B'), ('c', 'C')`)
  const query = db
    .query<{ id: string; name: string }>({ sql: 'SELECT * FROM lists ORDER BY name' })
    .differentialWatch({ throttleMs: 0 })
  await until(() => !query.state.isLoading)
  const diffs: object[] = []
  query.registerListener({
    onDiff: ({ added, removed, updated, unchanged }) => void diffs.push({ added, removed, updated, unchanged }),
  })
  await db.writeTransaction(async (transaction) => {
    await transaction.execute(`DELETE FROM lists WHERE id = 'a'`)
    await transaction.execute(`UPDATE lists SET name = 'Z' WHERE id = 'b'`)
    await transaction.execute(`INSERT INTO lists(id, name) VALUES ('d', 'D')`)
  })
  await until(() => diffs.length === 1)
  expect(diffs).toEqual([
    {
      added: [{ id: 'd', name: 'D' }],
      removed: [{ id: 'a', name: 'A' }],
      updated: [{ current: { id: 'b', name: 'Z' }, previous: { id: 'b', name: 'B' } }],
      unchanged: [{ id: 'c', name: 'C' }],
    },
  ])
})

test('settings of a watched query can change; what ran before is dropped', async () => {
  await using opened = await openThrowAway(schema)
  const { db } = opened
  await db.execute(`INSERT INTO lists(id, name) VALUES ('a', 'A'), ('b', 'B')`)
  const query = db.query<{ id: string }>({ sql: 'SELECT id FROM lists', parameters: [] }).watch({ throttleMs: 0 })
  const seen: unknown[] = []
  query.registerListener({ onData: (data) => void seen.push(data) })
  query.updateSettings({ query: { sql: 'SELECT id FROM lists WHERE name = ?', parameters: ['B'] } })
  expect(query.state).toMatchObject({ isLoading: true, isFetching: true })
  await until(() => !query.state.isLoading)
  expect(seen).toEqual([[{ id: 'b' }]])
})
