import { describe, expect, test } from 'vitest'
import { comparePlans, type PlanChanges } from './compare-plans.ts'
import { loadPlan } from './load.ts'
import { planOf, streamsConfig } from './testing/builders.ts'
import { sourceTable } from './testing/source-table.ts'
import { bucket, column, evaluator, lookup, pattern, plan, route, stream, VALUE_OPTIONS } from './testing/plan-parts.ts'

type Streams = Parameters<typeof streamsConfig>[0]

const byOwner = evaluator('todos', { keys: [column('owner')] })
const byList = evaluator('todos', { keys: [column('list')] })
const notes = evaluator('notes')
const members = lookup('members', 'members', { outputs: [column('list')] })

test('what two plans have in common is kept, and tables that feed something new are named', () => {
  const before = plan({
    evaluators: [byOwner, notes],
    lookups: [lookup('old', 'sharing')],
    buckets: [bucket('own', [0]), bucket('notes', [1])],
  })
  const after = plan({
    evaluators: [notes, byOwner, byList],
    lookups: [members],
    buckets: [bucket('notes', [0]), bucket('both', [1, 2])],
  })
  expect(comparePlans(before, after)).toEqual({
    buckets: {
      kept: [{ hash: 'notes', name: 'notes' }],
      added: [{ hash: 'both', name: 'both' }],
      removed: [{ hash: 'own', name: 'own' }],
    },
    lookups: { kept: [], added: ['members'], removed: ['old'] },
    evaluators: {
      kept: [expect.any(String), expect.any(String)],
      added: [expect.any(String)],
      removed: [],
    },
    tables: [pattern('todos'), pattern('members')],
  })
})

test('a plan compared with itself, or with another order of the same, needs nothing', () => {
  const one = plan({ evaluators: [byOwner, notes], lookups: [members], buckets: [bucket('a', [0]), bucket('b', [1])] })
  const two = plan({ evaluators: [notes, byOwner], lookups: [members], buckets: [bucket('b', [0]), bucket('a', [1])] })
  for (const changes of [comparePlans(one, one), comparePlans(one, two)]) {
    expect(changes.tables).toEqual([])
    expect([changes.buckets.added, changes.buckets.removed, changes.lookups.added]).toEqual([[], [], []])
    expect([changes.evaluators.added, changes.evaluators.removed]).toEqual([[], []])
  }
})

test('how values are written belongs to every query', () => {
  const one = plan({ evaluators: [notes] })
  const two = plan({ evaluators: [notes], values: { ...VALUE_OPTIONS, fixedJsonExtract: false } })
  expect(comparePlans(one, two).evaluators).toMatchObject({ kept: [], added: { length: 1 }, removed: { length: 1 } })
})

test('a plan that was changed by hand is refused', () => {
  const one = plan({ evaluators: [notes] })
  expect(() => comparePlans({ ...one, hash: 'x' }, one)).toThrow(expect.objectContaining({ code: 'bad-plan' }))
})

test('one definition can be built anew without new names for the others', () => {
  const given = plan({
    evaluators: [byOwner, notes],
    buckets: [bucket('a', [0]), bucket('b', [1])],
    streams: [stream('s', [route({ bucket: 1 })])],
  })
  const namesIn = (loaded: ReturnType<typeof loadPlan>): readonly string[] =>
    ['todos', 'notes'].flatMap((name) => {
      const { objects = [] } = loaded.forTable(sourceTable(name, 'id, owner'))?.evaluate(['1', 'ann']) ?? {}
      return objects.map((object) => object.bucket)
    })
  const options = { generation: 1, bucketsMax: 10 }
  expect(namesIn(loadPlan(given, options))).toEqual(['todos|1.a["ann"]', 'notes|1.b[]'])
  const generationOf = (hash: string): number => (hash === 'b' ? 2 : 1)
  const rebuilt = loadPlan(given, { ...options, generationOf })
  expect(namesIn(rebuilt)).toEqual(['todos|1.a["ann"]', 'notes|2.b[]'])
})

describe('plans of configs', () => {
  const OWN = 'SELECT * FROM todos WHERE owner = auth.user_id() AND NOT done'
  const SHARED = `SELECT * FROM notes WHERE list IN (SELECT list FROM members WHERE person = auth.user_id() AND active)`

  function changesOf(before: Streams, after: Streams): PlanChanges {
    return comparePlans(planOf(streamsConfig(before)), planOf(streamsConfig(after)))
  }

  test('[143] are equal where only the words differ', () => {
    const rewritten = {
      renamed: 'SELECT todos.* FROM todos  WHERE NOT todos.done AND (auth.user_id() = todos.owner)',
      shared: `SELECT notes.* FROM notes JOIN members AS m ON m.list = notes.list WHERE m.active AND m.person = auth.user_id()`,
    }
    const { buckets, lookups, tables } = changesOf({ own: OWN, shared: SHARED }, rewritten)
    expect([buckets.added, buckets.removed, lookups.added, lookups.removed, tables]).toEqual([[], [], [], [], []])
  })

  test('[29] differ only in the stream that changed, whose tables are read again', () => {
    const { buckets, lookups, tables } = changesOf(
      { own: OWN, shared: SHARED },
      { own: `${OWN} AND public`, shared: SHARED },
    )
    expect([buckets.kept, buckets.added, buckets.removed].map((parts) => parts.map(({ name }) => name))).toEqual([
      ['shared'],
      ['own'],
      ['own'],
    ])
    expect([lookups.kept.length, lookups.added, lookups.removed]).toEqual([1, [], []])
    expect(tables).toEqual([pattern('todos')])
  })

  test('a lookup that changes is read again without the buckets that it leads to', () => {
    const { buckets, lookups, tables } = changesOf({ shared: SHARED }, { shared: SHARED.replace('active', 'accepted') })
    expect([buckets.added, lookups.added.length, lookups.removed.length]).toEqual([[], 1, 1])
    expect(tables).toEqual([pattern('members')])
  })

  test('names of buckets survive the change of a stream that shares them', () => {
    const namesIn = (streams: Streams): readonly string[] => {
      const loaded = loadPlan(planOf(streamsConfig(streams)), { generation: 1, bucketsMax: 10 })
      const outcome = loaded.forTable(sourceTable('todos', 'id, owner, done bool'))?.evaluate(['1', 'ann', 'f'])
      return (outcome?.objects ?? []).map((object) => object.bucket)
    }
    const [shared] = namesIn({ first: OWN, second: OWN })
    expect(shared).toMatch(/^todos\|1\.[0-9a-f]{10}\["ann"\]$/)
    expect(namesIn({ second: OWN })).toEqual([shared])
    expect(namesIn({ other: 'SELECT * FROM x', second: OWN })).toEqual([shared])
  })
})
