import { expect, test } from 'vitest'
import { toLsn } from '../postgres/lsn.ts'
import type { WalMessage } from '../postgres/pgoutput.ts'
import { BATCH_LIMITS, createGatherer } from './batches.ts'

function begin(xid: number): WalMessage {
  return { kind: 'begin', commitLsn: toLsn(0n), committedAtMs: 0, xid }
}

function commit(endLsn: bigint): WalMessage {
  return { kind: 'commit', commitLsn: toLsn(endLsn - 1n), endLsn: toLsn(endLsn), committedAtMs: 7 }
}

function insert(id: string): WalMessage {
  return { kind: 'insert', relationOid: 1, row: [id], rowBytes: 10 }
}

function gather(messages: readonly WalMessage[], limits = BATCH_LIMITS): ReturnType<typeof createGatherer> {
  const gatherer = createGatherer(limits)
  for (const message of messages) gatherer.add(message, 10, 100)
  return gatherer
}

test('whole transactions are taken together, and the open one stays', () => {
  const gatherer = gather([
    begin(1),
    insert('a'),
    commit(10n),
    begin(2),
    commit(15n),
    begin(3),
    insert('b'),
    commit(20n),
    begin(4),
    insert('c'),
  ])
  expect(gatherer.takeWhole()).toMatchObject({
    messages: [{ row: ['a'] }, { row: ['b'] }],
    transactions: [
      { xid: 1, firstMessage: 0 },
      { xid: 3, firstMessage: 1 },
    ],
    resume: 20n,
    committedAtMs: 7,
    bytes: 20,
  })
  expect(gatherer.takeWhole()).toBeUndefined()

  gatherer.add(commit(30n), 0, 100)
  expect(gatherer.takeWhole()).toMatchObject({
    messages: [{ row: ['c'] }],
    transactions: [{ xid: 4, firstMessage: 0 }],
    resume: 30n,
  })
})

test('a transaction that is too large is taken in slices, which do not say where to resume', () => {
  const gatherer = gather([begin(1), insert('a'), insert('b')], { ...BATCH_LIMITS, rowsMax: 2 })
  expect(gatherer.isFull()).toBe(true)
  expect(gatherer.takeWhole()).toBeUndefined()
  expect(gatherer.takeSlice()).toMatchObject({ messages: [{ row: ['a'] }, { row: ['b'] }], resume: undefined })
  expect(gatherer.takeSlice()).toBeUndefined()
  expect(gatherer.isInTransaction()).toBe(true)

  gatherer.add(insert('c'), 10, 100)
  gatherer.add(commit(40n), 0, 100)
  expect(gatherer.takeWhole()).toMatchObject({
    messages: [{ row: ['c'] }],
    transactions: [{ xid: 1, firstMessage: 0 }],
    resume: 40n,
  })
})

test('a transaction that ends with its last slice is still ended by a batch', () => {
  const gatherer = gather([begin(1), insert('a')])
  gatherer.takeSlice()
  gatherer.add(commit(50n), 0, 100)
  expect(gatherer.takeWhole()).toMatchObject({ messages: [], resume: 50n })
})

test('transactions wait for more only so long', () => {
  const gatherer = gather([begin(1), insert('a'), commit(10n)])
  expect(gatherer.isOld(100)).toBe(false)
  expect(gatherer.isOld(100 + BATCH_LIMITS.ageMinMs)).toBe(true)
})

test('transactions wait for more as long as the batch before took, within limits', () => {
  const gatherer = gather([begin(1), insert('a'), commit(10n)])
  gatherer.setPace(50)
  expect(gatherer.isOld(149)).toBe(false)
  expect(gatherer.isOld(150)).toBe(true)
  gatherer.setPace(60_000)
  expect(gatherer.isOld(100 + BATCH_LIMITS.ageMaxMs)).toBe(true)
  gatherer.setPace(0)
  expect(gatherer.isOld(100 + BATCH_LIMITS.ageMinMs - 1)).toBe(false)
})

test('markers go with the transaction that they are in', () => {
  const gatherer = gather([begin(1), insert('a'), commit(10n), begin(2)])
  gatherer.addMarker({ kind: 'chunk', slot: 's', chunk: 'c' })
  expect(gatherer.takeWhole()?.markers).toEqual([])
  gatherer.add(commit(20n), 0, 100)
  expect(gatherer.hasCuttingMarker()).toBe(true)
  expect(gatherer.takeWhole()?.markers).toEqual([{ kind: 'chunk', slot: 's', chunk: 'c' }])
  expect(gatherer.hasCuttingMarker()).toBe(false)
})
