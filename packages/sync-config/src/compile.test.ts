import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'
import { readPlanBody } from './plan.ts'
import { planOf, saidOf, streamsConfig } from './testing/builders.ts'

const OWN = 'SELECT * FROM todos WHERE owner = auth.user_id()'

test('faults of the file and of every query are reported in one run, in the order of the file', () => {
  const config = `
config:
  edition: 3
  edtion: 3
with:
  all: SELECT * FROM members
streams:
  one:
    query: SELECT id FROM a ORDER BY id
    priority: 9
  two:
    queries:
      - SELECT id FROM b WHERE x LIKE 'y'
      - SELECT upper(id, 1) AS id FROM c WHERE d > auth.user_id()
`
  expect(saidOf(config).map((line) => line.split(' ')[0])).toEqual([
    '4:3',
    '6:15',
    '9:29',
    '10:15',
    '13:34',
    '14:16',
    '14:48',
  ])
})

test('a fault comes with its line and a caret under it', () => {
  const config = 'config:\n  edition: 3\nstreams:\n  s:\n    query: |\n      SELECT id FROM t WHERE oops.a = 1\n'
  const [diagnostic] = compileSyncConfig(config).diagnostics
  expect(diagnostic?.excerpt).toBe('      SELECT id FROM t WHERE oops.a = 1\n                             ^')
})

describe('a plan', () => {
  test('is the same for the same text, and for another that says the same', () => {
    const one = streamsConfig({ s: 'SELECT id FROM a WHERE b IN (SELECT c FROM d WHERE e = auth.user_id())' })
    const other = `# the same
config: { edition: 3 }
streams:
  s:
    query: |
      select id
      from a where b in (select x.c from d as x -- an alias
        where auth.user_id() = x.e)
    auto_subscribe: true
`
    expect(planOf(one)).toEqual(planOf(one))
    expect(planOf(other).hash).toBe(planOf(one).hash)
  })

  test('changes with what is granted, and with how values are written', () => {
    const hashes = [
      streamsConfig({ s: OWN }),
      streamsConfig({ t: OWN }),
      streamsConfig({ s: `${OWN} AND NOT done` }),
      streamsConfig({ s: OWN }).replace('"edition": 3', '"edition": 3, "timestamps_iso8601": false'),
    ].map((config) => planOf(config).hash)
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  test('names buckets and lookups by what they do alone', () => {
    const shares = 'SELECT id FROM notes WHERE list IN (SELECT list FROM shares WHERE person = auth.user_id())'
    const alone = readPlanBody(planOf(streamsConfig({ mine: shares })))
    const among = readPlanBody(
      planOf(streamsConfig({ other: OWN, renamed: shares.replace('notes', 'notes AS notes') })),
    )
    const [hash] = alone.buckets.map((bucket) => bucket.hash)
    const [lookup] = alone.lookups.map(({ id }) => id)
    expect(among.buckets.map((bucket) => bucket.hash)).toContain(hash)
    expect(among.lookups.map(({ id }) => id)).toEqual([lookup])
  })

  test('queries of one stream that are reached by the same values share a bucket; equal evaluators share across streams', () => {
    const team = '(SELECT patient FROM team WHERE person = auth.user_id())'
    const { buckets, lookups, evaluators } = readPlanBody(
      planOf(
        streamsConfig({
          care: [`SELECT * FROM patients WHERE id IN ${team}`, `SELECT * FROM visits WHERE patient IN ${team}`],
          mine: 'SELECT * FROM notes WHERE list IN (SELECT id FROM lists WHERE owner = auth.user_id())',
          one: "SELECT * FROM notes WHERE list = subscription.parameter('list') AND auth.user_id() IN (SELECT owner FROM lists)",
        }),
      ),
    )
    expect([buckets, evaluators, lookups].map((part) => part.length)).toEqual([2, 3, 3])
  })

  test('keeps the order of two queries only where they may make the same object', () => {
    const hashesOf = (...queries: readonly string[]): readonly string[] =>
      readPlanBody(planOf(streamsConfig({ s: queries }))).buckets.map(({ hash }) => hash)
    const [a, b, any] = ['SELECT * FROM a', 'SELECT * FROM b', 'SELECT id FROM "%"']
    expect(hashesOf(a, b)).toEqual(hashesOf(b, a))
    expect(hashesOf(a, any)).not.toEqual(hashesOf(any, a))
  })
})
