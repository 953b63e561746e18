import { describe, expect, test } from 'vitest'
import { streamsConfig } from '../testing/builders.ts'
import type { MemoryStorage } from '../testing/memory-storage.ts'
import { describeTable, exampleTable, rowOf, storageOf, toRequest } from '../testing/worked-example.ts'

const T = exampleTable('t', 'id, owner, open bool')
const M = exampleTable('m', 'id, person, team')
const TEAMS = exampleTable('teams', 'id, area')
const ANN = toRequest({ claims: { sub: 'ann' } })

function put(storage: MemoryStorage, table: typeof T, row: string): void {
  storage.put(describeTable(table), row.split(' ')[0] ?? '', rowOf(row))
}

test('[133] a row that changes moves between buckets as a fresh evaluation would have it', () => {
  const config = streamsConfig({ s: 'SELECT id, owner FROM t WHERE owner = auth.user_id() AND open' })
  const storage = storageOf(config, [T])
  const states = ['1 | ann | t', '1 | bob | t', '1 | bob | f', '1 | NULL | t', '1 | ann | t']
  for (const row of states) {
    put(storage, T, row)
    const fresh = storageOf(config, [{ ...T, rows: [rowOf(row)] }])
    expect(storage.buckets()).toEqual(fresh.buckets())
  }
  storage.remove(describeTable(T), '1')
  expect(storage.buckets().size).toBe(0)
})

describe('a lookup row', () => {
  const CONFIG = streamsConfig({
    s: `SELECT id FROM t WHERE owner IN (SELECT area FROM teams WHERE id IN
      (SELECT team FROM m WHERE person = auth.user_id()))`,
  })

  test('[134, 135] that comes, changes or goes changes what its users get, in every stage', async () => {
    const storage = storageOf(CONFIG, [T, M, TEAMS])
    for (const row of ['1 | north | t', '2 | south | t']) put(storage, T, row)
    const steps: readonly (readonly [change: () => void, ids: string])[] = [
      [() => {}, ''],
      [() => put(storage, M, 'x | ann | a'), ''],
      [() => put(storage, TEAMS, 'a | north'), '1'],
      [() => put(storage, TEAMS, 'b | south'), '1'],
      [() => put(storage, M, 'y | ann | b'), '12'],
      [() => put(storage, TEAMS, 'a | NULL'), '2'],
      [() => put(storage, M, 'x | bob | a'), '2'],
      [() => put(storage, TEAMS, 'a | north'), '2'],
      [() => storage.remove(describeTable(M), 'y'), ''],
      [() => put(storage, M, 'x | ann | a'), '1'],
    ]
    let watched: readonly string[] = []
    let entries = new Map<string, string>()
    let before = ''
    for (const [change, ids] of steps) {
      change()
      const { buckets, lookupKeys } = await storage.resolve(ANN)
      const names = buckets.map(({ bucket }) => bucket)
      expect(
        storage
          .objectsIn(names)
          .map((row) => row.slice(2, 3))
          .join(''),
      ).toBe(ids)
      const now = new Map([...storage.lookups()].map(([key, outputs]) => [key as string, outputs.join()]))
      const isNoticed = watched.some((key) => entries.get(key) !== now.get(key))
      if (names.join() !== before) expect(isNoticed || before === '').toBe(true)
      watched = lookupKeys
      entries = now
      before = names.join()
    }
  })

  test('[134] is watched also where nothing was found', async () => {
    const { buckets, lookupKeys } = await storageOf(CONFIG, [T, M, TEAMS]).resolve(ANN)
    expect([buckets.length, lookupKeys.length]).toEqual([0, 1])
  })

  test('[134] that is there twice is gone when both are', async () => {
    const storage = storageOf(CONFIG, [T, M, TEAMS])
    for (const row of ['x | ann | a', 'y | ann | a']) put(storage, M, row)
    put(storage, TEAMS, 'a | north')
    put(storage, T, '1 | north | t')
    storage.remove(describeTable(M), 'x')
    expect(await storage.rowsFor(ANN)).toEqual(['t/1 {"id":"1"}'])
    storage.remove(describeTable(M), 'y')
    expect(await storage.rowsFor(ANN)).toEqual([])
  })
})

test('[136] data and lookup rows that change together are seen together', async () => {
  const storage = storageOf(
    streamsConfig({ s: 'SELECT id FROM t WHERE owner IN (SELECT team FROM m WHERE person = auth.user_id())' }),
    [T, M],
  )
  put(storage, M, 'x | ann | a')
  put(storage, T, '1 | a | t')
  expect(await storage.rowsFor(ANN)).toEqual(['t/1 {"id":"1"}'])
  put(storage, M, 'x | ann | b')
  put(storage, T, '1 | b | t')
  expect(await storage.rowsFor(ANN)).toEqual(['t/1 {"id":"1"}'])
})

test('[137, 138] a row that fails for one definition leaves it, and stays in the others', async () => {
  const table = exampleTable('t', 'id, j')
  const storage = storageOf(streamsConfig({ good: 'SELECT id FROM t', bad: "SELECT id, j ->> 'a' AS a FROM t AS u" }), [
    table,
  ])
  put(storage, table, '1 | {"a":1}')
  expect(await storage.rowsFor(ANN)).toEqual(['t/1 {"id":"1"}', 'u/1 {"id":"1","a":1}'])
  const outcome = storage.put(describeTable(table), '1', rowOf('1 | {bad'))
  expect(outcome.errors).toMatchObject([{ definition: 'bad' }])
  expect(await storage.rowsFor(ANN)).toEqual(['t/1 {"id":"1"}'])
  put(storage, table, '1 | {"a":2}')
  expect(await storage.rowsFor(ANN)).toEqual(['t/1 {"id":"1"}', 'u/1 {"id":"1","a":2}'])
})

test('[138] a row that fails in a lookup has no entry there, and nothing else fails', async () => {
  const lookup = exampleTable('m', 'id, person, j')
  for (const edition of [2, 3]) {
    const query = "SELECT id FROM t WHERE owner IN (SELECT j ->> 'team' FROM m WHERE person = auth.user_id())"
    const config = JSON.stringify({ config: { edition }, streams: { s: { auto_subscribe: true, query } } })
    const storage = storageOf(config, [T, lookup])
    put(storage, T, '1 | a | t')
    put(storage, lookup, 'x | ann | {bad')
    expect(storage.outcomes().map(({ outcome }) => outcome.errors.length)).toEqual([0, 1])
    expect(await storage.rowsFor(ANN)).toEqual([])
    put(storage, lookup, 'y | ann | {"team":"a"}')
    expect(await storage.rowsFor(ANN)).toEqual(['t/1 {"id":"1"}'])
  }
})

test('[139] after any changes the buckets are those of a fresh start', async () => {
  const config = streamsConfig({
    a: 'SELECT * FROM t WHERE owner IN (SELECT team FROM m WHERE person = auth.user_id())',
    b: 'SELECT id FROM t AS u WHERE open OR owner = auth.user_id()',
  })
  const storage = storageOf(config, [T, M])
  let random = 7
  const next = (below: number): number => {
    random = (random * 16_807) % 2_147_483_647
    return random % below
  }
  const rows = { t: new Map<string, string>(), m: new Map<string, string>() }
  for (let step = 0; step < 200; step += 1) {
    const [table, name] = next(2) === 0 ? ([T, 't'] as const) : ([M, 'm'] as const)
    const id = String(next(5))
    if (next(4) === 0) {
      rows[name].delete(id)
      storage.remove(describeTable(table), id)
      continue
    }
    const owner = ['ann', 'bob', 'x', 'NULL'][next(4)] ?? ''
    const row =
      name === 't'
        ? `${id} | ${owner} | ${['t', 'f'][next(2)] ?? ''}`
        : `${id} | ${owner} | ${['ann', 'x'][next(2)] ?? ''}`
    rows[name].set(id, row)
    put(storage, table, row)
    const fresh = storageOf(config, [
      { ...T, rows: [...rows.t.values()].map(rowOf) },
      { ...M, rows: [...rows.m.values()].map(rowOf) },
    ])
    expect(storage.buckets()).toEqual(fresh.buckets())
    expect(await storage.rowsFor(ANN)).toEqual(await fresh.rowsFor(ANN))
  }
})
