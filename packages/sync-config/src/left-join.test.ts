import { readSeed } from '@headwater/testkit'
import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'
import { loadPlan } from './load.ts'
import { planOf, requestOf, sourceTable } from './testing/builders.ts'
import { Choices } from './testing/choices.ts'
import { MemoryStorage } from './testing/memory-storage.ts'

/** Printed with a failure; set SEED to run one again. */
const SEED = readSeed(process.env)
const CASES = 60

function configOf(query: string, extensions = true): string {
  return JSON.stringify({ config: { edition: 3, extensions }, streams: { s: { auto_subscribe: true, query } } })
}

function saidOf(query: string): readonly string[] {
  return compileSyncConfig(configOf(query)).diagnostics.map(({ message }) => message)
}

type Value = string | null
type Row = { readonly id: string; readonly k: Value; readonly a: Value }
/** NULL for the row that LEFT JOIN did not find. */
type Joined = { readonly t: Row; readonly u: Row | null; readonly v: Row | null }

const FROM = 'FROM t LEFT JOIN u ON u.k = t.k LEFT JOIN v ON v.k = u.a'

/** A condition behind `FROM`, and what it says of one row of the joins. */
const CONDITIONS: { readonly [where: string]: (joined: Joined, sub: string) => boolean } = {
  '1 = 1': () => true,
  "u.a = 'p'": ({ u }) => u?.a === 'p',
  "t.a = 'p' OR u.a = 'p'": ({ t, u }) => t.a === 'p' || u?.a === 'p',
  'u.a IS NOT NULL AND t.a = auth.user_id()': ({ t, u }, sub) => u !== null && u.a !== null && t.a === sub,
  'v.a = auth.user_id()': ({ v }, sub) => v?.a === sub,
  "v.a = auth.user_id() OR u.a = auth.user_id() OR t.k = 'q'": ({ t, u, v }, sub) =>
    v?.a === sub || u?.a === sub || t.k === 'q',
  "v.a LIKE 'P%' AND u.k IN (SELECT k FROM t AS other)": ({ v, u }) => v?.a === 'p' && u !== null,
}

/** As SQL does it: each row with all that match, or with NULL where none does. */
function joinAll(tables: { readonly [name in 't' | 'u' | 'v']: readonly Row[] }): readonly Joined[] {
  const match = (rows: readonly Row[], value: Value): readonly (Row | null)[] => {
    const found = rows.filter(({ k }) => k !== null && k === value)
    return found.length === 0 ? [null] : found
  }
  return tables.t.flatMap((t) =>
    match(tables.u, t.k).flatMap((u) => match(tables.v, u === null ? null : u.a).map((v) => ({ t, u, v }))),
  )
}

test.each(Object.entries(CONDITIONS))('rows of the joins with %s are what is granted', async (where, holds) => {
  const plan = loadPlan(planOf(configOf(`SELECT t.id ${FROM} WHERE ${where}`)), { generation: 1, bucketsMax: 100 })
  for (let index = 0; index < CASES; index += 1) {
    const choices = Choices.random(SEED, index)
    const value = (): Value => choices.pick<Value>('p', 'q', 'r', null)
    const rows = (): readonly Row[] =>
      ['1', '2', '3'].slice(choices.pick(0, 1, 2)).map((id) => ({ id, k: value(), a: value() }))
    const tables = { t: rows(), u: rows(), v: rows() }
    const storage = new MemoryStorage(plan)
    for (const name of ['t', 'u', 'v'] as const) {
      for (const { id, k, a } of tables[name]) storage.put(sourceTable(name, 'id, k, a'), id, [id, k, a])
    }
    const sub = choices.pick('p', 'q', 'r')
    const expected = new Set(
      joinAll(tables)
        .filter((joined) => holds(joined, sub))
        .map(({ t }) => `t/${t.id} {"id":"${t.id}"}`),
    )
    expect(await storage.rowsFor(requestOf({ sub })), `seed ${SEED}, case ${index}`).toEqual([...expected].toSorted())
  }
})

test('a join that must find a row is the same plan as JOIN', () => {
  const [left, outer, inner] = ['LEFT JOIN', 'LEFT OUTER JOIN', 'JOIN'].map((join) => {
    const query = `SELECT t.id FROM t ${join} u ON u.k = t.k AND u.open WHERE u.a = auth.user_id()`
    return planOf(configOf(query)).hash
  })
  expect([left, outer]).toEqual([inner, inner])
})

test('a table that is selected behind LEFT JOIN needs a row, of course', () => {
  const [left, inner] = ['LEFT JOIN', 'JOIN'].map((join) =>
    planOf(configOf(`SELECT u.* FROM t ${join} u ON u.k = t.k WHERE t.a = auth.user_id()`)),
  )
  expect(left?.hash).toBe(inner?.hash)
})

test('a table that no condition needs takes nothing away, which is said', () => {
  const query = 'SELECT t.* FROM t LEFT JOIN u ON u.k = t.k AND u.a IN (SELECT a FROM v) WHERE t.a = auth.user_id()'
  expect(saidOf(query)).toEqual(['LEFT JOIN takes nothing away, and no condition needs "u": leave it out'])
  expect(planOf(configOf(query)).hash).toBe(planOf(configOf('SELECT * FROM t WHERE a = auth.user_id()')).hash)
})

describe('refused', () => {
  const MAY_HOLD = 'This may hold where LEFT JOIN finds no row of "u"'
  test.each([
    ['SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE u.k IS NULL', MAY_HOLD],
    ["SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE NOT (u.a = 'p')", MAY_HOLD],
    ["SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE u.a != 'p'", MAY_HOLD],
    ["SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE coalesce(u.a, 'p') = 'p'", MAY_HOLD],
    ["SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE t.a = ifnull(u.a, 'p')", MAY_HOLD],
    ["SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE u.a = 'p' OR u.k IS NULL", MAY_HOLD],
    ["SELECT t.id FROM t LEFT JOIN u ON u.k = t.k WHERE u.a NOT LIKE 'p%'", MAY_HOLD],
    ['SELECT t.id, u.a FROM t LEFT JOIN u ON u.k = t.k', 'A query selects from one table'],
    ['SELECT t.id FROM t LEFT JOIN u ON u.k = v.k JOIN v ON v.a = t.a', 'Unknown table "v"'],
    ['SELECT t.id FROM t LEFT JOIN json_each(t.list) AS e ON e.value = t.k', 'Behind LEFT JOIN only a table can stand'],
    ['SELECT t.id FROM t LEFT JOIN (SELECT k FROM u) AS e ON e.k = t.k', 'Behind LEFT JOIN only a table can stand'],
    [
      'SELECT id FROM t WHERE k IN (SELECT u.k FROM u LEFT JOIN v ON v.k = u.k)',
      'LEFT JOIN does not exist in subqueries',
    ],
    ['SELECT t.id FROM t RIGHT JOIN u ON u.k = t.k', 'RIGHT JOIN does not exist'],
  ])('%s', (query, message) => {
    expect(compileSyncConfig(configOf(query)).kind).toBe('refused')
    expect(saidOf(query).join('\n')).toContain(message)
  })
})

test('without the key it is refused, and the message names the key', () => {
  const { diagnostics } = compileSyncConfig(configOf('SELECT t.id FROM t LEFT JOIN u ON u.k = t.k', false))
  expect(diagnostics[0]?.message).toMatch(/^LEFT JOIN does not exist in sync configs: .*or set "extensions: true"/)
})
