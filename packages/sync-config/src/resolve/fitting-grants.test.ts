import { toBucketName } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, requestOf } from '../testing/builders.ts'
import { shortTurns } from '../testing/turns.ts'
import type { LookupKey, LookupOutputs, Request, Resolution } from '../types.ts'
import { type Evaluated, takeFitting } from './fitting-grants.ts'

const KNOWING = { readsStreamErrors: true }

type Streams = Readonly<Record<string, { readonly query: string; readonly priority?: number }>>

function resolve(streams: Streams, bucketsMax: number, request: Request, resultsMax?: number): Promise<Resolution> {
  const defaults = Object.entries(streams).map(([name, stream]) => [name, { auto_subscribe: true, ...stream }])
  const config = JSON.stringify({ config: { edition: 3 }, streams: Object.fromEntries(defaults) })
  const readLookups = (keys: readonly LookupKey[]): Promise<readonly (readonly LookupOutputs[])[]> =>
    Promise.resolve(keys.map(() => []))
  return loadPlan(planOf(config), { generation: 1, bucketsMax, resultsMax }).resolve(request, readLookups)
}

const inList = (name: string): string => `SELECT id FROM t WHERE a IN auth.parameter('${name}')`

function claims(counts: Readonly<Record<string, number>>): Record<string, string[]> {
  const lists = Object.entries(counts).map(([name, count]) => [
    name,
    Array.from({ length: count }, (_, i) => `${name}${i}`),
  ])
  return Object.fromEntries(lists)
}

describe('above the limit of buckets', () => {
  test('the stream that does not fit is left out with an error, and the others are served', async () => {
    const streams = { small: { query: inList('s') }, large: { query: inList('l') }, last: { query: inList('z') } }
    const resolution = await resolve(streams, 10, requestOf(claims({ s: 3, l: 8, z: 7 }), KNOWING))
    expect(resolution.buckets).toHaveLength(10)
    const message = '[PSYNC_S2305] Too many buckets (limit of 10)'
    expect(resolution.streams.map(({ name, errors, buckets }) => [name, errors, buckets])).toEqual([
      ['small', [], 3],
      ['large', [{ subscription: 'default', message, buckets: 8 }], 0],
      ['last', [], 7],
    ])
    expect(resolution.bucketsMax).toBe(10)
    expect(resolution.exceeded).toEqual(['8 buckets of stream "large" would make 11'])
  })

  test('the more urgent stream is served', async () => {
    const streams = { first: { query: inList('a'), priority: 2 }, second: { query: inList('b'), priority: 1 } }
    const { streams: entries } = await resolve(streams, 10, requestOf(claims({ a: 6, b: 6 }), KNOWING))
    expect(entries.map(({ name, errors }) => [name, errors.length])).toEqual([
      ['first', 1],
      ['second', 0],
    ])
  })

  test('a subscription that was added is left out, those before it stay', async () => {
    const query = "SELECT id FROM t WHERE a IN subscription.parameters() -> 'list'"
    const subscribe = (name: string, count: number) => ({
      stream: 's',
      parameters: { list: Array.from({ length: count }, (_, i) => `${name}${i}`) },
      overridePriority: undefined,
    })
    const subscriptions = [subscribe('a', 6), subscribe('b', 6), subscribe('a', 5)]
    const request = requestOf({}, { ...KNOWING, includeDefaults: false, subscriptions })
    const { buckets, streams } = await resolve({ s: { query } }, 10, request)
    expect(streams).toMatchObject([{ errors: [{ subscription: 1, buckets: 6 }], buckets: 6 }])
    expect(buckets.map(({ reasons }) => reasons.length)).toEqual([2, 2, 2, 2, 2, 1])
  })

  test('a stream that finds too many parameter results is left out with an error', async () => {
    const streams = { good: { query: inList('g') }, bad: { query: inList('b') } }
    const resolution = await resolve(streams, 10, requestOf(claims({ g: 2, b: 21 }), KNOWING), 20)
    expect(resolution.buckets).toHaveLength(2)
    const message = '[PSYNC_S2305] Too many parameter results (limit of 20)'
    expect(resolution.streams[1]?.errors).toEqual([{ subscription: 'default', message }])
    expect(resolution.exceeded).toHaveLength(1)
  })

  test('a client that would not learn of it is refused', async () => {
    const request = requestOf(claims({ s: 3, l: 8 }))
    await expect(
      resolve({ small: { query: inList('s') }, large: { query: inList('l') } }, 10, request),
    ).rejects.toMatchObject({
      code: 'too-many-buckets',
    })
  })
})

describe('the number of buckets of a stream', () => {
  const subscribe = (stream: string, list: readonly string[]) => ({
    stream,
    parameters: { list },
    overridePriority: undefined,
  })
  const inParameter = "a IN subscription.parameters() -> 'list'"
  const ofOwner = 'owner = auth.user_id()'
  const both = { query: `SELECT id FROM t WHERE ${inParameter}` }

  test('counts a bucket once, however many subscriptions and queries of the stream give it', async () => {
    const subscriptions = [subscribe('s', ['x', 'y']), subscribe('s', ['y', 'z']), subscribe('s', ['x', 'z'])]
    const { buckets, streams } = await resolve({ s: both }, 10, requestOf({}, { ...KNOWING, subscriptions }))
    expect([buckets.length, streams.map(({ buckets: count }) => count)]).toEqual([3, [3]])
  })

  test('is of all its queries, without those that give nothing', async () => {
    const streams = {
      s: { query: `SELECT id FROM t WHERE ${inParameter} OR ${ofOwner}` },
      none: { query: inList('n') },
    }
    const subscriptions = [subscribe('s', ['x', 'y'])]
    const request = requestOf({ sub: 'ann' }, { ...KNOWING, subscriptions })
    const { buckets, streams: entries } = await resolve(streams, 10, request)
    expect([buckets.length, entries.map(({ name, buckets: count }) => [name, count])]).toEqual([
      3,
      [
        ['s', 3],
        ['none', 0],
      ],
    ])
  })
})

test('a bucket that several streams give counts in each, in whatever order they fit', async () => {
  const evaluated = (stream: string, priority: number, names: readonly string[]): Evaluated => ({
    stream,
    reason: { kind: 'default', stream: 0 },
    mayBeLeftOut: true,
    grants: [{ priority, buckets: names.map(toBucketName) }],
  })
  const all = [
    evaluated('a', 3, ['1', '2']),
    evaluated('a', 1, ['2', '3']),
    evaluated('b', 2, ['2', '3', '4']),
    evaluated('c', 3, ['5', '6']),
  ]
  const whole = await takeFitting(all, 10, shortTurns())
  expect([...whole.countsByStream]).toEqual([
    ['a', 3],
    ['b', 3],
    ['c', 2],
  ])
  const part = await takeFitting(all, 4, shortTurns())
  expect([...part.countsByStream]).toEqual([
    ['a', 3],
    ['b', 3],
  ])
  expect(part.leftOut).toMatchObject([{ stream: 'c', error: { buckets: 2 } }])
})

test('what may not be left out goes first, and fails when it does not fit alone', async () => {
  const evaluated = (stream: string, mayBeLeftOut: boolean, count: number): Evaluated => ({
    stream,
    reason: { kind: 'default', stream: 0 },
    mayBeLeftOut,
    grants: [{ priority: 3, buckets: Array.from({ length: count }, (_, i) => toBucketName(`${stream}${i}`)) }],
  })
  const [stream, definition] = [evaluated('stream', true, 6), evaluated('definition', false, 6)]
  const fitting = await takeFitting([stream, definition], 10, shortTurns())
  expect(fitting.buckets.map(({ bucket }) => bucket)).toEqual(definition.grants.flatMap(({ buckets }) => buckets))
  expect(fitting.leftOut).toMatchObject([{ stream: 'stream' }])
  await expect(takeFitting([evaluated('definition', false, 11)], 10, shortTurns())).rejects.toMatchObject({
    code: 'too-many-buckets',
  })
})
