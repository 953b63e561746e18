import { expect, test } from 'vitest'
import { DailyAllowance, DEFRAGMENTATION_LIMITS, type Front, FrontSearch, type LiveRow } from './defragment.ts'

type Part = { readonly dead?: number; readonly live?: readonly Partial<LiveRow>[] }

/**
 * Of a bucket in parts, from the oldest, rows before what is dead in each. A row takes 300 bytes and is named by its op id
 * unless it says otherwise.
 */
function findFront(parts: readonly Part[], stays?: string): Front | undefined {
  let opId = 0
  const stretches = parts.map(({ dead = 0, live = [] }) => {
    const rows = live.map((row) => {
      opId += 1
      return { row: String(opId), opId, bytes: 300, ...row }
    })
    return { dead, deadFirst: rows.length === 0 ? dead : 0, live: rows }
  })
  const search = new FrontSearch(DEFRAGMENTATION_LIMITS, (row) => row !== stays)
  for (const stretch of stretches.toReversed()) search.addOlder(stretch)
  return search.finish()
}

const rows = (count: number): Partial<LiveRow>[] => Array.from({ length: count }, () => ({}))
const namesOf = (front: Front | undefined) => front?.rows.map(({ row }) => row)

test('one old row before a thousand operations without a row is put once more', () => {
  expect(findFront([{ live: rows(1) }, { dead: 1_000 }, { live: rows(3) }])).toEqual({
    rows: [{ row: '1', opId: 1, bytes: 300 }],
    bytes: 300,
    dead: 1_000,
  })
})

test('fewer than a thousand are left where they are', () => {
  expect(findFront([{ live: rows(1) }, { dead: 999 }])).toBeUndefined()
})

test('where no row stands before them, compaction alone takes them away', () => {
  expect(findFront([{ dead: 5_000 }, { live: rows(10) }])).toBeUndefined()
  expect(findFront([{ dead: 5_000 }, { live: rows(10) }, { dead: 999 }])).toBeUndefined()
  expect(findFront([{ dead: 5_000 }, { live: rows(10) }, { dead: 1_000 }])).toMatchObject({ dead: 1_000 })
})

test('what is saved must be twice what is downloaded again', () => {
  // A MOVE takes 52 bytes, so 87 rows of 300 bytes are worth 1,000 of them, and 86 are not enough to be too many.
  expect(namesOf(findFront([{ live: rows(86) }, { dead: 1_000 }]))).toHaveLength(86)
  expect(findFront([{ live: rows(87) }, { dead: 1_000 }])).toBeUndefined()
  expect(findFront([{ live: [{ bytes: 26_001 }] }, { dead: 1_000 }])).toBeUndefined()
})

test('a third of the bucket must be saved', () => {
  const parts = (newer: number): Part[] => [{ live: rows(1) }, { dead: 1_000 }, { live: rows(newer) }]
  expect(namesOf(findFront(parts(340)))).toEqual(['1'])
  expect(findFront(parts(400))).toBeUndefined()
})

test('of rows that were changed at various times only those are put once more that have enough behind them', () => {
  const parts = [
    { live: rows(2), dead: 3_000 },
    { live: rows(5), dead: 2_000 },
    { live: rows(100), dead: 200 },
    { live: rows(400) },
  ]
  expect(namesOf(findFront(parts))).toEqual(['1', '2', '3', '4', '5', '6', '7'])
})

test('rows come oldest first, also where one part has several', () => {
  const front = findFront([{ live: rows(3) }, { live: rows(3) }, { dead: 4_000 }])
  expect(namesOf(front)).toEqual(['1', '2', '3', '4', '5', '6'])
})

test('nothing behind a row that must stay is touched: it could not be cleared', () => {
  expect(findFront([{ live: rows(1) }, { dead: 5_000 }, { live: rows(2) }], '1')).toBeUndefined()
  const before = findFront([{ live: rows(2) }, { dead: 5_000 }, { live: rows(1) }, { dead: 4_000 }], '3')
  expect(before).toMatchObject({ bytes: 600, dead: 5_000 })
})

test('what may be put once more in a day comes back bit by bit', () => {
  const hour = 3_600_000
  const allowance = new DailyAllowance(2_400, 0)
  expect(allowance.take(2_000, 0)).toBe(true)
  expect(allowance.take(500, 0)).toBe(false)
  expect(allowance.take(500, hour)).toBe(true)
  expect(allowance.take(1, hour)).toBe(false)
  expect(allowance.take(2_401, 100 * hour)).toBe(false)
  expect(allowance.take(2_400, 100 * hour)).toBe(true)
})
