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
    expect(resolution.streams.map(({ name, errors }) => [name, errors])).toEqual([
      ['small', []],
      ['large', [{ subscription: 'default', message }]],
      ['last', []],
    ])
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
    expect(streams[0]?.errors).toMatchObject([{ subscription: 1 }])
    expect(buckets.map(({ reasons }) => reasons.length)).toEqual([2, 2, 2, 2, 2, 1])
  })

  test('a stream that finds too many parameter results is left out with an error', async () => {
    const streams = { good: { query: inList('g') }, bad: { query: inList('b') } }
    const resolution = await resolve(streams, 10, requestOf(claims({ g: 2, b: 21 }), KNOWING), 20)
    expect(resolution.buckets).toHaveLength(2)
    expect(resolution.streams[1]?.errors[0]?.message).toBe('[PSYNC_S2305] Too many parameter results (limit of 20)')
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
