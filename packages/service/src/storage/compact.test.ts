import { type Random, readSeeds, seededRandom } from '@headwater/testkit'
import { expect, test } from 'vitest'
import {
  type Cleared,
  extendCleared,
  findSuperseding,
  isDue,
  isWorthClearing,
  type LogEntry,
  NewestOfRows,
  NO_TARGET,
  NOTHING_CLEARED,
} from './compact.ts'

const HISTORY: readonly LogEntry[] = [
  { kind: 'put', opId: 201, checksum: 1400086169, row: 't1' },
  { kind: 'put', opId: 202, checksum: 1918513038, row: 't2' },
  { kind: 'put', opId: 203, checksum: 1700094079, row: 't1' },
  { kind: 'remove', opId: 204, checksum: 3964038316, row: 't2' },
  { kind: 'put', opId: 205, checksum: 1123480163, row: 't3' },
  { kind: 'put', opId: 206, checksum: 2533462654, row: 't1' },
]

test('[protocol 60, 61] superseded operations become MOVEs, and what then holds no row one CLEAR', () => {
  const moved = move(HISTORY, Infinity)
  expect(moved).toEqual([
    { kind: 'move', opId: 201, checksum: 1400086169, target: 203 },
    { kind: 'move', opId: 202, checksum: 1918513038, target: 204 },
    { kind: 'move', opId: 203, checksum: 1700094079, target: 206 },
    ...HISTORY.slice(3),
  ])
  const cleared = clear(moved, Infinity)
  expect(cleared).toEqual([
    { kind: 'clear', opId: 204, checksum: 392797010, target: 206 },
    { kind: 'put', opId: 205, checksum: 1123480163, row: 't3' },
    { kind: 'put', opId: 206, checksum: 2533462654, row: 't1' },
  ])
  for (const [stage, count] of [
    [HISTORY, 6],
    [moved, 6],
    [cleared, 3],
  ] as const) {
    expect(stage).toHaveLength(count)
    expect(sumOf(stage) | 0).toBe(-245227469)
  }
})

test('[protocol 63] what is above the checkpoint is left alone, and supersedes nothing', () => {
  expect(move(HISTORY, 205)).toEqual([
    { kind: 'move', opId: 201, checksum: 1400086169, target: 203 },
    { kind: 'move', opId: 202, checksum: 1918513038, target: 204 },
    ...HISTORY.slice(2),
  ])
  const removals: readonly LogEntry[] = [1, 2, 3, 4].map((opId) => ({ kind: 'remove', opId, checksum: opId, row: 'a' }))
  expect(clear(removals, 3)).toEqual([{ kind: 'clear', opId: 3, checksum: 6, target: 0 }, removals[3]])
})

test('one operation that holds no row is not replaced', () => {
  const entries: readonly LogEntry[] = [
    { kind: 'remove', opId: 1, checksum: 1, row: 'a' },
    { kind: 'put', opId: 2, checksum: 2, row: 'b' },
  ]
  expect(clear(entries, Infinity)).toEqual(entries)
})

test('rows for which there is no room are kept as they are, and the others are still found', () => {
  const entries = Array.from({ length: 40 }, (_, n): LogEntry => {
    return { kind: 'put', opId: n + 1, checksum: n, row: `row ${n % 10}` }
  })
  const targets = findSuperseding(entries, new NewestOfRows(5 * (64 + 'row 0'.length)), Infinity)
  expect(targets.filter((target) => target !== NO_TARGET)).toHaveLength(5 * 3)
  for (const [n, target] of targets.entries()) if (target !== NO_TARGET) expect(target).toBe(n + 11)
})

test('a bucket is due when a third of it may be superseded', () => {
  expect(isDue({ reachable: 49, compacted: 0, live: 0 })).toBe(false)
  expect(isDue({ reachable: 50, compacted: 0, live: 0 })).toBe(true)
  expect(isDue({ reachable: 1499, compacted: 1000, live: 1000 })).toBe(false)
  expect(isDue({ reachable: 1500, compacted: 1000, live: 1000 })).toBe(true)
})

test.each(readSeeds(process.env, 200))(
  '[protocol 62] a client at any position comes to the same rows and sum after any compactions (seed %i)',
  (seed) => {
    const random = seededRandom(seed)
    const history: LogEntry[] = []
    let stored: readonly LogEntry[] = history
    for (let round = 0; round < 3; round++) {
      for (const entry of randomEntries(random, history.length)) {
        history.push(entry)
        stored = stored === history ? history : [...stored, entry]
      }
      const upTo = random.between(1, history.length)
      stored = move(stored, upTo)
      if (random.chance(0.7)) stored = clear(stored, upTo)
    }
    const targets = Math.max(0, ...stored.map((entry) => ('target' in entry ? entry.target : 0)))
    const cleared = Math.max(0, ...stored.filter(({ kind }) => kind === 'clear').map(({ opId }) => opId))
    for (let checkpoint = Math.max(targets, cleared); checkpoint <= history.length; checkpoint++) {
      const expected = follow(NOBODY, history, 0, checkpoint)
      for (let position = 0; position <= checkpoint; position++) {
        const before = follow(NOBODY, history, 0, position)
        expect(follow(before, stored, position, checkpoint), `from ${position} to ${checkpoint}`).toEqual(expected)
      }
    }
  },
)

function move(entries: readonly LogEntry[], upTo: number): LogEntry[] {
  const targets = findSuperseding(entries, new NewestOfRows(1_000_000), upTo)
  return entries.map((entry, n) => {
    const { opId, checksum } = entry
    const target = targets[n] ?? NO_TARGET
    return target === NO_TARGET ? entry : { kind: 'move', opId, checksum, target }
  })
}

function clear(entries: readonly LogEntry[], upTo: number): LogEntry[] {
  const cleared: Cleared = extendCleared(NOTHING_CLEARED, entries, upTo)
  if (!isWorthClearing(cleared)) return [...entries]
  const { opId, checksum, target } = cleared
  return [{ kind: 'clear', opId, checksum, target }, ...entries.slice(cleared.count)]
}

function sumOf(entries: readonly LogEntry[]): number {
  return entries.reduce((sum, { checksum }) => (sum + checksum) >>> 0, 0)
}

type Client = { readonly rows: ReadonlyMap<string, number>; readonly sum: number }

const NOBODY: Client = { rows: new Map(), sum: 0 }

/** What a client holds that gets the operations from its position to a checkpoint. */
function follow(client: Client, entries: readonly LogEntry[], position: number, checkpoint: number): Client {
  let rows = new Map(client.rows)
  let { sum } = client
  for (const entry of entries) {
    if (entry.opId <= position || entry.opId > checkpoint) continue
    sum = entry.kind === 'clear' ? entry.checksum : (sum + entry.checksum) >>> 0
    if (entry.kind === 'clear') rows = new Map()
    else if (entry.kind === 'put') rows.set(entry.row, entry.opId)
    else if (entry.kind === 'remove') rows.delete(entry.row)
  }
  return { rows, sum }
}

function randomEntries(random: Random, last: number): LogEntry[] {
  return Array.from({ length: random.between(1, 12) }, (_, n) => ({
    kind: random.chance(0.7) ? 'put' : 'remove',
    opId: last + n + 1,
    checksum: random.integer(2 ** 32),
    row: String(random.integer(5)),
  }))
}
