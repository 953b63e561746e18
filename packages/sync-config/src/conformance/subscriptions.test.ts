import type { BucketReason, JsonObject } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { loadPlan } from '../load.ts'
import { planOf, requestOf, streamsConfig } from '../testing/builders.ts'
import { MemoryStorage } from '../testing/memory-storage.ts'
import { checkExample, type ExampleRequest, exampleTable, storageOf, toRequest } from '../testing/worked-example.ts'
import type { Request } from '../types.ts'

const T = exampleTable('t', 'id, k', '1 | a', '2 | b')
const A = ['t/1 {"id":"1"}']
const B = ['t/2 {"id":"2"}']
const BY_K = "SELECT id FROM t WHERE k = subscription.parameter('k')"

function streams(entries: { readonly [name: string]: JsonObject }, edition = 3): string {
  return JSON.stringify({ config: { edition }, streams: entries })
}

type Subscribed = readonly [stream: string, parameters?: JsonObject, priority?: number]

function subscribe(...list: readonly Subscribed[]): NonNullable<ExampleRequest['subscriptions']> {
  return list.map(([stream, parameters, priority]) => ({
    stream,
    parameters: parameters ?? {},
    ...(priority === undefined ? {} : { priority }),
  }))
}

test('[126] a stream that is not subscribed by itself gives nothing until somebody does; unknown ones are passed over', () =>
  checkExample({
    config: streams({ all: { query: 'SELECT id FROM t' } }),
    tables: [T],
    buckets: { all: [...A, ...B] },
    requests: [
      { claims: {}, gets: [] },
      { claims: {}, subscriptions: subscribe(['other']), gets: [] },
      { claims: {}, subscriptions: subscribe(['all']), gets: ['all'] },
      { claims: {}, includeDefaults: false, subscriptions: subscribe(['all'], ['other']), gets: ['all'] },
    ],
  }))

test('[127] a request without defaults gets what it subscribes to, and no bucket definition', () =>
  checkExample({
    config: JSON.stringify({
      config: { edition: 2 },
      bucket_definitions: { d: { data: ['SELECT id FROM d'] } },
      streams: { s: { auto_subscribe: true, query: 'SELECT id FROM t' } },
    }),
    tables: [T, exampleTable('d', 'id', '9')],
    buckets: { d: ['d/9 {"id":"9"}'], s: [...A, ...B] },
    requests: [
      { claims: {}, gets: ['d', 's'] },
      { claims: {}, includeDefaults: false, gets: [] },
      { claims: {}, includeDefaults: false, subscriptions: subscribe(['s']), gets: ['s'] },
    ],
  }))

test('[128] each subscription of a stream counts by itself; equal buckets are merged', () =>
  checkExample({
    config: streams({ s: { auto_subscribe: true, query: BY_K } }),
    tables: [T],
    buckets: { a: A, b: B },
    requests: [
      { claims: {}, gets: [] },
      {
        claims: {},
        subscriptions: subscribe(['s', { k: 'a' }], ['s', { k: 'b' }], ['s', { k: 'a' }]),
        gets: ['a', 'b'],
      },
      { claims: {}, subscriptions: subscribe(['s', {}], ['s', { k: null }], ['s', { K: 'a' }]), gets: [] },
    ],
  }))

test('[129] a bucket has the smallest priority of all ways to it, and all of them as reasons', async () => {
  const config = streams({
    urgent: { auto_subscribe: true, priority: 1, query: "SELECT id FROM t WHERE k = auth.parameter('k')" },
    plain: { query: BY_K },
  })
  const ask = async (...list: readonly Subscribed[]): Promise<readonly unknown[]> => {
    const request = toRequest({ claims: { k: 'a' }, subscriptions: subscribe(...list) })
    const { buckets } = await storageOf(config, [T]).resolve(request)
    return buckets.map(({ priority, reasons }) => [priority, ...reasons.map(describeReason).toSorted()])
  }
  expect(await ask()).toEqual([[1, 'default']])
  expect(await ask(['plain', { k: 'a' }], ['plain', { k: 'a' }, 2])).toEqual([
    [1, 'default', 'subscription 0', 'subscription 1'],
  ])
  expect(await ask(['plain', { k: 'a' }, 0], ['urgent', {}, 3])).toEqual([
    [0, 'default', 'subscription 0', 'subscription 1'],
  ])
  expect(await ask(['plain', { k: 'b' }, 2])).toEqual(
    expect.arrayContaining([
      [1, 'default'],
      [2, 'subscription 0'],
    ]),
  )
})

function describeReason(reason: BucketReason): string {
  return reason.kind === 'default' ? 'default' : `subscription ${reason.subscription}`
}

test('[130] in edition 2 streams have priority 3, whatever they say, unless a subscription says otherwise', () =>
  checkExample({
    config: streams({ s: { auto_subscribe: true, priority: 0, query: 'SELECT id FROM t' } }, 2),
    tables: [T],
    buckets: { all: [...A, ...B] },
    requests: [
      { claims: {}, gets: ['all (priority 3)'] },
      { claims: {}, subscriptions: subscribe(['s', {}, 1]), gets: ['all (priority 1)'] },
    ],
  }))

test('[131] a stream that fails is told by its name, with nothing of the data; the others go on', async () => {
  const config = streamsConfig({
    good: 'SELECT id FROM t',
    bad: "SELECT id FROM t AS u WHERE k IN auth.parameter('list')",
    late: "SELECT id FROM t AS v WHERE auth.parameter('path') IN (SELECT k FROM t) AND k = json_extract(auth.parameters(), auth.parameter('path'))",
  })
  const storage = storageOf(config, [T])
  const { buckets, streams: entries } = await storage.resolve(requestOf({ list: '[no json', path: 'a' }))
  expect(storage.objectsIn(buckets.map(({ bucket }) => bucket))).toEqual([...A, ...B])
  expect(
    entries
      .filter(({ errors }) => errors.length > 0)
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(['bad', 'late'])
  expect(entries.map(({ name }) => name)).toContain('good')
  for (const { errors } of entries) for (const { message } of errors) expect(message).not.toBe('')
})

describe('[132] more buckets than allowed', () => {
  const CONFIG = streamsConfig({
    many: "SELECT id FROM t WHERE k IN auth.parameter('list')",
    few: "SELECT id FROM u WHERE k IN auth.parameter('other')",
  })
  const resolve = (many: number, few: number, bucketsMax: number, more: Partial<Request> = {}): Promise<unknown> => {
    const listOf = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `k${index}`)
    const storage = new MemoryStorage(loadPlan(planOf(CONFIG), { generation: 1, bucketsMax }))
    return storage.resolve(requestOf({ sub: 'ann', list: listOf(many), other: listOf(few) }, more))
  }

  test('[132] end the request with an error that counts them by definition', async () => {
    await expect(resolve(6, 4, 10)).resolves.toBeDefined()
    await expect(resolve(8, 4, 10)).rejects.toMatchObject({
      code: 'too-many-buckets',
      message: expect.stringMatching(/10.*12.*8.*many.*4.*few/s) as unknown,
    })
  })

  test('[132] of one definition end it with an error that names the definition', async () => {
    await expect(resolve(12, 1, 10)).rejects.toMatchObject({
      code: 'too-many-buckets',
      message: expect.stringMatching(/many.*10|10.*many/s) as unknown,
    })
  })

  test('[132] are counted after equal ones were merged', async () => {
    const subscription = { stream: 'few', parameters: {}, overridePriority: undefined }
    const subscriptions = Array.from({ length: 30 }, () => subscription)
    await expect(resolve(1, 1, 2, { subscriptions })).resolves.toBeDefined()
  })
})

test('[126] a stream of a config says whether it is a default', async () => {
  const config = streams({ a: { auto_subscribe: true, query: 'SELECT id FROM t' }, b: { query: 'SELECT id FROM t' } })
  expect(compileSyncConfig(config).kind).toBe('compiled')
  const { streams: entries } = await storageOf(config, [T]).resolve(
    requestOf({}, { subscriptions: [{ stream: 'b', parameters: {}, overridePriority: undefined }] }),
  )
  expect(entries.map(({ name, isDefault }) => [name, isDefault])).toEqual([
    ['a', true],
    ['b', false],
  ])
})
