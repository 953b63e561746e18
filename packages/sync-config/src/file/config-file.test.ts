import { describe, expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { saidOf } from '../testing/builders.ts'

describe('a file', () => {
  test.each([
    ['a: [', /1:\d+ Cannot read the file as YAML/],
    ['streams: {}\n---\nstreams: {}', /a second document begins here/],
    ['streams: {}\nstreams: {}', /2:1 .*this key stands twice/],
    ['- a', /1:1 A sync config must be a map/],
    ['', /must be a map/],
    [
      'config: {edition: 3}\nstreams: {}\nstreems: {}',
      /3:1 Unknown key "streems" at the top level \(did you mean "streams"\?\)/,
    ],
    ['config: {edition: 3, edtion: 2}\nstreams: {}', /Unknown key "edtion" in "config" \(did you mean "edition"\?\)/],
    [
      'config: {edition: 3}\nstreams:\n  s: {query: SELECT id FROM t, auto_subscibe: true}',
      /\(did you mean "auto_subscribe"\?\)/,
    ],
    ['config: {edition: 3}', /needs "streams"/],
    ['config: {edition: 3}\nstreams:', /2:9 "streams" must be a map, got nothing/],
    ['config: {edition: 4}\nstreams: {}', /1:19 "edition" must be 1, 2 or 3, got 4/],
    ['config: {edition: "3"}\nstreams: {}', /"edition" must be 1, 2 or 3, got "3"/],
    ['streams: {s: {query: SELECT id FROM t}}', /1:1 "streams" of edition 1 are not supported: add "config:"/],
    ['config: {edition: 3}\nbucket_definitions: {}', /2:1 "bucket_definitions" do not exist in edition 3/],
    [
      'config: {edition: 3}\nstreams: {s: {auto_subscribe: yes, query: SELECT id FROM t}}',
      /"auto_subscribe" must be true or false, got "yes"/,
    ],
    [
      'config: {edition: 3}\nstreams: {s: {priority: 4, query: SELECT id FROM t}}',
      /"priority" must be 0, 1, 2 or 3, got 4/,
    ],
    [
      'config: {edition: 3}\nstreams: {s: {}}',
      /2:11 Stream "s" must have exactly one of "query" and "queries", it has neither/,
    ],
    ['config: {edition: 3}\nstreams: {s: {query: a, queries: []}}', /it has both/],
    [
      'config: {edition: 3}\nstreams: {s: {queries: [1]}}',
      /Item 1 of "queries" of stream "s" must be the text of a query, got 1/,
    ],
    ['config: {edition: 3}\nstreams: {1: {queries: []}}', /A key must be a name/],
    ['config: {timestamp_max_precision: seconds}\nbucket_definitions: {}', /needs "timestamps_iso8601: true"/],
    ['config: {edition: 3, timestamp_max_precision: minutes}\nstreams: {}', /must be one of seconds, milliseconds/],
    ['config: {edition: 3, storage_version: 1}\nstreams: {}', /"storage_version" must be 2 or 3, got 1/],
    [
      'config: {edition: 2}\nstreams: {a: {query: x}}\nbucket_definitions: {a: {data: []}}',
      /"a" names a stream as well/,
    ],
    [
      'bucket_definitions: {a: {parameters: [], data: [SELECT id FROM t]}}',
      /"parameters" of bucket definition "a" is empty/,
    ],
    ['config: {edition: 3}\nwith: {}\nstreams: {}', /2:1 "with" is not supported yet/],
    ['streams: &a\n  s: *a', /./],
  ])('%j is refused', (config, message) => {
    expect(saidOf(config).join('\n')).toMatch(message)
  })

  test.each([
    ['config: {edition: 3}\nstreams: {}'],
    ['bucket_definitions: {}'],
    ['bucket_definitions: {a: {data: []}}'],
    ['config: {edition: 3, storage_version: 2}\nstreams: {s: {queries: []}}'],
    ['config: {edition: 2}\nbucket_definitions: {}'],
    ['config: {edition: 3}\nstreams: {a: {query: &q SELECT id FROM t}, b: {query: *q}}'],
    ['config: {edition: 3}\nstreams: {a: {query: SELECT id FROM t}} # !x\n'],
  ])('%j is accepted', (config) => {
    expect(saidOf(config)).toEqual([])
  })

  test('every fault is reported in one run, in the order of the file', () => {
    const config = `
config:
  edition: 3
  edtion: 3
streams:
  one:
    query: SELECT id FROM a ORDER BY id
    priority: 9
  two:
    queries:
      - SELECT id FROM b WHERE x LIKE 'y'
      - SELECT upper(id) AS id FROM c WHERE d > auth.user_id()
`
    expect(saidOf(config).map((line) => line.split(' ')[0])).toEqual(['4:3', '7:29', '8:15', '11:34', '12:16', '12:45'])
  })
})

describe('a place in the file', () => {
  test.each([
    ['plain', 'query: SELECT id FROM t WHERE oops.a = 1'],
    ['plain over two lines', 'query: SELECT id FROM t\n      WHERE oops.a = 1'],
    ['single-quoted', `query: 'SELECT id FROM t WHERE a = ''it''''s'' AND oops.a = 1'`],
    ['double-quoted', `query: "SELECT id FROM t\\n\\tWHERE a = '\\u00e9\\x41' AND oops.a = 1"`],
    ['double-quoted over lines', `query: "SELECT id\n      FROM t \\\n      WHERE oops.a = 1"`],
    ['literal block', 'query: |\n      SELECT id\n\n      FROM t WHERE\n        oops.a = 1'],
    ['folded block', 'query: >-\n      SELECT id\n      FROM t\n\n      WHERE oops.a = 1'],
    ['block with comments', 'query: |\n      -- "quote\n      SELECT id /* oops */\n      FROM t WHERE oops.a = 1'],
  ])('is right in a %s scalar', (_, entry) => {
    const config = `config:\n  edition: 3\nstreams:\n  s:\n    ${entry}\n`
    const before = config.slice(0, config.lastIndexOf('oops')).split('\n')
    const place = `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
    expect(saidOf(config)).toEqual([`${place} Unknown table "oops": expected t`])
  })

  test('comes with its line and a caret under it', () => {
    const [diagnostic] = compileSyncConfig(stream('SELECT id FROM t WHERE oops.a = 1')).diagnostics
    expect(diagnostic?.excerpt).toBe('      SELECT id FROM t WHERE oops.a = 1\n                             ^')
  })
})

