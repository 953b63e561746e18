import { expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import { planOf, requestOf } from '../testing/builders.ts'
import { shortTurns } from '../testing/turns.ts'
import type { LookupKey, LookupOutputs, Request, Turn } from '../types.ts'

const CONFIG = JSON.stringify({
  config: { edition: 3 },
  streams: {
    listed: { auto_subscribe: true, query: "SELECT id FROM t WHERE a IN auth.parameter('lists')" },
    found: {
      auto_subscribe: true,
      query: `SELECT id FROM u WHERE b IN (
        SELECT owner FROM access WHERE person IN (SELECT friend FROM friends WHERE person = auth.user_id()))`,
    },
    asked: { query: "SELECT id FROM v WHERE c = subscription.parameter('c')" },
  },
})

const MANY = 500

function resolve(turn?: Turn) {
  const names = Array.from({ length: MANY }, (_, n) => `${n}`)
  const subscriptions = names.map((c) => ({ stream: 'asked', parameters: { c }, overridePriority: undefined }))
  const request: Request = requestOf({ sub: 'ann', lists: names }, { subscriptions })
  const readLookups = async (keys: readonly LookupKey[]) =>
    keys.map((key) =>
      (key.includes('"ann"') ? names.map((name) => `["f${name}"]`) : [key.slice(key.indexOf('['))]).map(
        (outputs) => outputs as LookupOutputs,
      ),
    )
  return loadPlan(planOf(CONFIG), { generation: 1, bucketsMax: 10_000 }).resolve(request, readLookups, turn)
}

test('a request that finds very many buckets finds the same, however often others run in between', async () => {
  const turn = shortTurns()
  const resolution = await resolve(turn)
  expect(resolution).toEqual(await resolve())
  expect(resolution.buckets).toHaveLength(3 * MANY)
  expect(resolution.lookupKeys).toHaveLength(1 + MANY)
  expect(turn.count()).toBeGreaterThan(10 * MANY)
})
