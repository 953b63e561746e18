import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { streamsConfig } from '../testing/builders.ts'
import { requestValues } from '../testing/request-value.ts'
import { checkExample, exampleTable } from '../testing/worked-example.ts'

const CLAIMS = {
  sub: 'ann',
  n: 5,
  half: 0.5,
  on: true,
  off: false,
  nothing: null,
  list: [1, 'a'],
  nested: { a: { b: 'deep' }, 'x.y': 'dotted' },
  'a.b': 'flat',
}

function ask(expression: string, edition: 1 | 2 | 3 = 3): Promise<readonly string[]> {
  return requestValues(expression, { claims: CLAIMS, parameters: CLAIMS }, edition)
}

function isRefused(query: string): boolean {
  return compileSyncConfig(streamsConfig({ s: query })).kind === 'refused'
}

function isDefinitionRefused(parameters: string, data: string): boolean {
  const config = { bucket_definitions: { d: { parameters, data: [data] } } }
  return compileSyncConfig(JSON.stringify(config)).kind === 'refused'
}

test('[77] the user id is the claim sub', async () => {
  expect(await ask('auth.user_id()')).toEqual(['"ann"'])
  expect(await ask("auth.parameter('sub')")).toEqual(['"ann"'])
  expect(await ask("auth.parameters() ->> 'sub'")).toEqual(['"ann"'])
  expect(await ask('AUTH.User_Id()')).toEqual(['"ann"'])
  for (const edition of [1, 2] as const) {
    expect(await ask('request.user_id()', edition)).toEqual(['"ann"'])
    expect(await ask("request.jwt() ->> 'sub'", edition)).toEqual(['"ann"'])
  }
})

test('[78] what the request does not have is NULL and equals nothing', async () => {
  for (const source of ['auth', 'connection', 'subscription']) {
    expect(await ask(`${source}.parameter('missing')`)).toEqual([])
  }
  expect(await ask("auth.parameter('nothing')")).toEqual([])
  await checkExample({
    config: streamsConfig({
      a: "SELECT id FROM t WHERE auth.parameter('missing') = auth.parameter('missing')",
      b: "SELECT id FROM t WHERE k = auth.parameter('missing')",
      c: "SELECT id FROM t WHERE k IN auth.parameter('missing')",
      d: "SELECT id FROM t WHERE auth.parameter('missing') IN (SELECT k FROM t)",
    }),
    tables: [exampleTable('t', 'id, k', '1 | NULL')],
    buckets: { all: ['t/1 {"id":"1"}'] },
    requests: [{ claims: { sub: 'x' }, gets: [] }],
  })
})

describe('[79] members', () => {
  test('[79] are found by name, nested ones by a path', async () => {
    expect(await ask("auth.parameter('$.nested.a.b')")).toEqual(['"deep"'])
    expect(await ask("connection.parameter('$.nested.a.b')")).toEqual(['"deep"'])
    expect(await ask("auth.parameter('a.b')")).toEqual(['"flat"'])
    expect(await ask("auth.parameter('nested.a.b')")).toEqual([])
    expect(await ask("auth.parameters() -> 'nested' -> 'a' ->> 'b'")).toEqual(['"deep"'])
    expect(await ask("auth.parameter('s' || 'ub')")).toEqual(['"ann"'])
    expect(await ask('auth.parameter(5)')).toEqual([])
  })

  test('[79] are split at dots without fixed_json_extract', async () => {
    const off = { fixed_json_extract: false }
    const split = await requestValues("auth.parameter('nested.a.b')", { claims: CLAIMS }, 3, off)
    expect(split).toEqual(['"deep"'])
  })

  test('[79] of a subscription are those of the subscription', async () => {
    const subscriptions = [{ stream: 's', parameters: { p: { q: 'x' } }, overridePriority: undefined }]
    expect(await requestValues("subscription.parameter('$.p.q')", { subscriptions })).toEqual(['"x"'])
    expect(await requestValues('typeof(subscription.parameters())', { subscriptions })).toEqual(['"null"', '"text"'])
  })

  test('[79] keep their kinds: numbers are reals, arrays are JSON text', async () => {
    expect(await ask("typeof(auth.parameter('n'))")).toEqual(['"real"'])
    expect(await ask("auth.parameter('n') || ''")).toEqual(['"5"'])
    expect(await ask("auth.parameter('list')")).toEqual([JSON.stringify('[1.0,"a"]')])
    expect(await ask("auth.parameter('half')")).toEqual(['0.5'])
    expect(await ask("auth.parameters() ->> 'n'")).toEqual(['5'])
  })
})

test('[80] the older user id of the token is sub, whatever the claim parameters says', async () => {
  const claims = { sub: 'ann', parameters: { user_id: 'bob', project: 'p', n: 1, deep: { a: 1 } } }
  const request = { claims, parameters: { user_id: 'carl', flag: true } }
  for (const edition of [1, 2] as const) {
    expect(await requestValues('token_parameters.user_id', request, edition)).toEqual(['"ann"'])
    expect(await requestValues('token_parameters.project', request, edition)).toEqual(['"p"'])
    expect(await requestValues('typeof(token_parameters.n)', request, edition)).toEqual(['"integer"'])
    expect(await requestValues('token_parameters.deep', request, edition)).toEqual([JSON.stringify('{"a":1.0}')])
    expect(await requestValues('user_parameters.user_id', request, edition)).toEqual(['"carl"'])
    expect(await requestValues('user_parameters.flag', request, edition)).toEqual(['1'])
    expect(await requestValues("request.parameter('flag')", request, edition)).toEqual(['1'])
  }
})

test.each([
  ['auth.user_id()', true],
  ["auth.parameter('a')", true],
  ["connection.parameter('a')", true],
  ["subscription.parameter('a')", true],
  ['request.user_id()', false],
  ["request.jwt() ->> 'a'", false],
  ["request.parameters() ->> 'a'", false],
  ["request.parameter('a')", false],
  ['token_parameters.user_id', false],
  ['user_parameters.a', false],
])('[81] %s stands in streams: %s, and never in a data query', (expression, inStreams) => {
  expect(isRefused(`SELECT id FROM t WHERE k = ${expression}`)).toBe(!inStreams)
  const own = 'SELECT id FROM t WHERE k = bucket.p'
  expect(isDefinitionRefused(`SELECT ${expression} AS p`, own)).toBe(inStreams)
  expect(isDefinitionRefused('SELECT request.user_id() AS p', `${own} AND x = ${expression}`)).toBe(true)
  expect(isDefinitionRefused('SELECT request.user_id() AS p', own)).toBe(false)
})

test('[81] functions that a source does not have are refused', () => {
  for (const call of ['connection.user_id()', 'subscription.user_id()', 'auth.jwt()', 'auth.parameter()']) {
    expect(isRefused(`SELECT id FROM t WHERE k = ${call}`)).toBe(true)
  }
  expect(isRefused("SELECT id FROM t WHERE k = auth.parameter('a', 'b')")).toBe(true)
})

test('[82] true and false equal 1 and 0', () =>
  checkExample({
    config: streamsConfig({
      one: "SELECT id FROM t WHERE b = auth.parameter('on')",
      two: "SELECT id FROM t WHERE n = auth.parameter('on') AND auth.parameter('on') = 1",
      three: "SELECT id FROM t AS u WHERE auth.parameter('on') AND auth.parameter('off') = 0",
    }),
    tables: [exampleTable('t', 'id, b bool, n int4', '1 | t | 1', '2 | f | 0')],
    buckets: {
      1: ['t/1 {"id":"1"}'],
      0: ['t/2 {"id":"2"}'],
      'n 1': ['t/1 {"id":"1"}'],
      'n 0': ['t/2 {"id":"2"}'],
      all: ['u/1 {"id":"1"}', 'u/2 {"id":"2"}'],
    },
    requests: [{ claims: { sub: 'x', on: true, off: false }, gets: ['1', 'n 1', 'all'] }],
  }))
