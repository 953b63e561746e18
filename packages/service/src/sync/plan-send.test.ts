import {
  type BucketEntry,
  type BucketName,
  type StreamEntry,
  toBucketName,
  toChecksum,
  toOpId,
} from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { type Announced, planSend, type SendPlan, type Update } from './plan-send.ts'
import { shortTurn } from './turns.test-parts.ts'

const LIMITS = { buckets: 1, bucketsMax: 10 }

describe('the first time', () => {
  test('everything is announced in a checkpoint line and everything is fetched, most urgent first', async () => {
    const entries = [
      entry('files', { priority: 3 }),
      entry('inbox', { priority: 1 }),
      entry('archive', { priority: 3 }),
    ]
    const planned = await plan(nothingAnnounced(), all(7, entries))
    expect(planned?.line).toEqual({
      kind: 'checkpoint',
      checkpoint: { lastOpId: 7n, writeCheckpoint: undefined, buckets: entries, streams: [], limits: LIMITS },
    })
    expect(planned?.groups).toEqual([
      { priority: 1, buckets: ['inbox'] },
      { priority: 3, buckets: ['files', 'archive'] },
    ])
  })

  test('[protocol 45] a client without buckets gets an empty checkpoint', async () => {
    expect(await plan(nothingAnnounced(), all(7, []))).toMatchObject({ line: { kind: 'checkpoint' }, groups: [] })
  })
})

describe('later', () => {
  test('[protocol 40] nothing is sent when sums, counts, buckets and write checkpoint are as announced', async () => {
    const announced = wasAnnounced([entry('a')])
    expect(await plan(announced, all(9, [entry('a')]))).toBeUndefined()
    expect(await plan(announced, touched(9, [{ ...total('a') }]))).toBeUndefined()
  })

  test('[protocol 42] a bucket whose sum or count changed is announced and fetched, others are not', async () => {
    const announced = wasAnnounced([entry('a'), entry('b', { priority: 1 })])
    const planned = await plan(announced, touched(9, [total('a'), total('b', 5, 2)]))
    expect(planned?.line).toMatchObject({
      kind: 'checkpoint-diff',
      diff: { lastOpId: 9n, updatedBuckets: [{ bucket: 'b', checksum: 5, count: 2, priority: 1 }], removedBuckets: [] },
    })
    expect(planned?.groups).toEqual([{ priority: 1, buckets: ['b'] }])
  })

  test('a bucket that appears is fetched and one that is gone is removed', async () => {
    const planned = await plan(wasAnnounced([entry('old'), entry('kept')]), all(9, [entry('kept'), entry('new')]))
    expect(planned).toMatchObject({ updated: [entry('new')], removed: ['old'], groups: [{ buckets: ['new'] }] })
  })

  test('[protocol 41] a write checkpoint alone is worth a line, with nothing to fetch', async () => {
    const planned = await plan(wasAnnounced([entry('a')]), { ...touched(9, []), writeCheckpoint: 4n })
    expect(planned?.line).toEqual({
      kind: 'checkpoint-diff',
      diff: { lastOpId: 9n, writeCheckpoint: 4n, updatedBuckets: [], removedBuckets: [] },
    })
    expect(planned?.groups).toEqual([])
  })

  test('a bucket that gets another reason or priority is announced again', async () => {
    const planned = await plan(wasAnnounced([entry('a')]), all(9, [entry('a', { priority: 0 })]))
    expect(planned?.updated).toEqual([entry('a', { priority: 0 })])
  })

  test('streams that changed need a whole checkpoint line, but what the client has is not fetched again', async () => {
    const streams = [{ name: 's', isDefault: true, errors: [{ subscription: 'default', message: 'no' }] }] as const
    const update: Update = {
      checkpoint: toOpId(9n),
      writeCheckpoint: undefined,
      change: { kind: 'all', entries: [entry('a')], streams, limits: LIMITS },
    }
    expect(await plan(wasAnnounced([entry('a')]), update)).toMatchObject({
      line: { kind: 'checkpoint', checkpoint: { streams, limits: LIMITS } },
      groups: [],
    })
  })

  test('figures that changed are not worth a line, and are not in the diff that other news needs', async () => {
    const streamOf = (buckets: number): StreamEntry => ({
      name: 's',
      isDefault: true,
      errors: [{ subscription: 0, message: 'no', buckets: 10 - buckets }],
      buckets,
    })
    const announced = { ...wasAnnounced([entry('a')]), streams: [streamOf(1)] }
    const updateWith = (entries: readonly BucketEntry[]): Update => ({
      checkpoint: toOpId(9n),
      writeCheckpoint: undefined,
      change: { kind: 'all', entries, streams: [streamOf(2)], limits: LIMITS },
    })
    expect(await plan(announced, updateWith([entry('a')]))).toBeUndefined()
    const planned = await plan(announced, updateWith([entry('a'), entry('b')]))
    expect(planned?.line).toEqual({
      kind: 'checkpoint-diff',
      diff: { lastOpId: 9n, writeCheckpoint: undefined, updatedBuckets: [entry('b')], removedBuckets: [] },
    })
  })
})

describe('when a download was interrupted', () => {
  test('[protocol 48] unfinished buckets are fetched on with what is new, in the order of urgency', async () => {
    const announced = {
      ...wasAnnounced([entry('log'), entry('me', { priority: 1 })]),
      unfinished: new Set([name('log')]),
    }
    expect((await plan(announced, touched(9, [total('me', 5, 2)])))?.groups).toEqual([
      { priority: 1, buckets: ['me'] },
      { priority: 3, buckets: ['log'] },
    ])
  })

  test('what was begun goes on before what others of its priority have new', async () => {
    const announced = { ...wasAnnounced([entry('a'), entry('log')]), unfinished: new Set([name('log')]) }
    const planned = await plan(announced, touched(9, [total('a', 5, 2), total('log', 6, 2)]))
    expect(planned?.groups).toEqual([{ priority: 3, buckets: ['log', 'a'] }])
  })

  test('an unfinished bucket that is gone is not fetched', async () => {
    const announced = { ...wasAnnounced([entry('log'), entry('me')]), unfinished: new Set([name('log')]) }
    expect(await plan(announced, all(9, [entry('me')]))).toMatchObject({ removed: ['log'], groups: [] })
  })

  test('a checkpoint that cannot be completed is followed by another although no sum changed', async () => {
    const announced = { ...wasAnnounced([entry('a')]), unfinished: new Set([name('a')]), isSuperseded: true }
    expect(await plan(announced, all(9, [entry('a')]))).toMatchObject({
      line: { kind: 'checkpoint-diff' },
      groups: [{ buckets: ['a'] }],
    })
  })
})

function plan(announced: Announced, update: Update): Promise<SendPlan | undefined> {
  return planSend(announced, update, shortTurn())
}

function name(text: string): BucketName {
  return toBucketName(text)
}

function entry(bucket: string, parts: Partial<BucketEntry> = {}): BucketEntry {
  return { ...total(bucket), priority: 3, subscriptions: [{ kind: 'default', stream: 0 }], ...parts }
}

function total(bucket: string, checksum = 1, count = 1) {
  return { bucket: name(bucket), checksum: toChecksum(checksum), count }
}

function nothingAnnounced(): Announced {
  return { entries: undefined, streams: [], writeCheckpoint: undefined, unfinished: new Set(), isSuperseded: false }
}

function wasAnnounced(entries: readonly BucketEntry[]): Announced {
  return { ...nothingAnnounced(), entries: new Map(entries.map((one) => [one.bucket, one])) }
}

function all(checkpoint: number, entries: readonly BucketEntry[]): Update {
  return {
    checkpoint: toOpId(BigInt(checkpoint)),
    writeCheckpoint: undefined,
    change: { kind: 'all', entries, streams: [], limits: LIMITS },
  }
}

function touched(checkpoint: number, sums: ReturnType<typeof total>[]): Update {
  return { checkpoint: toOpId(BigInt(checkpoint)), writeCheckpoint: undefined, change: { kind: 'touched', sums } }
}
