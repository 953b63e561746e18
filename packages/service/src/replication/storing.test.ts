import { expect, test } from 'vitest'
import type { Delta, RowKey, RowState } from '../storage/delta.ts'
import type { ReplicationStorage } from '../storage/storage.ts'
import { toLsn } from '../postgres/lsn.ts'
import { createStoring, emptyDelta } from './storing.ts'

const KEPT = '7:kept' as RowKey
const GONE = '7:gone' as RowKey

const state = (id: string): RowState =>
  ({ memberships: [], lookups: [{ key: id, outputs: '[]' }], toasted: {} }) as unknown as RowState

/** Stores when told to, as a slow disk does. */
function slowStorage() {
  const stored = new Map([
    [KEPT, state('old')],
    [GONE, state('old')],
  ])
  let finish = Promise.withResolvers<void>()
  const storage = {
    append: async (delta: Delta) => {
      await finish.promise
      for (const { row, after } of delta.rowStates) {
        if (after === undefined) stored.delete(row)
        else stored.set(row, after)
      }
    },
    readRowStates: async (keys: readonly RowKey[]) => new Map([...stored].filter(([key]) => keys.includes(key))),
  } as unknown as ReplicationStorage
  return {
    storage,
    finish: () => {
      finish.resolve()
      finish = Promise.withResolvers()
    },
  }
}

const DELTA: Delta = {
  ...emptyDelta(toLsn(10n)),
  rowStates: [
    { row: KEPT, after: state('new') },
    { row: GONE, after: undefined },
  ],
}

test('states are read as they will be when what is on its way to disk has arrived', async () => {
  const { storage, finish } = slowStorage()
  const storing = createStoring(storage, () => {})
  await storing.store(DELTA)
  const after = new Map([[KEPT, state('new')]])
  expect(await storing.readStates([KEPT, GONE])).toEqual(after)
  finish()
  await storing.drain()
  expect(await storing.readStates([KEPT, GONE])).toEqual(after)
})

test('a delta counts as stored only when it is durable', async () => {
  const { storage, finish } = slowStorage()
  const durable: unknown[] = []
  const storing = createStoring(storage, ({ resume }) => durable.push(resume))
  await storing.store(DELTA)
  await storing.readStates([KEPT])
  expect(durable).toEqual([])
  finish()
  await storing.drain()
  expect(durable).toEqual([10n])
})
