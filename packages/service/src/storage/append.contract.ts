import { expect, test } from 'vitest'
import type { RowKey, RowState } from './delta.ts'
import {
  begin,
  bucket,
  deltaAt,
  idsIn,
  lookup,
  lookupChange,
  lsn,
  type OpenStorage,
  put,
  readEverything,
  rowKey,
  slice,
  stateIn,
} from './example-data.contract.ts'

export function appendContract(open: OpenStorage): void {
  test('append is atomic and idempotent by log position', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const delta = deltaAt(10, {
      operations: [put('a', '1'), put('b', '2')],
      rowStates: [{ row: rowKey('1'), after: stateIn('a', '1') }],
      lookups: [lookupChange('1', [], [lookup('k', '["x"]')])],
      writeCheckpoints: [{ key: 'ann', number: 7n }],
    })
    await storage.append(delta)
    const once = await readEverything(storage)

    await storage.append(delta)
    await storage.append(deltaAt(9, { operations: [put('a', '9')] }))
    expect(await readEverything(storage)).toEqual(once)

    const again = await opened.reopen()
    expect(await readEverything(again)).toEqual(once)
    await again.append(delta)
    expect(await readEverything(again)).toEqual(once)
  })

  test('a slice of a transaction is invisible until the delta that ends it is stored', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, { operations: [put('a', '1')] }))
    const before = await readEverything(storage)

    await storage.append(
      slice({ operations: [put('a', '2'), put('c', '3')], lookups: [lookupChange('3', [], [lookup('k', '[]')])] }),
    )
    expect(await readEverything(storage)).toEqual(before)

    await storage.append(deltaAt(20, { operations: [put('a', '4')] }))
    expect(await idsIn(storage, 'a')).toEqual(['1', '2', '4'])
    expect(await idsIn(storage, 'c')).toEqual(['3'])
  })

  test('slices of a transaction that is rolled back leave nothing', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, { operations: [put('a', '1')] }))
    const before = await readEverything(storage)

    await storage.append(
      slice({
        operations: [put('a', '2'), put('new', '3')],
        rowStates: [{ row: rowKey('2'), after: stateIn('new', '2') }],
      }),
    )
    await storage.rollback()
    expect(await readEverything(storage)).toEqual(before)
    expect(await storage.readRowStates([rowKey('2')])).toEqual(new Map())

    await storage.append(deltaAt(20, { operations: [put('other', '5'), put('new', '6')] }))
    expect(await idsIn(storage, 'new')).toEqual(['6'])
    expect(await idsIn(storage, 'other')).toEqual(['5'])
  })

  test('what was stored before a slice is read while the slice goes on, and after it is rolled back', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const large = { ...put('a', 'large'), data: JSON.stringify({ id: 'large', v: 'x'.repeat(100_000) }) }
    await storage.append(deltaAt(10, { operations: [put('a', '1'), put('b', '2')] }))
    const before = await readEverything(storage)

    await storage.append(slice({ operations: [put('a', '3'), large] }))
    await storage.append(slice({ operations: [put('b', '4'), large] }))
    expect(await readEverything(storage)).toEqual(before)
    await storage.rollback()
    expect(await readEverything(storage)).toEqual(before)

    await storage.append(slice({ operations: [large] }))
    await storage.append(deltaAt(20, { operations: [put('a', '5')] }))
    expect(await idsIn(storage, 'a')).toEqual(['1', 'large', '5'])
    expect(await idsIn(storage, 'b')).toEqual(['2'])
  })

  test('slices of a transaction that was stored before are dropped with the delta that ends it', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, { operations: [put('a', '1'), put('a', '2')] }))
    const before = await readEverything(storage)

    await storage.append(slice({ operations: [put('a', '1')] }))
    await storage.append(deltaAt(10, { operations: [put('a', '2')] }))
    expect(await readEverything(storage)).toEqual(before)
  })

  test('slices whose end was never stored are gone after a restart', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, { operations: [put('a', '1')] }))
    const before = await readEverything(storage)
    await storage.append(slice({ operations: [put('a', '2')] }))

    expect(await readEverything(await opened.reopen())).toEqual(before)
  })

  test('the resume point moves past transactions that touched nothing, and never back', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, {}))
    const durable = await storage.skipTo(lsn(30))
    expect(durable === lsn(10) || durable === lsn(30)).toBe(true)
    expect((await storage.skipTo(lsn(20))) <= lsn(30)).toBe(true)

    const again = await opened.reopen()
    expect((await again.readResume())?.resume).toBe(lsn(30))
  })

  test('row states are read as they were stored, and only those that are known', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const states: [RowKey, RowState][] = [
      [rowKey('plain'), stateIn('a', 'plain')],
      [
        rowKey('two'),
        {
          ...stateIn('a', 'two'),
          memberships: [...stateIn('a', 'two').memberships, ...stateIn('b', 'zwölf').memberships],
        },
      ],
      [
        rowKey('odd'),
        {
          memberships: [{ bucket: bucket('a'), type: 'ünï', id: '', dataHash: 'Not hex! ö' }],
          lookups: [lookup('k', '["1"]')],
          toasted: { body: 'x'.repeat(5000) },
        },
      ],
      [rowKey('none'), { memberships: [], lookups: [], toasted: {} }],
    ]
    await storage.append(deltaAt(10, { rowStates: states.map(([row, after]) => ({ row, after })) }))

    const keys = [...states.map(([row]) => row), rowKey('unknown')]
    expect(await storage.readRowStates(keys)).toEqual(new Map(states))
    expect(await (await opened.reopen()).readRowStates(keys)).toEqual(new Map(states))
  })

  test('the last state of a row counts, and a state that is taken away is unknown', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(
      deltaAt(10, {
        rowStates: [
          { row: rowKey('1'), after: stateIn('a', '1') },
          { row: rowKey('1'), after: stateIn('b', '1') },
          { row: rowKey('2'), after: stateIn('a', '2') },
        ],
      }),
    )
    await storage.append(deltaAt(20, { rowStates: [{ row: rowKey('2'), after: undefined }] }))
    expect(await storage.readRowStates([rowKey('1'), rowKey('2')])).toEqual(new Map([[rowKey('1'), stateIn('b', '1')]]))
  })

  test('the row states of one table are read in pages, and those of no other', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const keys = ['77:', ...Array.from({ length: 2500 }, (_, n) => `77:${n}`)] as RowKey[]
    const others = ['7:1', '777:1', '78:1'] as RowKey[]
    await storage.append(
      deltaAt(10, { rowStates: [...keys, ...others].map((row) => ({ row, after: stateIn('a', row) })) }),
    )

    const found: RowKey[] = []
    for await (const page of storage.readRowStatesOf('77:')) found.push(...page.keys())
    expect(found.toSorted()).toEqual(keys.toSorted())
  })

  test('progress of copies and row errors are kept', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const copy = {
      table: 'public.todos',
      relationOid: 5,
      cursor: '(4,2)',
      done: false,
      rowsCopied: 8,
      rowsEstimated: 20,
    }
    const error = { table: 'public.todos', row: '5:1', definition: 'todos', message: 'bad number', atMs: 1 }
    await storage.append(deltaAt(10, { copies: [copy], rowErrors: [error] }))
    await storage.append(deltaAt(20, { copies: [{ ...copy, done: true }] }))

    const again = await opened.reopen()
    expect((await again.readResume())?.copies).toEqual([{ ...copy, done: true }])
    expect((await again.readStatus()).rowErrors).toEqual([error])
  })
}
