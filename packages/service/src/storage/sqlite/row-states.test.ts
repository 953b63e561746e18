import { DatabaseSync } from 'node:sqlite'
import { readSeeds, seededRandom } from '@headwater/testkit'
import { expect, test } from 'vitest'
import type { RowKey, RowState, RowStateChange, RowStates } from '../delta.ts'
import { transact } from './connection.ts'
import { RowStateStore } from './row-states.ts'
import { migrate } from './schema.ts'

const names = {
  buckets: { idOf: () => 1, nameOf: () => 'a' as RowState['memberships'][number]['bucket'] },
  types: { idOf: () => 1, nameOf: () => 'todos' },
}

test.each(readSeeds(process.env, 20))(
  'states are what was written last, wherever they lie, also after undoing and starting again (seed %i)',
  async (seed) => {
    const random = seededRandom(seed)
    const database = openDatabase()
    let store = openStore(database)
    let model = new Map<RowKey, RowState>()
    const keys = Array.from({ length: 400 }, (_, n) => `${n % 2}:${n}` as RowKey)
    for (let round = 0; round < 120; round++) {
      const changes = Array.from({ length: random.between(0, 60) }, (_, n): RowStateChange => {
        const row = random.pick(keys)
        return { row, after: random.chance(0.3) ? undefined : stateOf(`${round}-${n}`, random.integer(200)) }
      })
      if (random.chance(0.2)) {
        database.exec('BEGIN')
        store.write(changes)
        database.exec('ROLLBACK')
        store.load()
      } else {
        transact(database, () => store.write(changes))
        model = applyTo(model, changes)
      }
      if (random.chance(0.1)) store = openStore(database)
      const some = keys.filter(() => random.chance(0.2))
      expect(store.read(some)).toEqual(new Map(some.flatMap((key) => entryOf(model, key))))
    }
    const all = await readAll(store, '1:')
    expect(all).toEqual(new Map([...model].filter(([key]) => key.startsWith('1:'))))
  },
)

test('rows that are removed while all are read come once each, and none is left', async () => {
  const database = openDatabase()
  const store = openStore(database)
  const keys = Array.from({ length: 5_000 }, (_, n) => `1:${n}` as RowKey)
  for (let at = 0; at < keys.length; at += 7) {
    const changes = keys.slice(at, at + 7).map((row) => ({ row, after: stateOf(row, 1) }))
    transact(database, () => store.write(changes))
  }
  const seen: RowKey[] = []
  for await (const page of store.readAll('1:')) {
    seen.push(...page.keys())
    transact(database, () => store.write([...page.keys()].map((row) => ({ row, after: undefined }))))
  }
  expect(seen.toSorted()).toEqual(keys.toSorted())
  expect(await readAll(store, '1:')).toEqual(new Map())
})

test('what is logged does not grow without end', () => {
  const database = openDatabase()
  const store = openStore(database)
  const logged = database.prepare('SELECT COALESCE(SUM(LENGTH(body)), 0) AS bytes FROM row_state_log')
  let most = 0
  for (let round = 0; round < 500; round++) {
    store.write([{ row: `1:${round % 10}` as RowKey, after: stateOf('x', 500) }])
    most = Math.max(most, Number(logged.get()?.['bytes']))
  }
  expect(most).toBeLessThan(3 * LIMITS.logBytes)
})

const LIMITS = { logEntries: 100, logBytes: 10_000, mergeEntries: 16 }

function openDatabase(): DatabaseSync {
  const database = new DatabaseSync(':memory:')
  migrate(database)
  return database
}

function openStore(database: DatabaseSync): RowStateStore {
  const store = new RowStateStore(database, names, LIMITS)
  store.load()
  return store
}

function stateOf(id: string, bytes: number): RowState {
  return {
    memberships: [{ bucket: names.buckets.nameOf(), type: 'todos', id, dataHash: '00ff' }],
    lookups: [],
    toasted: { text: 'x'.repeat(bytes) },
  }
}

function applyTo(model: ReadonlyMap<RowKey, RowState>, changes: readonly RowStateChange[]): Map<RowKey, RowState> {
  const next = new Map(model)
  for (const { row, after } of changes) {
    if (after === undefined) next.delete(row)
    else next.set(row, after)
  }
  return next
}

function entryOf(model: RowStates, key: RowKey): [RowKey, RowState][] {
  const state = model.get(key)
  return state === undefined ? [] : [[key, state]]
}

async function readAll(store: RowStateStore, prefix: string): Promise<Map<RowKey, RowState>> {
  const all = new Map<RowKey, RowState>()
  for await (const page of store.readAll(prefix)) {
    for (const [key, state] of page) {
      expect(all.has(key), key).toBe(false)
      all.set(key, state)
    }
  }
  return all
}
