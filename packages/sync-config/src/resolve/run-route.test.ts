import { describe, expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import type { Expression, PlanRoute, PlanStep, PlanStream, PlanValue } from '../plan.ts'
import {
  bucket,
  call,
  claim,
  column,
  elementOf,
  equal,
  evaluator,
  lookup,
  plan,
  route,
  stream,
  text,
} from '../testing/plan-parts.ts'
import type { LookupId, LookupOutputs, Plan, Request, RequestObject, Resolution } from '../types.ts'

type Entries = { readonly [key: string]: readonly (readonly (string | number | null)[])[] }

async function resolve(
  given: Plan,
  claims: RequestObject,
  entries: Entries = {},
  bucketsMax = 100,
): Promise<Resolution> {
  const request: Request = { claims, parameters: {}, includeDefaults: true, subscriptions: [] }
  return loadPlan(given, { generation: 1, bucketsMax }).resolve(request, (keys) =>
    Promise.resolve(keys.map((key) => (entries[key] ?? []).map((row) => JSON.stringify(row) as LookupOutputs))),
  )
}

/** A plan of one stream; its evaluators matter only for their number of keys, which nothing checks. */
function planOf(routes: readonly PlanRoute[], more: Partial<PlanStream> = {}): Plan {
  const lookups = ['a', 'b', 'c'].map((id) => lookup(id, id, { outputs: [column('x'), column('y')] }))
  return plan({
    evaluators: [evaluator('t')],
    lookups,
    buckets: [bucket('t', [0])],
    streams: [stream('s', routes, more)],
  })
}

function keysOf({ buckets }: Resolution): readonly string[] {
  return buckets.map(({ bucket: name }) => name.slice(name.indexOf('['))).toSorted()
}

function request(expression: Expression): PlanValue {
  return { kind: 'request', expression }
}

function output(step: number, index = 0): PlanValue {
  return { kind: 'output', step, output: index }
}

function reads(id: string, ...inputs: readonly PlanValue[]): PlanStep {
  return { kind: 'lookup', lookup: id as LookupId, inputs }
}

function each(argument: Expression, more: Partial<PlanStep & { kind: 'each' }> = {}): PlanStep {
  return { kind: 'each', argument, filters: [], keys: [], inputs: [], outputs: [elementOf(0)], ...more }
}

const LIST = call('->', { kind: 'request', source: 'claims', path: [], style: 'extract' }, text('list'))

describe('a step over an array of the request', () => {
  const perElement = planOf([route({ steps: [each(LIST)], values: [output(0)] })])

  test.each<[string, RequestObject, readonly string[]]>([
    ['each distinct element', { list: ['a', 'b', 'a', 1, 1.5, true] }, ['["a"]', '["b"]', '[1.5]', '[1]']],
    ['nothing for NULL elements', { list: [null] }, []],
    ['nothing for an empty array', { list: [] }, []],
    ['nothing for a missing array', {}, []],
    ['each member of an object', { list: { a: 'x', b: 'y' } }, ['["x"]', '["y"]']],
    ['nested arrays as text', { list: [[1, 'a']] }, ['["[1.0,\\"a\\"]"]']],
  ])('[87, 109] gives %s', async (_, claims, keys) => {
    expect(keysOf(await resolve(perElement, claims))).toEqual(keys)
  })

  test('[87] filters elements beside the request', async () => {
    const filters: readonly Expression[] = [{ kind: 'not', operand: equal(elementOf(0), claim('not')) }]
    const given = planOf([route({ steps: [each(LIST, { filters })], values: [output(0)] })])
    expect(keysOf(await resolve(given, { list: ['a', 'b'], not: 'a' }))).toEqual(['["b"]'])
  })

  test('keeps key and value of one element together', async () => {
    const steps = [each(LIST, { outputs: [elementOf(0, 'key'), elementOf(0)] })]
    const given = planOf([route({ steps, values: [output(0), output(0, 1)] })])
    expect(keysOf(await resolve(given, { list: { a: 'x', b: 'y' } }))).toEqual(['["a","x"]', '["b","y"]'])
  })

  test('counts only elements that equal what other steps found', async () => {
    const steps = [reads('a', request(claim('sub'))), each(LIST, { keys: [elementOf(0)], inputs: [output(0)] })]
    const given = planOf([route({ steps, values: [output(0, 1)] })])
    const entries = {
      'a["ann"]': [
        ['x', 'north'],
        ['y', 'south'],
        ['z', 'east'],
      ],
    }
    expect(keysOf(await resolve(given, { sub: 'ann', list: ['x', 'z', 'w'] }, entries))).toEqual([
      '["east"]',
      '["north"]',
    ])
    expect(keysOf(await resolve(given, { sub: 'ann', list: [] }, entries))).toEqual([])
  })

  test('may be there only to have an element', async () => {
    const steps = [each(LIST, { keys: [elementOf(0)], inputs: [request(claim('sub'))], outputs: [] })]
    const given = planOf([route({ steps })])
    expect(keysOf(await resolve(given, { sub: 'ann', list: ['bob', 'ann'] }))).toEqual(['[]'])
    expect(keysOf(await resolve(given, { sub: 'eve', list: ['bob', 'ann'] }))).toEqual([])
  })
})

describe('the values of a route', () => {
  test('[106, 107] come from one row of each step; independent steps combine freely', async () => {
    const steps = [reads('a', request(claim('sub'))), reads('b', request(claim('sub')))]
    const given = planOf([route({ steps, values: [output(0), output(0, 1), output(1)] })])
    const entries = {
      'a["ann"]': [
        ['1', 'x'],
        ['2', 'y'],
      ],
      'b["ann"]': [
        ['p', '-'],
        ['q', '-'],
      ],
    }
    expect(keysOf(await resolve(given, { sub: 'ann' }, entries))).toEqual([
      '["1","x","p"]',
      '["1","x","q"]',
      '["2","y","p"]',
      '["2","y","q"]',
    ])
  })

  test('[106] of a step that follows another stay with the row that led to it', async () => {
    const steps = [reads('a', request(claim('sub'))), reads('b', output(0, 1))]
    const given = planOf([route({ steps, values: [output(0), output(1)] })])
    const entries = {
      'a["ann"]': [
        ['1', 'x'],
        ['2', 'y'],
        ['3', 'z'],
      ],
      'b["x"]': [['p', '-']],
      'b["y"]': [
        ['q', '-'],
        ['r', '-'],
      ],
    }
    expect(keysOf(await resolve(given, { sub: 'ann' }, entries))).toEqual(['["1","p"]', '["2","q"]', '["2","r"]'])
  })

  test('[108] are an intersection where several must be equal, 1 and 1.0 being equal', async () => {
    const steps = [reads('a', request(claim('sub'))), reads('b', request(claim('sub')))]
    const both = { kind: 'all', values: [output(0), output(1)] } as const
    const given = planOf([route({ steps, values: [both, output(0, 1)] })])
    const entries = {
      'a["ann"]': [
        [1, 'x'],
        [2, 'y'],
        [1, 'z'],
      ],
      'b["ann"]': [
        [1, '-'],
        [3, '-'],
      ],
    }
    expect(keysOf(await resolve(given, { sub: 'ann' }, entries))).toEqual(['[1,"x"]', '[1,"z"]'])
    const withRequest = planOf([route({ steps, values: [{ kind: 'all', values: [output(0), request(claim('n'))] }] })])
    expect(keysOf(await resolve(withRequest, { sub: 'ann', n: 1 }, entries))).toEqual(['[1]'])
    expect(keysOf(await resolve(withRequest, { sub: 'ann', n: 5 }, entries))).toEqual([])
  })

  test('[111, 112] exist only while a step that feeds none finds a row', async () => {
    const given = planOf([route({ steps: [reads('a', request(claim('sub')))], values: [request(claim('sub'))] })])
    expect(
      keysOf(
        await resolve(
          given,
          { sub: 'ann' },
          {
            'a["ann"]': [
              ['1', 'x'],
              ['2', 'x'],
            ],
          },
        ),
      ),
    ).toEqual(['["ann"]'])
    const nothing = await resolve(given, { sub: 'eve' })
    expect([nothing.buckets, nothing.lookupKeys]).toEqual([[], ['a["eve"]']])
  })

  test('[78] are none where a value of the request is NULL or binary', async () => {
    for (const value of [claim('gone'), { kind: 'null' } as const, call('cast_blob', text('x'))]) {
      expect((await resolve(planOf([route({ values: [request(value)] })]), { sub: 'ann' })).buckets).toEqual([])
      const read = await resolve(planOf([route({ steps: [reads('a', request(value))] })]), { sub: 'ann' })
      expect([read.buckets, read.lookupKeys]).toEqual([[], []])
    }
  })

  test('a bucket definition takes NULL as a parameter, but finds nothing by it', async () => {
    const definition = { kind: 'definition' } as const
    const statics = planOf([route({ values: [request(claim('gone')), request(claim('sub'))] })], definition)
    expect(keysOf(await resolve(statics, { sub: 'ann' }))).toEqual(['[null,"ann"]'])
    const blob = planOf([route({ values: [request(call('cast_blob', text('x')))] })], definition)
    expect(keysOf(await resolve(blob, {}))).toEqual([])
    const found = planOf([route({ steps: [reads('a', request(claim('sub')))], values: [output(0)] })], definition)
    expect(
      keysOf(
        await resolve(
          found,
          { sub: 'ann' },
          {
            'a["ann"]': [
              [null, 'x'],
              ['b', 'x'],
            ],
          },
        ),
      ),
    ).toEqual(['["b"]', '[null]'])
    expect(keysOf(await resolve(found, {}))).toEqual([])
    const elements = planOf([route({ steps: [each(LIST)], values: [output(0)] })], definition)
    expect(keysOf(await resolve(elements, { list: ['a', null] }))).toEqual(['["a"]', '[null]'])
  })
})

describe('numbers of a request', () => {
  const asKey = planOf([route({ values: [request(claim('n'))] })])
  const asText = planOf([route({ values: [request(call('->>', call('->', claimsText(), text('o')), text('n')))] })])

  test.each([
    [9_007_199_254_740_993n, '[9007199254740993]'],
    [-123_456_789_012_345_678_901_234_567_890n, '[-123456789012345678901234567890]'],
    [5n, '[5]'],
    [5, '[5]'],
    [2.5, '[2.5]'],
  ])('%s is exact, as a member and within JSON text', async (n, key) => {
    expect(keysOf(await resolve(asKey, { n }))).toEqual([key])
    expect(keysOf(await resolve(asText, { o: { n } }))).toEqual([key])
  })

  test('are reals below 2^53 and integers above', async () => {
    const typeOf = planOf([route({ values: [request(call('typeof', claim('n')))] })])
    expect(keysOf(await resolve(typeOf, { n: 5n }))).toEqual(['["real"]'])
    expect(keysOf(await resolve(typeOf, { n: 2n ** 60n }))).toEqual(['["integer"]'])
  })
})

describe('a request that cannot be evaluated', () => {
  const failing = route({ values: [request(call('json_keys', claim('list')))] })

  test('[131] fails one stream, which is named, and others go on', async () => {
    const given = plan({
      evaluators: [evaluator('t')],
      buckets: [bucket('t', [0])],
      streams: [stream('bad', [route(), failing]), stream('good', [route()])],
    })
    const { buckets, streams } = await resolve(given, { list: 'x' })
    expect(buckets.map(({ reasons }) => reasons)).toEqual([[{ kind: 'default', stream: 1 }]])
    expect(streams).toEqual([
      { name: 'bad', isDefault: true, errors: [{ subscription: 'default', message: expect.any(String) }], buckets: 0 },
      { name: 'good', isDefault: true, errors: [], buckets: 1 },
    ])
  })

  test('ends the request where it is a bucket definition, with its name', async () => {
    await expect(resolve(planOf([failing], { kind: 'definition' }), { list: 'x' })).rejects.toMatchObject({
      code: 'bad-parameters',
      message: expect.stringContaining('bucket definition "s"'),
    })
  })

  test('fails a stream also where its data are nested without end', async () => {
    let nested: RequestObject = {}
    for (let level = 0; level < 20_000; level += 1) nested = { a: nested }
    const given = planOf([route({ values: [request(claim('deep'))] })])
    const { streams } = await resolve(given, { deep: nested })
    expect(streams[0]?.errors).toEqual([{ subscription: 'default', message: expect.stringContaining('nested deeper') }])
  })

  test('fails a stream also after lookups were read, whose keys are reported', async () => {
    const late = each(call('json_keys', claim('list')), { inputs: [output(0)], keys: [elementOf(0)] })
    const given = planOf([route({ steps: [reads('a', request(claim('sub'))), late] })])
    const { streams, lookupKeys } = await resolve(given, { sub: 'ann', list: 'x' }, { 'a["ann"]': [['1', 'x']] })
    expect([streams[0]?.errors.length, lookupKeys]).toEqual([1, ['a["ann"]']])
  })

  test('a filter on the request that is not true spares the rest', async () => {
    const given = planOf([{ ...failing, filters: [equal(claim('role'), text('admin'))] }])
    const { buckets, streams } = await resolve(given, { list: 'x' })
    expect([buckets, streams[0]?.errors]).toEqual([[], []])
  })
})

describe('the limit of buckets', () => {
  test('[132] counts results without repeats, and only what is still used', async () => {
    const steps = [reads('a', request(claim('sub'))), reads('b', output(0))]
    const given = planOf([route({ steps, values: [output(1)] })])
    const found = (distinct: number): Entries => ({
      'a["ann"]': Array.from({ length: 100 }, (_, index) => [index % distinct, `row ${index}`]),
      ...Object.fromEntries(
        Array.from({ length: distinct }, (_, index) => [
          `b[${index}]`,
          [
            ['x', index],
            ['y', index],
            ['y', -1],
          ],
        ]),
      ),
    })
    expect(keysOf(await resolve(given, { sub: 'ann' }, found(8), 2))).toEqual(['["x"]', '["y"]'])
    await expect(resolve(given, { sub: 'ann' }, found(8), 1)).rejects.toMatchObject({
      code: 'too-many-buckets',
      message: expect.stringContaining('more than 4 parameter results'),
    })
    await expect(resolve(given, { sub: 'ann' }, found(4), 1)).rejects.toMatchObject({
      message: 'Cannot sync: expected at most 1 buckets for one client, got 2: 2 from "s"',
    })
  })

  test('[132] values that no bucket needs are not multiplied out', async () => {
    const three: readonly (readonly string[])[] = [
      ['1', 'x'],
      ['2', 'x'],
      ['3', 'x'],
    ]
    const steps = [reads('a', request(claim('sub'))), reads('b', request(claim('sub'))), reads('c', output(0))]
    const given = planOf([route({ steps, values: [output(1), output(2)] })])
    const entries = { 'a["ann"]': three, 'b["ann"]': three, 'c["1"]': [['z', 'x']], 'c["3"]': [['z', 'x']] }
    expect(keysOf(await resolve(given, { sub: 'ann' }, entries, 3))).toEqual(['["1","z"]', '["2","z"]', '["3","z"]'])
  })
})

function claimsText(): Expression {
  return { kind: 'request', source: 'claims', path: [], style: 'extract' }
}
