import {
  type BucketName,
  OP_ID_ZERO,
  type OperationFormat,
  type OpId,
  toBucketName,
  toChecksum,
  toOpId,
} from '@headwater/protocol'
import type { LookupKey, LookupOutputs, Plan } from '@headwater/sync-config'
import { describe, expect, test } from 'vitest'
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import {
  type Delta,
  type DeltaOperation,
  EVERY_CLIENT,
  type LookupChange,
  type RowKey,
  type RowState,
  type StoredLookup,
} from './delta.ts'
import type { BucketStorage, Commit, EncodedOperations, GenerationOrigin } from './storage.ts'

/** A storage that a test may close and open again, as a process does that is started again. */
export type StorageUnderTest = AsyncDisposable & {
  readonly storage: BucketStorage
  readonly reopen: () => Promise<BucketStorage>
}

/** What every storage must do. Call it once per implementation, with a function that opens an empty one. */
export function storageContract(name: string, open: () => Promise<StorageUnderTest>): void {
  describe(`${name} keeps the storage contract`, () => {
    appendContract(open)
    readContract(open)
    lookupContract(open)
    checkpointContract(open)
    generationContract(open)
  })
}

type Open = () => Promise<StorageUnderTest>

function appendContract(open: Open): void {
  test('append is atomic and idempotent by log position', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
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
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
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
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
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

  test('slices of a transaction that was stored before are dropped with the delta that ends it', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(deltaAt(10, { operations: [put('a', '1'), put('a', '2')] }))
    const before = await readEverything(storage)

    await storage.append(slice({ operations: [put('a', '1')] }))
    await storage.append(deltaAt(10, { operations: [put('a', '2')] }))
    expect(await readEverything(storage)).toEqual(before)
  })

  test('slices whose end was never stored are gone after a restart', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(deltaAt(10, { operations: [put('a', '1')] }))
    const before = await readEverything(storage)
    await storage.append(slice({ operations: [put('a', '2')] }))

    expect(await readEverything(await opened.reopen())).toEqual(before)
  })

  test('the resume point moves past transactions that touched nothing, and never back', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(deltaAt(10, {}))
    const durable = await storage.skipTo(lsn(30))
    expect(durable === lsn(10) || durable === lsn(30)).toBe(true)
    expect((await storage.skipTo(lsn(20))) <= lsn(30)).toBe(true)

    const again = await opened.reopen()
    expect((await again.readResume())?.resume).toBe(lsn(30))
  })

  test('row states are read as they were stored, and only those that are known', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
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
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
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
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
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
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
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

function readContract(open: Open): void {
  test('operations of a bucket are read in order, between two positions', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(deltaAt(10, { operations: [put('a', '1'), put('b', '2'), remove('a', '1')] }))
    await storage.append(deltaAt(20, { operations: [put('a', '4')] }))

    const all = await readAll(storage, 'a')
    expect(all.map((operation) => [operation.op_id, operation.op, operation.object_id])).toEqual([
      ['1', 'PUT', '1'],
      ['3', 'REMOVE', '1'],
      ['4', 'PUT', '4'],
    ])
    const part = await storage.readBucket(readOf('a', { after: 1, upTo: 3 }))
    expect([part.count, part.nextAfter, part.hasMore]).toEqual([1, 3n, false])
    const nothing = await storage.readBucket(readOf('a', { after: 4, upTo: 4 }))
    expect([nothing.count, nothing.body.length, nothing.nextAfter, nothing.hasMore]).toEqual([0, 0, 4n, false])
    expect((await storage.readBucket(readOf('nowhere'))).count).toBe(0)
  })

  test('sums and counts are right at every op id', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    const operations = Array.from({ length: 50 }, (_, n) => put(n % 3 === 0 ? 'a' : 'b', String(n), n * 123_456_789))
    for (let n = 0; n < 50; n += 5) await storage.append(deltaAt(10 + n, { operations: operations.slice(n, n + 5) }))
    const expected = (name: string, upTo: number) => {
      const mine = operations.slice(0, upTo).filter((operation) => operation.bucket === bucket(name))
      return { count: mine.length, checksum: mine.reduce((sum, { checksum }) => (sum + checksum) >>> 0, 0) }
    }

    for (const reopen of [false, true]) {
      const reader = reopen ? await opened.reopen() : storage
      for (let upTo = 0; upTo <= 50; upTo++) {
        const sums = await reader.readSums([bucket('b'), bucket('nowhere'), bucket('a')], opId(upTo))
        expect(sums).toEqual([expected('b', upTo), { count: 0, checksum: 0 }, expected('a', upTo)])
      }
    }
  })

  test('a read stops at its limits and says that there is more', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(
      deltaAt(10, {
        operations: [
          put('a', '1'),
          put('a', '2'),
          { ...put('a', '3'), data: JSON.stringify({ id: '3', v: 'x'.repeat(10_000) }) },
        ],
      }),
    )

    const two = await storage.readBucket(readOf('a', { operationsMax: 2 }))
    expect([two.count, two.nextAfter, two.hasMore]).toEqual([2, 2n, true])
    const one = await storage.readBucket(readOf('a', { bytesMax: 1 }))
    expect([one.count, one.hasMore]).toEqual([1, true])
    const large = await storage.readBucket(readOf('a', { after: 2, bytesMax: 1 }))
    expect([large.count, large.hasMore]).toEqual([1, false])
    const bounded = await storage.readBucket(readOf('a', { upTo: 2, operationsMax: 2 }))
    expect(bounded.hasMore).toBe(false)
  })

  test('thousands of operations of one commit come back whole, in every format', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    const awkward = 'quote " backslash \\ line \u2028 emoji 🛒 \n end'
    const operations = Array.from({ length: 3000 }, (_, n) => ({
      ...put('big', `id-${n}`, n),
      data: JSON.stringify({ id: `id-${n}`, n: 2 ** 52, text: `${awkward} ${n}` }),
    }))
    await storage.append(deltaAt(10, { operations: [put('big', 'first'), put('small', 'x')] }))
    await storage.append(deltaAt(20, { operations }))
    await storage.append(deltaAt(30, { operations: [put('big', 'last')] }))

    for (const reopen of [false, true]) {
      const reader = reopen ? await opened.reopen() : storage
      const back = await readAll(reader, 'big')
      expect(back.map(({ object_id }) => object_id)).toEqual(['first', ...operations.map(({ id }) => id), 'last'])
      expect(back[1000]?.data).toBe(operations[999]?.data)
      const nested = await readAll(reader, 'big', 'ndjson-nested')
      expect(nested[1000]?.data).toEqual(JSON.parse(operations[999]?.data ?? ''))
      expect(await countBson(reader, 'big')).toBe(3002)
    }
  })
}

function lookupContract(open: Open): void {
  test('lookups are read as they were at a checkpoint', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    const first = await storage.append(
      deltaAt(10, {
        lookups: [
          lookupChange('1', [], [lookup('k', '["x"]')]),
          lookupChange('2', [], [lookup('k', '["y"]'), lookup('l', '[]')]),
        ],
      }),
    )
    const second = await storage.append(
      deltaAt(20, { lookups: [lookupChange('1', [lookup('k', '["x"]')], [lookup('k', '["z"]')])] }),
    )
    const third = await storage.append(
      deltaAt(30, {
        lookups: [lookupChange('2', [lookup('k', '["y"]'), lookup('l', '[]')], [])],
        operations: [put('a', '1')],
      }),
    )

    const at = async (commit: Commit) => storage.readLookups([key('l'), key('k'), key('none')], shownOp(commit))
    expect(await at(first)).toEqual([['[]'], ['["x"]', '["y"]'], []])
    expect(await at(second)).toEqual([['[]'], ['["y"]', '["z"]'], []])
    expect(await at(third)).toEqual([[], ['["z"]'], []])
    expect([...first.lookups].toSorted()).toEqual(['k', 'l'])
    expect([...second.lookups]).toEqual(['k'])
  })

  test('an entry that goes and comes back within one delta holds', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(deltaAt(10, { lookups: [lookupChange('1', [], [lookup('k', '["x"]')])] }))
    const last = await storage.append(
      deltaAt(20, {
        lookups: [
          lookupChange('1', [lookup('k', '["x"]')], []),
          lookupChange('1', [], [lookup('k', '["x"]')]),
          lookupChange('2', [], [lookup('k', '["y"]')]),
          lookupChange('2', [lookup('k', '["y"]')], []),
        ],
      }),
    )
    expect(await storage.readLookups([key('k')], shownOp(last))).toEqual([['["x"]']])
  })

  test('two rows with equal outputs count once, and the entry holds until both are gone', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(
      deltaAt(10, {
        lookups: [lookupChange('1', [], [lookup('k', '[]')]), lookupChange('2', [], [lookup('k', '[]')])],
      }),
    )
    const one = await storage.append(deltaAt(20, { lookups: [lookupChange('1', [lookup('k', '[]')], [])] }))
    expect(await storage.readLookups([key('k')], shownOp(one))).toEqual([['[]']])
    const none = await storage.append(deltaAt(30, { lookups: [lookupChange('2', [lookup('k', '[]')], [])] }))
    expect(await storage.readLookups([key('k')], shownOp(none))).toEqual([[]])
  })
}

function checkpointContract(open: Open): void {
  test('nothing may be seen until a delta says so, and then all of it at once', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    const hidden = await storage.append(
      deltaAt(10, {
        operations: [put('a', '1')],
        lookups: [lookupChange('1', [], [lookup('k', '[]')])],
        writeCheckpoints: [{ key: 'ann', number: 5n }],
        show: false,
      }),
    )
    expect(hidden.checkpoint).toBeUndefined()
    expect(hidden.buckets.size).toBe(0)
    expect(await storage.readHead()).toBeUndefined()
    expect(await storage.readWriteCheckpoint('ann')).toBeUndefined()

    const again = await opened.reopen()
    const shown = await again.append(
      deltaAt(20, { operations: [put('b', '2')], writeCheckpoints: [{ key: 'bob', number: 6n }] }),
    )
    expect(shown.checkpoint?.lsn).toBe(lsn(20))
    expect(shown.writeCheckpoints).toEqual(
      new Map([
        ['ann', 5n],
        ['bob', 6n],
      ]),
    )
    expect((await again.readHead())?.checkpoint).toEqual(shown.checkpoint)
    expect(await again.readWriteCheckpoint('ann')).toBe(5n)
  })

  test('what was stored but not shown before a restart counts as touched when it is shown', async () => {
    await using opened = await open()
    await opened.storage.startGeneration(origin())
    await opened.storage.append(deltaAt(10, { operations: [put('a', '1')] }))
    await opened.storage.append(deltaAt(20, { operations: [put('a', '2')], show: false }))

    const again = await opened.reopen()
    const shown = await again.append(deltaAt(30, { operations: [put('b', '3')] }))
    expect(shown.touchesAll || shown.buckets.has(bucket('a'))).toBe(true)
    const next = await again.append(deltaAt(40, { operations: [put('b', '4')] }))
    expect(next).toMatchObject({ touchesAll: false, buckets: new Set([bucket('b')]) })
  })

  test('write checkpoints of a key never go down', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    await storage.append(deltaAt(10, { writeCheckpoints: [{ key: 'ann', number: 9_007_199_254_740_999n }] }))
    await storage.append(deltaAt(20, { writeCheckpoints: [{ key: 'ann', number: 3n }] }))
    expect(await storage.readWriteCheckpoint('ann')).toBe(9_007_199_254_740_999n)
    expect(await storage.readWriteCheckpoint('nobody')).toBeUndefined()
  })

  test('a write checkpoint of every client counts for each, and the highest of all is known', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    expect(await storage.readResume()).toMatchObject({ highestWriteCheckpoint: 0n })
    await storage.append(deltaAt(10, { writeCheckpoints: [{ key: 'ann', number: 9n }] }))
    await storage.append(deltaAt(20, { writeCheckpoints: [{ key: EVERY_CLIENT, number: 7n }] }))
    await storage.append(deltaAt(30, { writeCheckpoints: [{ key: 'bob', number: 11n }], show: false }))

    expect(await storage.readWriteCheckpoint('ann')).toBe(9n)
    expect(await storage.readWriteCheckpoint('bob')).toBe(7n)
    expect(await storage.readWriteCheckpoint('nobody')).toBe(7n)
    expect(await storage.readResume()).toMatchObject({ highestWriteCheckpoint: 11n })
  })

  test('who watches misses no commit, and gets those it was too slow for as one', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(origin())
    const stop = new AbortController()
    const commits = storage.watchCommits(stop.signal)[Symbol.asyncIterator]()
    await storage.append(deltaAt(10, { operations: [put('a', '1')], show: false }))
    await storage.append(deltaAt(20, { operations: [put('b', '2')] }))
    await storage.append(deltaAt(30, { operations: [put('c', '3')], writeCheckpoints: [{ key: 'ann', number: 1n }] }))

    const merged = await commits.next()
    expect(merged.value).toMatchObject({
      buckets: new Set([bucket('a'), bucket('b'), bucket('c')]),
      checkpoint: { opId: 3n },
    })
    const waiting = commits.next()
    await storage.append(deltaAt(40, { operations: [put('d', '4')] }))
    expect((await waiting).value).toMatchObject({ buckets: new Set([bucket('d')]) })
    const last = commits.next()
    stop.abort()
    expect((await last).done).toBe(true)
  })
}

function generationContract(open: Open): void {
  test('a new generation begins empty, gives out new op ids and keeps write checkpoints', async () => {
    await using opened = await open()
    const { storage } = opened
    expect(await storage.readResume()).toBeUndefined()
    const first = await storage.startGeneration(origin())
    await storage.append(
      deltaAt(10, {
        operations: [put('a', '1'), put('a', '2')],
        rowStates: [{ row: rowKey('1'), after: stateIn('a', '1') }],
        writeCheckpoints: [{ key: 'ann', number: 5n }],
      }),
    )
    const stop = new AbortController()
    const commits = storage.watchCommits(stop.signal)[Symbol.asyncIterator]()

    const second = await storage.startGeneration({ ...origin(), slot: 'other' })
    expect(second).toBeGreaterThan(first)
    expect((await commits.next()).value).toMatchObject({ generation: second, checkpoint: undefined })
    stop.abort()
    expect(await storage.readHead()).toBeUndefined()
    expect(await storage.readResume()).toMatchObject({
      generation: second,
      origin: { slot: 'other' },
      resume: undefined,
      copies: [],
    })
    expect(await storage.readRowStates([rowKey('1')])).toEqual(new Map())
    expect(await storage.readWriteCheckpoint('ann')).toBe(5n)

    await storage.append(deltaAt(5, { operations: [put('a', '3')] }))
    expect((await readAll(storage, 'a')).map(({ op_id }) => op_id)).toEqual(['3'])
    expect((await (await opened.reopen()).readHead())?.generation).toBe(second)
  })
}

export function origin(): GenerationOrigin {
  return { systemId: '7001', slot: 'headwater', plan: examplePlan() }
}

export function examplePlan(): Plan {
  return { version: 1, hash: 'example', tables: [], body: {} }
}

export function deltaAt(resume: number, parts: Partial<Delta>): Delta {
  return {
    operations: [],
    lookups: [],
    rowStates: [],
    writeCheckpoints: [],
    copies: [],
    rowErrors: [],
    show: true,
    ...parts,
    resume: lsn(resume),
  }
}

export function slice(parts: Partial<Delta>): Delta {
  return { ...deltaAt(0, { show: false, ...parts }), resume: undefined }
}

export function put(
  name: string,
  id: string,
  checksum = 1_000_000_007 + id.length,
): DeltaOperation & { readonly kind: 'put' } {
  return {
    kind: 'put',
    bucket: bucket(name),
    row: rowKey(id),
    type: 'todos',
    id,
    subkey: `5/${id}`,
    data: JSON.stringify({ id, title: `Title of ${id}` }),
    checksum: toChecksum(checksum),
  }
}

export function remove(name: string, id: string): DeltaOperation {
  return {
    kind: 'remove',
    bucket: bucket(name),
    row: rowKey(id),
    type: 'todos',
    id,
    subkey: `5/${id}`,
    checksum: toChecksum(3_333_333_333),
  }
}

export function lookupChange(
  row: string,
  before: readonly StoredLookup[],
  after: readonly StoredLookup[],
): LookupChange {
  return { row: rowKey(row), before, after }
}

export function lookup(name: string, outputs: string): StoredLookup {
  return { key: key(name), outputs: outputs as LookupOutputs }
}

export function key(name: string): LookupKey {
  return name as LookupKey
}

export function bucket(name: string): BucketName {
  return toBucketName(name)
}

export function lsn(value: number): Lsn {
  return toLsn(BigInt(value))
}

export function opId(value: number): OpId {
  return toOpId(BigInt(value))
}

function rowKey(id: string): RowKey {
  return `5:${id}` as RowKey
}

function stateIn(name: string, id: string): RowState {
  return {
    memberships: [{ bucket: bucket(name), type: 'todos', id, dataHash: '00ff1a2b3c4d5e6f' }],
    lookups: [],
    toasted: {},
  }
}

function shownOp(commit: Commit): OpId {
  return commit.checkpoint?.opId ?? OP_ID_ZERO
}

type WireOperation = { readonly op_id: string; readonly op: string; readonly object_id: string; readonly data: unknown }

function readOf(
  name: string,
  limits: { after?: number; upTo?: number; operationsMax?: number; bytesMax?: number } = {},
) {
  const { after = 0, upTo = 1_000_000, operationsMax = 1000, bytesMax = 1_048_576 } = limits
  return {
    bucket: bucket(name),
    after: opId(after),
    upTo: opId(upTo),
    format: 'ndjson',
    operationsMax,
    bytesMax,
  } as const
}

async function* readPages(
  storage: BucketStorage,
  name: string,
  format: OperationFormat,
): AsyncGenerator<EncodedOperations> {
  let after = OP_ID_ZERO
  for (let hasMore = true; hasMore;) {
    const page = await storage.readBucket({ ...readOf(name), after, format })
    after = page.nextAfter
    hasMore = page.hasMore
    yield page
  }
}

async function readAll(
  storage: BucketStorage,
  name: string,
  format: 'ndjson' | 'ndjson-nested' = 'ndjson',
): Promise<WireOperation[]> {
  const operations: WireOperation[] = []
  for await (const page of readPages(storage, name, format)) {
    const some = JSON.parse(`[${new TextDecoder().decode(page.body)}]`) as WireOperation[]
    expect(some.length).toBe(page.count)
    operations.push(...some)
  }
  return operations
}

async function countBson(storage: BucketStorage, name: string): Promise<number> {
  let count = 0
  for await (const { body, lengths } of readPages(storage, name, 'bson')) {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    let at = 0
    for (const length of lengths) {
      expect(view.getInt32(at, true)).toBe(length)
      at += length
      count += 1
    }
    expect(at).toBe(body.length)
  }
  return count
}

async function idsIn(storage: BucketStorage, name: string): Promise<string[]> {
  return (await readAll(storage, name)).map(({ object_id }) => object_id)
}

async function readEverything(storage: BucketStorage): Promise<unknown> {
  const head = await storage.readHead()
  const upTo = head?.checkpoint.opId ?? OP_ID_ZERO
  return {
    head,
    resume: await storage.readResume(),
    sums: await storage.readSums([bucket('a'), bucket('b'), bucket('c'), bucket('new')], upTo),
    operations: [
      await readVisible(storage, 'a', upTo),
      await readVisible(storage, 'b', upTo),
      await readVisible(storage, 'c', upTo),
    ],
    lookups: await storage.readLookups([key('k')], upTo),
    rowStates: await storage.readRowStates([rowKey('1')]),
    writeCheckpoint: await storage.readWriteCheckpoint('ann'),
  }
}

async function readVisible(storage: BucketStorage, name: string, upTo: OpId): Promise<string> {
  const { body } = await storage.readBucket({ ...readOf(name), upTo })
  return new TextDecoder().decode(body)
}
