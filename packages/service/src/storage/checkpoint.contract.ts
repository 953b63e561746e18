import { expect, test } from 'vitest'
import { EVERY_CLIENT } from './delta.ts'
import type { GenerationOrigin } from './storage.ts'
import {
  begin,
  bucket,
  deltaAt,
  lookup,
  lookupChange,
  lsn,
  type OpenStorage,
  origin,
  put,
  readAll,
  rowKey,
  stateIn,
} from './example-data.contract.ts'

export function checkpointContract(open: OpenStorage): void {
  test('nothing may be seen until a delta says so, and then all of it at once', async () => {
    await using opened = await begin(open)
    const { storage } = opened
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
    await using opened = await begin(open)
    await opened.storage.append(deltaAt(10, { operations: [put('a', '1')] }))
    await opened.storage.append(deltaAt(20, { operations: [put('a', '2')], show: false }))

    const again = await opened.reopen()
    const shown = await again.append(deltaAt(30, { operations: [put('b', '3')] }))
    expect(shown.touchesAll || shown.buckets.has(bucket('a'))).toBe(true)
    const next = await again.append(deltaAt(40, { operations: [put('b', '4')] }))
    expect(next).toMatchObject({ touchesAll: false, buckets: new Set([bucket('b')]) })
  })

  test('write checkpoints of a key never go down', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, { writeCheckpoints: [{ key: 'ann', number: 9_007_199_254_740_999n }] }))
    await storage.append(deltaAt(20, { writeCheckpoints: [{ key: 'ann', number: 3n }] }))
    expect(await storage.readWriteCheckpoint('ann')).toBe(9_007_199_254_740_999n)
    expect(await storage.readWriteCheckpoint('nobody')).toBeUndefined()
  })

  test('a write checkpoint of every client counts for each, and the highest of all is known', async () => {
    await using opened = await begin(open)
    const { storage } = opened
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
    await using opened = await begin(open)
    const { storage } = opened
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

/** A plan under which the app's backend makes write checkpoints. */
function withEvent(checkpoint: string): GenerationOrigin {
  return {
    ...origin(),
    plan: { ...origin().plan, body: { events: [{ name: 'write_checkpoints', columns: [checkpoint] }] } },
  }
}

export function generationContract(open: OpenStorage): void {
  test('write checkpoints of the backend are what clients see where the plan has an event for them', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(withEvent('n'))
    const numbers = {
      writeCheckpoints: [{ key: 'ann', number: 900n }],
      customWriteCheckpoints: [{ key: 'ann', number: 3n }],
    }
    expect((await storage.append(deltaAt(10, { ...numbers, show: false }))).writeCheckpoints).toEqual(new Map())
    expect(await storage.readWriteCheckpoint('ann')).toBeUndefined()
    const lower = [{ key: 'ann', number: 2n }]
    expect((await storage.append(deltaAt(20, { customWriteCheckpoints: lower }))).writeCheckpoints).toEqual(
      new Map([['ann', 3n]]),
    )
    expect((await storage.append(deltaAt(30, { customWriteCheckpoints: lower }))).writeCheckpoints).toEqual(
      new Map([['ann', 3n]]),
    )
    expect(await (await opened.reopen()).readWriteCheckpoint('ann')).toBe(3n)
  })

  test('write checkpoints of the backend are kept as long as they come from the same rows of the same source', async () => {
    await using opened = await open()
    const { storage } = opened
    await storage.startGeneration(withEvent('n'))
    const customWriteCheckpoints = [{ key: 'ann', number: 3n }]
    await storage.append(deltaAt(10, { customWriteCheckpoints, writeCheckpoints: [{ key: 'ann', number: 900n }] }))
    await storage.startGeneration({ ...withEvent('n'), slot: 'other' })
    expect(await storage.readWriteCheckpoint('ann')).toBe(3n)
    await storage.startGeneration(withEvent('m'))
    expect(await storage.readWriteCheckpoint('ann')).toBeUndefined()
    await storage.append(deltaAt(10, { customWriteCheckpoints }))
    await storage.startGeneration({ ...withEvent('m'), systemId: '7002' })
    expect(await storage.readWriteCheckpoint('ann')).toBeUndefined()
    await storage.append(deltaAt(10, { customWriteCheckpoints }))
    await storage.startGeneration(origin())
    expect(await storage.readWriteCheckpoint('ann')).toBe(900n)
    await storage.startGeneration(withEvent('m'))
    expect(await storage.readWriteCheckpoint('ann')).toBeUndefined()
  })

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
