import { readSeed } from '@headwater/testkit'
import { describe, expect, test } from 'vitest'
import { comparePlans } from './compare-plans.ts'
import { compileSyncConfig } from './compile.ts'
import { loadPlan } from './load.ts'
import { planOf, requestOf, sourceTable } from './testing/builders.ts'
import { Choices } from './testing/choices.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import { describeBody } from './testing/plan-text.ts'
import { readPlanBody } from './plan.ts'
import type { LookupKey } from './types.ts'

/** Printed with a failure; set SEED to run one again. */
const SEED = readSeed(process.env)
const CASES = 60

type Value = string | null
type Row = { readonly id: string; readonly k: Value; readonly a: Value }
type Tables = { readonly [Name in 't' | 'u' | 'v']: Map<string, Row> }
type Person = { readonly sub: string; readonly x: Value }

function configOf(query: string, more: object = {}): string {
  return JSON.stringify({
    config: { edition: 3, extensions: true },
    streams: { s: { auto_subscribe: true, query, ...more } },
  })
}

/** NULL is neither in nor out, and no member. */
function isOut(value: Value, members: readonly Value[]): boolean {
  return value !== null && !members.includes(value)
}

/** A condition of t, and what it says of a row of t. */
const CONDITIONS: { readonly [condition: string]: (row: Row, tables: Tables, person: Person) => boolean } = {
  'auth.user_id() NOT IN (SELECT k FROM u)': (_, { u }, { sub }) => isOut(sub, columnOf(u, 'k')),
  "auth.parameter('x') NOT IN (SELECT k FROM u)": (_, { u }, { x }) => isOut(x, columnOf(u, 'k')),
  "k = auth.user_id() AND NOT auth.user_id() IN (SELECT k FROM u WHERE a = auth.parameter('x'))": (
    row,
    { u },
    { sub, x },
  ) =>
    row.k === sub &&
    isOut(
      sub,
      columnOf(
        only(u, ({ a }) => a !== null && a === x),
        'k',
      ),
    ),
  "NOT (auth.user_id() IN (SELECT u.k FROM u JOIN v ON v.k = u.a) OR k = 'p')": (row, { u, v }, { sub }) =>
    row.k !== 'p' &&
    isOut(
      sub,
      columnOf(
        only(u, ({ a }) => a !== null && columnOf(v, 'k').includes(a)),
        'k',
      ),
    ),
  "NOT (auth.user_id() IN (SELECT k FROM u) AND k = 'p')": (row, { u }, { sub }) =>
    row.k !== 'p' || isOut(sub, columnOf(u, 'k')),
  "'p' NOT IN (SELECT k FROM u WHERE a = auth.parameter('x') OR a = 'q')": (_, { u }, { x }) =>
    isOut(
      'p',
      columnOf(
        only(u, ({ a }) => a !== null && (a === x || a === 'q')),
        'k',
      ),
    ),
  "auth.user_id() NOT IN (SELECT k FROM u WHERE auth.parameter('x') NOT IN (SELECT a FROM v))": (
    _,
    { u, v },
    { sub, x },
  ) => !isOut(x, columnOf(v, 'a')) || isOut(sub, columnOf(u, 'k')),
  "k IN (SELECT a FROM u WHERE k = auth.user_id()) AND auth.user_id() NOT IN (SELECT k FROM v WHERE a = 'q')": (
    row,
    { u, v },
    { sub },
  ) =>
    row.k !== null &&
    columnOf(
      only(u, ({ k }) => k === sub),
      'a',
    ).includes(row.k) &&
    isOut(
      sub,
      columnOf(
        only(v, ({ a }) => a === 'q'),
        'k',
      ),
    ),
}

function columnOf(rows: Iterable<readonly [string, Row]>, column: 'k' | 'a'): readonly Value[] {
  return [...rows].map(([, row]) => row[column]).filter((value) => value !== null)
}

function only(rows: ReadonlyMap<string, Row>, isWanted: (row: Row) => boolean): Map<string, Row> {
  return new Map([...rows].filter(([, row]) => isWanted(row)))
}

describe('what is granted equals looking at every row, before and after every change', () => {
  test.each(Object.entries(CONDITIONS))('%s', async (condition, isGranted) => {
    const plan = loadPlan(planOf(configOf(`SELECT id FROM t WHERE ${condition}`)), { generation: 1, bucketsMax: 100 })
    const sources = {
      t: sourceTable('t', 'id, k, a'),
      u: sourceTable('u', 'id, k, a'),
      v: sourceTable('v', 'id, k, a'),
    }
    for (let index = 0; index < CASES; index += 1) {
      const choices = Choices.random(SEED, index)
      const value = (): Value => choices.pick<Value>('p', 'q', 'r', null)
      const person = { sub: choices.pick('p', 'q', 'r'), x: value() }
      const request = requestOf(person.x === null ? { sub: person.sub } : person)
      const storage = new MemoryStorage(plan)
      const tables: Tables = { t: new Map(), u: new Map(), v: new Map() }
      let before: { readonly granted: string; readonly keys: readonly LookupKey[]; readonly read: string } | undefined
      for (let change = 0; change < 10; change += 1) {
        const name = choices.pick('t', 'u', 'v')
        const id = choices.pick('1', '2')
        const row = { id, k: value(), a: value() }
        if (choices.chance(30)) {
          tables[name].delete(id)
          storage.remove(sources[name], id)
        } else {
          tables[name].set(id, row)
          storage.put(sources[name], id, [id, row.k, row.a])
        }
        const expected = [...tables.t.values()].filter((each) => isGranted(each, tables, person))
        const place = `seed ${SEED}, case ${index}, change ${change}`
        const texts = expected.map((each) => `t/${each.id} {"id":"${each.id}"}`).toSorted()
        expect(await storage.rowsFor(request), place).toEqual(texts)
        const { buckets, lookupKeys } = await storage.resolve(request)
        const granted = JSON.stringify(buckets)
        const known = before && JSON.stringify(await storage.readLookups(before.keys))
        if (granted !== before?.granted)
          expect(known, `${place}: a key that was read has changed`).not.toBe(before?.read ?? '')
        before = { granted, keys: lookupKeys, read: JSON.stringify(await storage.readLookups(lookupKeys)) }
      }
    }
  })
})

describe('refused with extensions, too', () => {
  const NEEDS = 'NOT IN (SELECT …) needs a value of the request'
  test.each([
    ['k NOT IN (SELECT k FROM u)', NEEDS],
    ['NOT (k IN (SELECT k FROM u WHERE a = auth.user_id()))', NEEDS],
    ['NOT (k = 1 OR k IN (SELECT k FROM u))', NEEDS],
    ['NOT (tags && (SELECT k FROM u))', 'NOT over && does not exist'],
    ['auth.user_id() NOT IN (SELECT k FROM u WHERE u.a = t.a)', 'cannot read tables of the queries around it'],
    ['auth.user_id() NOT IN (SELECT t.k FROM u)', 'cannot read tables of the queries around it'],
    [
      'auth.user_id() NOT IN (SELECT k FROM u WHERE auth.user_id() NOT IN (SELECT v.k FROM v WHERE v.a = u.a))',
      'cannot read tables of the queries around it',
    ],
    ['auth.user_id() NOT IN (SELECT u.k FROM u, v, w WHERE v.a = w.a)', 'but not with the request'],
    ['CAST(auth.user_id() AS blob) NOT IN (SELECT k FROM u)', 'Binary values equal nothing'],
  ])('%s', (condition, message) => {
    const { kind, diagnostics } = compileSyncConfig(configOf(`SELECT id FROM t WHERE ${condition}`))
    expect(kind).toBe('refused')
    expect(diagnostics.map((each) => each.message).join('\n')).toContain(message)
  })

  test('a value of an array of the request', () => {
    const query =
      "SELECT t.id FROM t, json_each(auth.parameter('l')) e WHERE t.k = e.value AND e.value NOT IN (SELECT k FROM u)"
    expect(compileSyncConfig(configOf(query)).kind).toBe('refused')
  })
})

test('without the key it is refused, and the message names the key', () => {
  const config = configOf('SELECT id FROM t WHERE auth.user_id() NOT IN (SELECT k FROM u)').replace('true', 'false')
  const { diagnostics } = compileSyncConfig(config)
  expect(diagnostics.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^NOT IN \(SELECT …\) does not exist in sync configs: .*or set "extensions: true"/),
  ])
})

test('an absence is a step behind the others', () => {
  const plan = planOf(
    configOf(
      'SELECT id FROM t WHERE k IN (SELECT a FROM u WHERE k = auth.user_id()) AND auth.user_id() NOT IN (SELECT k FROM v)',
    ),
  )
  expect(describeBody(readPlanBody(plan))).toEqual([
    'rows of t as t by k',
    'route (1.a) where not auth.sub is null',
    '  1: u by k (auth.sub) gives a',
    '  2: absent',
    '    1: v by k (auth.sub)',
  ])
})

test('absences that are written otherwise make the same plan', () => {
  const [first, ...others] = [
    "auth.user_id() NOT IN (SELECT k FROM u) AND 'p' NOT IN (SELECT a FROM v WHERE k = auth.user_id())",
    "NOT ('p' IN (SELECT a FROM v WHERE auth.user_id() = k) OR auth.user_id() IN (SELECT k FROM u))",
    "'p' NOT IN (SELECT x.a FROM v AS x WHERE k = auth.user_id()) AND NOT auth.user_id() IN (SELECT x.k FROM u AS x)",
  ].map((condition) => planOf(configOf(`SELECT id FROM t WHERE ${condition}`)).hash)
  expect(new Set(others)).toEqual(new Set([first]))
})

test('a condition that is added keeps the buckets and adds its lookup; the key alone changes nothing', () => {
  const query = 'SELECT id FROM t WHERE k = auth.user_id()'
  const before = planOf(configOf(query).replace('true', 'false'))
  expect(planOf(configOf(query)).hash).toBe(before.hash)
  const after = planOf(configOf(`${query} AND auth.user_id() NOT IN (SELECT k FROM u)`))
  const { buckets, lookups, tables } = comparePlans(before, after)
  expect([buckets.kept.length, buckets.added, buckets.removed]).toEqual([1, [], []])
  expect([lookups.added.length, lookups.removed]).toEqual([1, []])
  expect(tables.map(({ name }) => name)).toEqual(['u'])
})

test('who is on no list is no proof of who somebody is', () => {
  const warned = (condition: string): boolean =>
    compileSyncConfig(configOf(`SELECT id FROM t WHERE ${condition}`)).diagnostics.some(({ message }) =>
      message.startsWith('Every client can choose'),
    )
  expect(warned("k = connection.parameter('k') AND auth.user_id() NOT IN (SELECT k FROM u)")).toBe(true)
  expect(warned("connection.parameter('k') NOT IN (SELECT k FROM u)")).toBe(true)
  expect(warned('k = auth.user_id() AND auth.user_id() NOT IN (SELECT k FROM u)')).toBe(false)
  expect(warned('auth.user_id() NOT IN (SELECT k FROM u)')).toBe(false)
})

test('a subscription that reads its parameters in an absence alone is evaluated by itself', async () => {
  const query = "SELECT id FROM t WHERE 'p' NOT IN (SELECT k FROM u WHERE a = subscription.parameter('a'))"
  const plan = loadPlan(planOf(configOf(query, { auto_subscribe: false })), { generation: 1, bucketsMax: 10 })
  const storage = new MemoryStorage(plan)
  storage.put(sourceTable('u', 'id, k, a'), '1', ['1', 'p', 'closed'])
  const subscriptions = ['closed', 'open'].map((a) => ({ stream: 's', parameters: { a }, overridePriority: undefined }))
  const { buckets } = await storage.resolve(requestOf({}, { subscriptions }))
  expect(buckets.map(({ reasons }) => reasons)).toEqual([[{ kind: 'subscription', subscription: 1 }]])
})
