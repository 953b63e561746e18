import { expect, test } from 'vitest'
import {
  begin,
  deltaAt,
  key,
  lookup,
  lookupChange,
  lookupsAt,
  type OpenStorage,
  put,
  shownOp,
} from './example-data.contract.ts'
import type { Commit } from './storage.ts'

export function lookupContract(open: OpenStorage): void {
  test('lookups are read as they were at a checkpoint', async () => {
    await using opened = await begin(open)
    const { storage } = opened
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

    const at = async (commit: Commit) => lookupsAt(storage, ['l', 'k', 'none'], shownOp(commit))
    expect(await at(first)).toEqual([['[]'], ['["x"]', '["y"]'], []])
    expect(await at(second)).toEqual([['[]'], ['["y"]', '["z"]'], []])
    expect(await at(third)).toEqual([[], ['["z"]'], []])
    expect([...first.lookups].toSorted()).toEqual(['k', 'l'])
    expect([...second.lookups]).toEqual(['k'])
  })

  test('an entry that goes and comes back within one delta holds', async () => {
    await using opened = await begin(open)
    const { storage } = opened
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
    expect(await lookupsAt(storage, ['k'], shownOp(last))).toEqual([['["x"]']])
  })

  test('one of very many entries of a row changes', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const entries = Array.from({ length: 60_000 }, (_, index) => lookup(`k${index}`, '[]'))
    await storage.append(deltaAt(10, { lookups: [lookupChange('1', [], entries)] }))
    const changed = await storage.append(
      deltaAt(20, { lookups: [lookupChange('1', entries, [...entries.slice(1), lookup('new', '[]')])] }),
    )
    expect([...changed.lookups].toSorted()).toEqual(['k0', 'new'])
    const read = await lookupsAt(storage, ['k0', 'k59999', 'new'], shownOp(changed))
    expect(read).toEqual([[], ['[]'], ['[]']])
  })

  test('two rows with equal outputs count once, and the entry holds until both are gone', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(
      deltaAt(10, {
        lookups: [lookupChange('1', [], [lookup('k', '[]')]), lookupChange('2', [], [lookup('k', '[]')])],
      }),
    )
    const one = await storage.append(deltaAt(20, { lookups: [lookupChange('1', [lookup('k', '[]')], [])] }))
    expect(await lookupsAt(storage, ['k'], shownOp(one))).toEqual([['[]']])
    const none = await storage.append(deltaAt(30, { lookups: [lookupChange('2', [lookup('k', '[]')], [])] }))
    expect(await lookupsAt(storage, ['k'], shownOp(none))).toEqual([[]])
  })

  test('very many entries, of one key or of many, are read in pages, each once', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const numbers = Array.from({ length: 1_200 }, (_, n) => n)
    const changes = numbers.flatMap((n) => [
      lookupChange(`long ${n}`, [], [lookup('long', `["${n}"]`), lookup('long', '["common"]')]),
      lookupChange(`short ${n}`, [], [lookup(`short ${n}`, '[]')]),
    ])
    const commit = await storage.append(deltaAt(10, { lookups: changes }))
    const keys = ['none', 'long', ...numbers.flatMap((n) => [`short ${n}`, `none ${n}`])]
    const [none, long, ...others] = (await lookupsAt(storage, keys, shownOp(commit))) ?? []
    expect(none).toEqual([])
    expect(long).toEqual([...numbers.map((n) => `["${n}"]`), '["common"]'].toSorted())
    expect(others).toEqual(numbers.flatMap(() => [['[]'], []]))

    const from = { keyIndex: 0, row: '', outputs: '' }
    const page = await storage.readLookupPage({ keys: keys.map(key), upTo: shownOp(commit), from, max: 10 })
    expect(page?.found.map(({ length }) => length)).toEqual([0, 9])
    expect(page?.next?.keyIndex).toBe(1)
  })
}
