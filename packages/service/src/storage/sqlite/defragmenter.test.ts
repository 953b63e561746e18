import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { DEFRAGMENTATION_LIMITS } from '../defragment.ts'
import type { DeltaOperation } from '../delta.ts'
import { bucket, put, remove } from '../example-data.contract.ts'
import { BucketTable } from './bucket-table.ts'
import { ChunkWriter } from './chunk-table.ts'
import { Defragmenter } from './defragmenter.ts'
import { encodeRuns } from './encode-operations.ts'
import { readEntries } from './log-entries.ts'
import { readRun, RunBuilder } from './run.ts'
import { migrate } from './schema.ts'
import { Tail } from './tail.ts'

const SOLE_SOURCES = new Set(['5:'])

/** A bucket with rows in a chunk, from op id 1, and a defragmenter that has found all of them to be its front. */
function openBucket(ids: readonly string[]) {
  const database = new DatabaseSync(':memory:')
  onTestFinished(() => database.close())
  migrate(database)
  const buckets = new BucketTable(database)
  const chunks = new ChunkWriter(database)
  chunks.load()
  const tail = new Tail(database, (id) => buckets.packedTotals(id))
  const id = buckets.idOf(bucket('a'))
  let lastOp = 0
  const encode = (operations: readonly DeltaOperation[]): Uint8Array => {
    const opIds = operations.map(() => (lastOp += 1))
    const [run = new Uint8Array()] = encodeRuns(new RunBuilder(), id, { operations: [...operations], opIds })
    return run.slice()
  }
  const packed = readRun(encode(ids.map((row) => put('a', row))), 0)
  buckets.writePackedTotals(id, chunks.append(id, buckets.packedTotals(id), [packed]))
  const finished: number[] = []
  const defragmenter = new Defragmenter({
    chunks,
    buckets,
    tail,
    limits: DEFRAGMENTATION_LIMITS,
    monotonicMs: () => 0,
    onFinished: (one) => finished.push(one),
    onRunEnded: () => {},
  })
  const rows = readEntries(packed).flatMap((entry) =>
    entry.kind === 'put' ? [{ row: entry.row, opId: entry.opId, bytes: 300 }] : [],
  )
  return {
    id,
    defragmenter,
    finished,
    store: (operations: readonly DeltaOperation[]) => {
      const run = encode(operations)
      defragmenter.noteStored(id, run)
      tail.append(run)
    },
    plan: () => defragmenter.plan(id, { rows, bytes: 300 * rows.length, dead: 1_000 }, ids.length),
    /** Rows that the next append takes along. */
    append: () => {
      const { operations } = defragmenter.append(lastOp, SOLE_SOURCES)
      lastOp += operations
      const segment = operations === 0 ? undefined : tail.segmentsOf(id).at(-1)
      const entries = segment === undefined ? [] : readEntries(tail.readSegment(segment))
      return entries.map((entry) => ('row' in entry ? /"5:(.*)$/.exec(entry.row)?.[1] : undefined))
    },
  }
}

test('nothing is put once more before everything was looked at that was stored when it was planned', () => {
  const { plan, store, append } = openBucket(['stays', 'is removed', 'is changed'])
  store([put('a', 'another')])
  store([remove('a', 'is removed')])
  const steps = plan()
  expect(steps.next().done).toBe(false)
  expect(append()).toEqual([])
  store([put('a', 'is changed')])
  expect(append()).toEqual([])
  while (steps.next().done !== true) expect(append()).toEqual([])
  expect(append()).toEqual(['stays'])
})

test('a plan that is given up before that is forgotten', () => {
  const { plan, store, append } = openBucket(['stays'])
  store([put('a', 'another')])
  const steps = plan()
  steps.next()
  steps.return()
  expect(append()).toEqual([])
})

test('a bucket is compacted when it is packed and may be compacted up to what was put once more', () => {
  const { id, defragmenter, finished, plan, store, append } = openBucket(['old'])
  store([put('a', 'another')])
  for (const _ of plan()) expect(defragmenter.needOf(id, 10)).toBeUndefined()
  expect(append()).toEqual(['old'])
  defragmenter.beforeCommit()
  expect(finished).toEqual([])
  expect(defragmenter.noteCommitted()).toBe(true)
  expect(finished).toEqual([id])
  expect(defragmenter.needOf(id, 2)).toBe('blocked')
  // It is not packed.
  expect(defragmenter.needOf(id, 3)).toBe('blocked')
})
