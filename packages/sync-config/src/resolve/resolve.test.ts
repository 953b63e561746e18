import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, requestOf, sourceTable, streamsConfig } from '../testing/builders.ts'
import type { LoadedPlan, LookupKey, LookupOutputs, Request, Resolution, TextRow } from '../types.ts'

type Rows = { readonly [table: string]: { readonly columns: string; readonly rows: readonly TextRow[] } }

type Resolved = Resolution & { readonly calls: readonly (readonly LookupKey[])[] }

async function resolve(plan: LoadedPlan, request: Request, tables: Rows = {}): Promise<Resolved> {
  const entries = new Map<LookupKey, LookupOutputs[]>()
  for (const [name, { columns, rows }] of Object.entries(tables)) {
    for (const row of rows) {
      for (const { key, outputs } of plan.forTable(sourceTable(name, columns))?.evaluate(row).lookups ?? []) {
        entries.set(key, [...(entries.get(key) ?? []), outputs])
      }
    }
  }
  const calls: (readonly LookupKey[])[] = []
  const resolution = await plan.resolve(request, (keys) => {
    calls.push(keys)
    return Promise.resolve(keys.map((key) => entries.get(key) ?? []))
  })
  return { ...resolution, calls }
}

function load(config: string, bucketsMax = 1000): LoadedPlan {
  return loadPlan(planOf(config), { generation: 1, bucketsMax })
}

/** Parameters of the buckets, without their prefixes. */
function parametersOf({ buckets }: Resolution): readonly string[] {
  return buckets.map(({ bucket }) => bucket.slice(bucket.indexOf('['))).toSorted()
}

const MEMBERS = 'SELECT id FROM notes WHERE list IN (SELECT list FROM members WHERE person = auth.user_id())'

test('buckets carry every reason that leads to them, and streams are listed once in the order of the file', async () => {
  const config = JSON.stringify({
    config: { edition: 3 },
    streams: {
      later: { query: "SELECT id FROM t WHERE a = subscription.parameter('a')" },
      first: { auto_subscribe: true, query: 'SELECT id FROM t WHERE a = auth.user_id()', priority: 1 },
      unused: { query: 'SELECT id FROM u' },
    },
  })
  const subscriptions = [
    { stream: 'later', parameters: { a: 'ann' }, overridePriority: undefined },
    { stream: 'nobody', parameters: {}, overridePriority: undefined },
    { stream: 'first', parameters: {}, overridePriority: 0 },
    { stream: 'later', parameters: { a: 'x' }, overridePriority: 2 },
  ]
  const { buckets, streams } = await resolve(load(config), requestOf({ sub: 'ann' }, { subscriptions }))
  expect(streams).toEqual([
    { name: 'later', isDefault: false, errors: [], buckets: 2 },
    { name: 'first', isDefault: true, errors: [], buckets: 1 },
  ])
  expect(buckets.map(({ priority, reasons }) => ({ priority, reasons }))).toEqual([
    {
      priority: 0,
      reasons: [
        { kind: 'subscription', subscription: 0 },
        { kind: 'default', stream: 1 },
        { kind: 'subscription', subscription: 2 },
      ],
    },
    { priority: 2, reasons: [{ kind: 'subscription', subscription: 3 }] },
  ])
})

test('without defaults only what is subscribed is evaluated', async () => {
  const plan = load(streamsConfig({ s: 'SELECT id FROM t' }))
  const { buckets, streams } = await resolve(plan, requestOf({}, { includeDefaults: false }))
  expect([buckets, streams]).toEqual([[], []])
})

test('every lookup key that was read is reported, also one that found nothing, and is read once', async () => {
  const plan = load(
    streamsConfig({
      notes: MEMBERS,
      tasks: 'SELECT id FROM tasks WHERE list IN (SELECT list FROM members WHERE person = auth.user_id())',
      deep: 'SELECT id FROM x WHERE y IN (SELECT y FROM z WHERE list IN (SELECT list FROM members WHERE person = auth.user_id()))',
    }),
  )
  const nobody = await resolve(plan, requestOf({ sub: 'eve' }))
  expect(nobody.buckets).toEqual([])
  expect(nobody.lookupKeys).toHaveLength(1)
  const members = {
    columns: 'id, person, list',
    rows: [
      ['1', 'ann', 'l1'],
      ['2', 'ann', 'l2'],
      ['3', 'ann', 'l2'],
    ],
  }
  const ann = await resolve(plan, requestOf({ sub: 'ann' }), { members })
  expect(ann.lookupKeys).toHaveLength(3)
  expect(ann.calls.map((keys) => keys.length)).toEqual([1, 2])
  expect(parametersOf(ann)).toEqual(['["l1"]', '["l1"]', '["l2"]', '["l2"]'])
})

test('a request that is refused by its own data reads nothing', async () => {
  const plan = load(streamsConfig({ s: `${MEMBERS} AND auth.parameter('role') = 'clerk'` }))
  const { lookupKeys, buckets } = await resolve(plan, requestOf({ sub: 'ann', role: 'chef' }))
  expect([lookupKeys, buckets]).toEqual([[], []])
})

test('values found in one row stay together', async () => {
  const plan = load(
    streamsConfig({
      stock: `SELECT id FROM stock WHERE country IN (SELECT country FROM grants
        WHERE grants.brand = stock.brand AND person = auth.user_id())`,
    }),
  )
  const grants = {
    columns: 'id, person, country, brand',
    rows: [
      ['1', 'ann', 'nl', 'ax'],
      ['2', 'ann', 'be', 'bo'],
    ],
  }
  expect(parametersOf(await resolve(plan, requestOf({ sub: 'ann' }), { grants }))).toEqual([
    '["ax","nl"]',
    '["bo","be"]',
  ])
})

test('two tables for one column grant what both have', async () => {
  const plan = load(
    streamsConfig({
      s: `SELECT id FROM notes WHERE list IN (SELECT list FROM a WHERE person = auth.user_id())
        AND list IN (SELECT list FROM b WHERE person = auth.user_id())`,
    }),
  )
  const a = {
    columns: 'id, person, list',
    rows: [
      ['1', 'ann', 'x'],
      ['2', 'ann', 'y'],
    ],
  }
  const b = {
    columns: 'id, person, list',
    rows: [
      ['1', 'ann', 'y'],
      ['2', 'ann', 'z'],
    ],
  }
  expect(parametersOf(await resolve(plan, requestOf({ sub: 'ann' }), { a, b }))).toEqual(['["y"]'])
})

test('an intersection of large sets is not multiplied out', async () => {
  const plan = load(
    streamsConfig({
      s: `SELECT id FROM notes WHERE list IN (SELECT list FROM a WHERE person = auth.user_id())
        AND list IN (SELECT list FROM b WHERE person = auth.user_id())`,
    }),
    2000,
  )
  const many = { columns: 'id, person, list', rows: Array.from({ length: 2000 }, (_, i) => [`${i}`, 'ann', `l${i}`]) }
  expect(parametersOf(await resolve(plan, requestOf({ sub: 'ann' }), { a: many, b: many }))).toHaveLength(2000)
})

test('more buckets than the limit are refused with the number each stream gives', async () => {
  const plan = load(streamsConfig({ notes: MEMBERS, more: 'SELECT id FROM t' }), 3)
  const rows = (count: number): Rows => ({
    members: { columns: 'id, person, list', rows: Array.from({ length: count }, (_, i) => [`${i}`, 'ann', `l${i}`]) },
  })
  await expect(resolve(plan, requestOf({ sub: 'ann' }), rows(2))).resolves.toMatchObject({ buckets: { length: 3 } })
  await expect(resolve(plan, requestOf({ sub: 'ann' }), rows(3))).rejects.toMatchObject({
    code: 'too-many-buckets',
    message: 'Cannot sync: expected at most 3 buckets for one client, got 4: 3 from "notes", 1 from "more"',
  })
  await expect(resolve(plan, requestOf({ sub: 'ann' }), rows(12))).rejects.toMatchObject({
    code: 'too-many-buckets',
    message: 'Cannot sync: expected at most 3 buckets for one client, got 13: 12 from "notes", 1 from "more"',
  })
  await expect(resolve(plan, requestOf({ sub: 'ann' }), rows(13))).rejects.toMatchObject({
    code: 'too-many-buckets',
    message: expect.stringContaining('Cannot sync stream "notes"'),
  })
})

test('repeated parameter results count once', async () => {
  const rows = Array.from({ length: 50 }, (_, i) => [`${i}`, 'ann', 'l1'])
  const members = { columns: 'id, person, list', rows }
  expect(
    parametersOf(await resolve(load(streamsConfig({ notes: MEMBERS }), 1), requestOf({ sub: 'ann' }), { members })),
  ).toEqual(['["l1"]'])
})

test('a bucket definition has a bucket for NULL found in a table, in which no row is; a stream has none', async () => {
  const members = { columns: 'id, person, list', rows: [['1', 'ann', null]] }
  const definition = load(`bucket_definitions:
  notes:
    parameters: SELECT list FROM members WHERE person = request.user_id()
    data: [SELECT id FROM notes WHERE list = bucket.list]
`)
  expect(parametersOf(await resolve(definition, requestOf({ sub: 'ann' }), { members }))).toEqual(['[null]'])
  expect(definition.forTable(sourceTable('notes', 'id, list'))?.evaluate(['1', null]).objects).toEqual([])
  const stream = load(streamsConfig({ notes: MEMBERS }))
  expect(parametersOf(await resolve(stream, requestOf({ sub: 'ann' }), { members }))).toEqual([])
})

test('storage that cannot be read fails the request', async () => {
  const plan = load(streamsConfig({ notes: MEMBERS }))
  await expect(plan.resolve(requestOf({ sub: 'ann' }), () => Promise.reject(new Error('disk')))).rejects.toThrow('disk')
})

test.each([
  ["auth.parameter('$.org.id')", { org: { id: 'x' } }, ['["x"]']],
  ["auth.parameter('$.list.1')", { list: ['a', 'x'] }, ['["x"]']],
  ["auth.parameter('a.b')", { 'a.b': 'x' }, ['["x"]']],
  ["auth.parameter('$.a.b')", { a: 'text' }, []],
  ["auth.parameter('constructor')", {}, []],
  ["auth.parameter('$.list.length')", { list: [1] }, []],
  ["auth.parameters() ->> 'n'", { n: 5 }, ['[5]']],
  ["auth.parameters() -> 'a' ->> 'b'", { a: { b: 1.5 } }, ['[1.5]']],
  ["auth.parameter('o')", { o: { n: 5, l: [1, true, null] } }, ['["{\\"n\\":5.0,\\"l\\":[1.0,true,null]}"]']],
  ["auth.parameter('t')", { t: false }, ['[0]']],
  ["auth.parameter('n')", { n: null }, []],
])('%s of %j is %j', async (expression, claims, parameters) => {
  const plan = load(streamsConfig({ s: `SELECT id FROM t WHERE a = ${expression}` }))
  expect(parametersOf(await resolve(plan, requestOf(claims)))).toEqual(parameters)
})

test('a plan that was stored as text is the same plan, and a changed one is refused', () => {
  const plan = planOf(streamsConfig({ s: MEMBERS }))
  const options = { generation: 1, bucketsMax: 1 }
  expect(loadPlan(JSON.parse(JSON.stringify(plan)), options).hash).toBe(plan.hash)
  expect(() => loadPlan({ ...plan, body: { ...plan.body, streams: [] } }, options)).toThrow(
    expect.objectContaining({ code: 'bad-plan' }),
  )
})

describe('many subscriptions of one request', () => {
  const subscribe = (count: number, parameters: Request['parameters'] = {}): Request['subscriptions'] =>
    Array.from({ length: count }, () => ({ stream: 's', parameters, overridePriority: undefined }))
  const listOf = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `member ${index}`)
  const withQuery = (query: string, bucketsMax?: number): LoadedPlan =>
    load(JSON.stringify({ config: { edition: 3 }, streams: { s: { query } } }), bucketsMax)

  test('may lead to one bucket, which then has a reason for each', async () => {
    const plan = withQuery('SELECT id FROM t WHERE a = auth.user_id()')
    const { buckets } = await resolve(plan, requestOf({ sub: 'ann' }, { subscriptions: subscribe(10_000) }))
    expect(buckets.map(({ reasons }) => reasons.length)).toEqual([10_000])
  })

  test.each([
    "SELECT id FROM t WHERE a = subscription.parameter('a')",
    "SELECT id FROM t WHERE b AND subscription.parameter('a') = 'x'",
    "SELECT id FROM t WHERE a IN subscription.parameters() -> 'list'",
    "SELECT id FROM t WHERE subscription.parameter('a') IN auth.parameter('list')",
    "SELECT id FROM t WHERE a IN (SELECT list FROM members WHERE person = subscription.parameter('a'))",
    "SELECT id FROM t WHERE a IN (SELECT list FROM members WHERE id = subscription.parameter('a') AND person = 'x')",
    "SELECT id FROM t WHERE a IN (SELECT list FROM members WHERE id IN subscription.parameters() -> 'list')",
  ])('get together what each gets alone: %s', async (query) => {
    const plan = withQuery(query)
    const members = {
      columns: 'id, person, list',
      rows: [
        ['1', 'x', 'l1'],
        ['2', 'y', 'l2'],
        ['x', 'x', 'l3'],
      ],
    }
    const both = [...subscribe(1, { a: 'x', list: ['1', '2'] }), ...subscribe(1, { a: 'y', list: ['x'] })]
    const grantsOf = async (subscriptions: Request['subscriptions']) =>
      (await resolve(plan, requestOf({ list: ['x'] }, { subscriptions }), { members })).buckets
    const alone = await Promise.all(both.map((subscription) => grantsOf([subscription])))
    const together = await grantsOf(both)
    const found = alone.map((buckets) => buckets.map(({ bucket }) => bucket))
    expect(found[0]).not.toEqual(found[1])
    expect(
      both.map((_, index) =>
        together
          .filter(({ reasons }) => reasons.some((reason) => 'subscription' in reason && reason.subscription === index))
          .map(({ bucket }) => bucket),
      ),
    ).toEqual(found)
  })

  test('are refused above a limit', async () => {
    const plan = withQuery('SELECT id FROM t WHERE a = auth.user_id()')
    await expect(resolve(plan, requestOf({}, { subscriptions: subscribe(10_001) }))).rejects.toMatchObject({
      code: 'too-many-buckets',
      message: 'Cannot sync: expected at most 10000 subscriptions of one client, got 10001',
    })
  })

  test('are refused where what they find is too much in all', async () => {
    const plan = withQuery("SELECT id FROM t WHERE a IN auth.parameter('list')")
    const request = (count: number): Request => requestOf({ list: listOf(900) }, { subscriptions: subscribe(count) })
    const { buckets } = await resolve(plan, request(400))
    expect(buckets).toHaveLength(900)
    await expect(resolve(plan, request(600))).rejects.toMatchObject({
      code: 'too-many-buckets',
      message:
        'Cannot sync: with stream "s" this client needs more than 500000 parameter results in all: subscribe to less, or pass shorter parameters',
    })
  })

  test('read an array of the claims once where it is the same for each', async () => {
    const claims = { list: listOf(2000) }
    const alike = withQuery("SELECT id FROM t WHERE auth.parameter('list') IN ARRAY['x', 'y']")
    await resolve(alike, requestOf(claims, { subscriptions: subscribe(1000) }))
    const chosen = withQuery("SELECT id FROM t WHERE subscription.parameter('a') IN auth.parameter('list')")
    const { buckets } = await resolve(chosen, requestOf(claims, { subscriptions: subscribe(1000, { a: 'member 7' }) }))
    expect(buckets.map(({ reasons }) => reasons.length)).toEqual([1000])
  })

  test('are refused where each reads long parameters', async () => {
    const plan = withQuery(
      "SELECT id FROM t WHERE a = subscription.parameter('a') AND json_array_length(auth.parameter('list')) > 0",
    )
    await expect(
      resolve(plan, requestOf({ list: listOf(2000) }, { subscriptions: subscribe(1000, { a: 'b' }) })),
    ).rejects.toMatchObject({
      code: 'too-many-buckets',
      message: expect.stringContaining('more than 8388608 characters of its claims and parameters'),
    })
  })
})
