import { describe, expect, test } from 'vitest'
import { type ConfigFile, readConfigFile } from './config-file.ts'
import { Problems } from './diagnostics.ts'

type Reading = {
  readonly file: ConfigFile | undefined
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

/** What is read, and what is said about it as `line:column message`. */
function read(text: string): Reading {
  const problems = new Problems(text)
  const file = readConfigFile(text, problems)
  const said = (wanted: string): readonly string[] =>
    problems
      .list()
      .flatMap(({ severity, line, column, message }) => (severity === wanted ? [`${line}:${column} ${message}`] : []))
  return { file, errors: said('error'), warnings: said('warning') }
}

const E3 = 'config: {edition: 3}\n'
const Q = 'query: SELECT id FROM t'

describe('a file', () => {
  test.each([
    ['a: [', /1:\d+ Cannot read the file as YAML/],
    ['streams: {}\n---\nstreams: {}', /2:1 .*a second document begins here/],
    ['streams: {}\nstreams: {}', /2:1 .*this key stands twice/],
    [`${E3}streams:\n  s:\n    query: SELECT a: b\n`, /4:\d+ .*put a text with ": " in quotes, or below "|"/],
    ['- a', /1:1 A sync config must be a map/],
    ['', /must be a map/],
    ['%YAML 1.1\n---\nstreams: {}', /1:1 The file must be YAML 1.2, got "%YAML 1.1"/],
    [`${E3}streams: {}\nstreems: {}`, /3:1 Unknown key "streems" at the top level \(did you mean "streams"\?\)/],
    [
      'config: {edition: 3, edtion: 2}\nstreams: {}',
      /1:22 Unknown key "edtion" in "config" \(did you mean "edition"\?\)/,
    ],
    [
      `${E3}streams:\n  s: {${Q}, auto_subscibe: true}`,
      /3:\d+ Unknown key .* in stream "s" \(did you mean "auto_subscribe"\?\)/,
    ],
    [
      'bucket_definitions: {d: {data: [], query: x}}',
      /1:36 Unknown key "query" in bucket definition "d": expected "data"/,
    ],
    [`${E3}streams: {s: {<<: {}, ${Q}}}`, /YAML 1.2 does not merge maps by "<<"/],
    [E3, /1:1 A sync config needs "streams" \(with "edition: 3" in "config"\) or "bucket_definitions"/],
    [`${E3}streams:`, /2:9 "streams" must be a map, got nothing/],
    ['config:\nbucket_definitions: {}', /1:8 "config" must be a map, got nothing/],
    [`${E3}streams: {s: SELECT id FROM t}`, /2:14 Stream "s" must be a map, got "SELECT id FROM t"/],
    ['config: {edition: 4}\nstreams: {}', /1:19 "edition" of "config" must be 1, 2 or 3, got 4/],
    ['config: {edition: 2.5}\nstreams: {}', /must be 1, 2 or 3, got 2.5/],
    ['config: {edition: "3"}\nstreams: {}', /must be 1, 2 or 3, got "3": write it without quotes/],
    [`streams: {s: {${Q}}}`, /1:1 "streams" does not exist in edition 1: write "config:" with "edition: 3" below it/],
    [`${E3}bucket_definitions: {}`, /2:1 "bucket_definitions" does not exist in edition 3: write them as "streams"/],
    ['config: {edition: 2}\nstreams: {}\nwith: {}', /3:1 "with" does not exist in edition 2/],
    [
      'config: {edition: 2}\nstreams: {s: {queries: []}}',
      /2:15 "queries" does not exist in edition 2: .*or write "query"/,
    ],
    [`config: {edition: 2}\nstreams: {s: {${Q}, with: {}}}`, /"with" does not exist in edition 2/],
    [`${E3}streams: {s: {auto_subscribe: yes, ${Q}}}`, /must be true or false, got "yes": YAML 1.2 has no other words/],
    [`${E3}streams: {s: {auto_subscribe: 1, ${Q}}}`, /"auto_subscribe" of stream "s" must be true or false, got 1/],
    [`${E3}streams: {s: {auto_subscribe: "true", ${Q}}}`, /must be true or false, got "true": write it without quotes/],
    [`${E3}streams: {s: {priority: 4, ${Q}}}`, /2:25 "priority" of stream "s" must be 0, 1, 2 or 3, got 4/],
    [`${E3}streams: {s: {priority: 1.5, ${Q}}}`, /must be 0, 1, 2 or 3, got 1.5/],
    [
      'bucket_definitions: {d: {data: [], priority: -1}}',
      /"priority" of bucket definition "d" must be 0, 1, 2 or 3, got -1/,
    ],
    [`${E3}streams: {s: {}}`, /2:11 Stream "s" must have exactly one of "query" and "queries", it has neither/],
    [`${E3}streams: {s: {query: a, queries: []}}`, /it has both/],
    [`${E3}streams: {s: {queries: [1]}}`, /2:25 Item 1 of "queries" of stream "s" must be the text of a query, got 1/],
    ['bucket_definitions: {d: {}}', /1:22 Bucket definition "d" needs "data": a list of queries/],
    [
      'bucket_definitions: {d: {data: SELECT 1}}',
      /"data" of bucket definition "d" must be a list of queries, got "SELECT 1"/,
    ],
    [
      'bucket_definitions: {d: {data: [[x]]}}',
      /Item 1 of "data" of bucket definition "d" must be the text of a query, got a list/,
    ],
    ['bucket_definitions: {d: {data: [], parameters: {}}}', /must be a query or a list of queries, got a map/],
    ['bucket_definitions: {d: {data: [], parameters: !!binary aGk=}}', /got a value of the type/],
    [`${E3}streams: {1: {${Q}}}`, /2:11 A key must be a name: put numbers and the like in quotes/],
    [`${E3}streams: {~: {${Q}}}`, /A key must be a name/],
    [`${E3}streams: {s: {${Q}, with: {a: 1}}}`, /Common table expression "a" must be the text of a query, got 1/],
    [`${E3}with: [a]\nstreams: {}`, /2:7 "with" must be a map, got a list/],
    ['bucket_definitions: {}\nevent_definitions: {e: {}}', /2:21 Event "e" needs "payloads"/],
    [
      'config: {timestamp_max_precision: seconds}\nbucket_definitions: {}',
      /"timestamp_max_precision" needs "timestamps_iso8601: true"/,
    ],
    [
      'config: {edition: 3, timestamps_iso8601: false, timestamp_max_precision: seconds}\nstreams: {}',
      /1:\d+ "timestamp_max_precision" needs/,
    ],
    [
      'config: {edition: 3, timestamp_max_precision: second}\nstreams: {}',
      /must be one of seconds, .*, got "second" \(did you mean "seconds"\?\)/,
    ],
    ['config: {edition: 3, storage_version: 1}\nstreams: {}', /"storage_version" of "config" must be 2 or 3, got 1/],
    ['config: {edition: 2, unstable_sqlite_expression_engine: true}\nbucket_definitions: {}', /needs "edition: 3"/],
    [
      'config: {edition: 3, unstable_sqlite_expression_engine: true, fixed_json_extract: false}\nstreams: {}',
      /needs "fixed_json_extract: true"/,
    ],
    [
      `config: {edition: 2}\nstreams: {a: {${Q}}}\nbucket_definitions: {a: {data: []}}`,
      /3:22 "a" names a stream as well/,
    ],
    [
      'bucket_definitions: {a: {parameters: [], data: [SELECT id FROM t]}}',
      /1:26 "parameters" of bucket definition "a" is empty/,
    ],
    ['streams: *a', /1:10 The alias "\*a" has no anchor "&a" before it/],
    ['streams: &a\n  s: *a', /2:6 The alias "\*a" stands inside what it stands for/],
    ['['.repeat(20_000), /Cannot read the file as YAML|nested deeper/],
    [`a: ${'['.repeat(30)}${']'.repeat(30)}`, /nested deeper than 16 levels/],
  ])('%j is refused', (text, message) => {
    expect(read(text).errors.join('\n')).toMatch(message)
  })

  test.each([
    [`${E3}streams: {}`],
    ['bucket_definitions: {}'],
    ['bucket_definitions: {a: {data: []}}'],
    ['bucket_definitions: {a: {data: [], parameters: []}}'],
    ['config: {edition: 3, storage_version: 2}\nstreams: {s: {queries: []}}'],
    ['config: {edition: 2}\nbucket_definitions: {}'],
    [`${E3}streams: {a: {query: &q SELECT id FROM t}, b: {query: *q}, c: &c {queries: [*q]}, d: *c}`],
    [`${E3}streams: {s: {query: !accept_potentially_dangerous_queries SELECT id FROM t}}`],
    [
      'bucket_definitions: !accept_potentially_dangerous_queries\n  a: {data: !accept_potentially_dangerous_queries []}',
    ],
    ['config: {edition: 3.0}\nstreams: {s: {query: "", priority: 1.0}}'],
    ['config: {edition: 1, timestamps_iso8601: True, timestamp_max_precision: seconds}\nbucket_definitions: {}'],
    ['config: {unstable_sqlite_expression_engine: false}\nbucket_definitions: {}'],
  ])('%j is accepted without a word', (text) => {
    const { errors, warnings } = read(text)
    expect([...errors, ...warnings]).toEqual([])
  })

  test.each([
    [
      'config: {edition: 3, storage_version: 3}\nstreams: {}',
      /1:\d+ "storage_version" has no effect here, and 3 is not stable/,
    ],
    [`config: {edition: 2}\nstreams: {s: {${Q}}}`, /2:1 Streams of edition 2 are read by older rules.*"edition: 3"/],
    [
      `config: {edition: 2}\nstreams: {s: {${Q}, priority: 1}}`,
      /2:\d+ "priority" of a stream has no effect in edition 2/,
    ],
    [
      'bucket_definitions: {}\nevent_definitions: {e: {payloads: [], payload: 1}}',
      /"payload" in event "e" has no effect \(did you mean "payloads"\?\)/,
    ],
    [`${E3}streams: !include {}`, /2:10 Unresolved tag: !include: it has no effect/],
  ])('%j is accepted with a warning', (text, message) => {
    const { errors, warnings } = read(text)
    expect(errors).toEqual([])
    expect(warnings.join('\n')).toMatch(message)
  })

  test('everything wrong with the structure is reported in one run, in the order of the file', () => {
    const { errors } = read(`
config:
  edition: 3
  edtion: 3
  storage_version: "2"
  timestamp_max_precision: days
streams:
  one: {priority: 9, query: SELECT 1, auto_subscribe: on}
  one: {}
  two:
    queries: [a, [b], 1]
    quer: x
  3: {}
  four:
with: {a: 1}
bucket_definitions: {}
`)
    expect(errors.map((line) => line.split(' ')[0])).toEqual(
      '4:3 5:20 6:28 8:19 8:55 9:3 9:3 11:18 11:23 12:5 13:3 14:8 15:11 16:1'.split(' '),
    )
  })

  test('a wrong edition is told at the sections it lacks, and the queries are read by the edition that was meant', () => {
    const streams = `streams: {s: {queries: [SELECT 1], with: {a: SELECT 2}, priority: 1}}\nwith: {b: SELECT 3}`
    const forgotten = read(streams)
    expect(forgotten.errors.map((line) => line.slice(0, 3))).toEqual(['1:1', '2:1'])
    expect(forgotten.file).toMatchObject({ edition: 3, ctes: [{ name: 'b' }], streams: [{ ctes: [{ name: 'a' }] }] })
    const definitions = read(`${E3}bucket_definitions: {d: {data: [SELECT 1]}}`)
    expect(definitions.errors).toHaveLength(1)
    expect(definitions.file).toMatchObject({ edition: 2, definitions: [{ name: 'd' }] })
  })
})

describe('what is read', () => {
  test('everything of streams, CTEs and events', () => {
    const { file } = read(`
config: {edition: 3}
with: {everywhere: SELECT 1}
streams:
  a: {query: SELECT 2}
  b:
    queries: [SELECT 3, SELECT 4]
    with: {here: SELECT 5}
    auto_subscribe: true
    priority: 0
    accept_potentially_dangerous_queries: true
event_definitions:
  e: {payloads: [SELECT 6]}
`)
    const texts = (queries: readonly { readonly text: string }[] = []): readonly string[] =>
      queries.map(({ text }) => text)
    expect(file?.ctes.map(({ name, query }) => [name, query.text])).toEqual([['everywhere', 'SELECT 1']])
    expect(file?.streams.map((stream) => [stream.name, texts(stream.queries), stream.ctes.length])).toEqual([
      ['a', ['SELECT 2'], 0],
      ['b', ['SELECT 3', 'SELECT 4'], 1],
    ])
    expect(file?.streams[0]).toMatchObject({ autoSubscribe: false, priority: 3, acceptDangerous: false, offset: 62 })
    expect(file?.streams[1]).toMatchObject({ autoSubscribe: true, priority: 0, acceptDangerous: true })
    expect(file?.events.map(({ name, payloads }) => [name, texts(payloads)])).toEqual([['e', ['SELECT 6']]])
  })

  test('everything of bucket definitions', () => {
    const { file } = read(`
bucket_definitions:
  a: {data: [SELECT 1], parameters: SELECT 2, priority: 1}
  b: {data: [], parameters: [SELECT 3, SELECT 4], accept_potentially_dangerous_queries: true}
  c: {data: [SELECT 5]}
`)
    expect(file?.edition).toBe(1)
    expect(file?.definitions.map(({ parameters }) => parameters?.map(({ text }) => text))).toEqual([
      ['SELECT 2'],
      ['SELECT 3', 'SELECT 4'],
      undefined,
    ])
    expect(file?.definitions).toMatchObject([
      { priority: 1, acceptDangerous: false },
      { priority: undefined, acceptDangerous: true },
      { priority: undefined },
    ])
  })

  test('streams of edition 2 have the priority 3, whatever they say', () => {
    expect(read(`config: {edition: 2}\nstreams: {s: {${Q}, priority: 0}}`).file?.streams[0]?.priority).toBe(3)
  })

  const OFF = {
    customTypes: false,
    fixedJsonExtract: false,
    engine: 'default',
    times: { iso: false, fractionDigits: 6 },
  }
  const ON = { customTypes: true, fixedJsonExtract: true, engine: 'default', times: { iso: true, fractionDigits: 6 } }

  test.each([
    ['', OFF],
    ['edition: 1', OFF],
    ['edition: 2', ON],
    ['edition: 3', ON],
    ['timestamps_iso8601: true, custom_postgres_types: true, fixed_json_extract: true', ON],
    ['edition: 2, timestamps_iso8601: false, custom_postgres_types: false, fixed_json_extract: false', OFF],
    ['edition: 2, fixed_json_extract: false', { ...ON, fixedJsonExtract: false }],
    ['edition: 2, timestamp_max_precision: seconds', { ...ON, times: { iso: true, fractionDigits: 0 } }],
    ['edition: 2, timestamp_max_precision: milliseconds', { ...ON, times: { iso: true, fractionDigits: 3 } }],
    ['edition: 2, timestamp_max_precision: nanoseconds', ON],
    ['edition: 3, unstable_sqlite_expression_engine: true', { ...ON, engine: 'sqlite' }],
  ])('the flags of {%s}', (config, values) => {
    const section = config.startsWith('edition: 3') ? 'streams: {}' : 'bucket_definitions: {}'
    const { file, errors } = read(`${config === '' ? '' : `config: {${config}}\n`}${section}`)
    expect(errors).toEqual([])
    expect(file).toMatchObject({ values, fixedJsonExtract: values.fixedJsonExtract })
  })
})

describe('the place of each character of a query', () => {
  test.each([
    ['plain', 'query: SELECT id FROM t WHERE oops.a = 1'],
    ['plain over two lines', 'query: SELECT id FROM t\n      WHERE oops.a = 1'],
    ['plain over lines with an empty one between', 'query: SELECT id FROM t\n\n      WHERE\n      oops.a = 1'],
    ['plain with an anchor and a tag', 'query: &q !accept_potentially_dangerous_queries SELECT oops.a'],
    ['plain on the next line', 'query:\n      SELECT oops.a'],
    ['single-quoted', `query: 'SELECT id FROM t WHERE a = ''it''''s'' AND oops.a = 1'`],
    ['single-quoted over lines', `query: 'SELECT id\n\n      FROM t WHERE a = ''x'' AND oops.a = 1'`],
    ['double-quoted', `query: "SELECT id FROM t\\n\\tWHERE a = '\\u00e9\\x41' AND oops.a = 1"`],
    [
      'double-quoted with every escape',
      String.raw`query: "SELECT '\0\a\b\t\n\v\f\r\e\"\/\\ \ \N\_\L\P\x41\u0041\U0001F600' oops"`,
    ],
    ['double-quoted over lines', `query: "SELECT id\n      FROM t \\\n      WHERE oops.a = 1"`],
    ['literal block', 'query: |\n      SELECT id\n\n      FROM t WHERE\n        oops.a = 1'],
    ['literal block with an indent of its own', 'query: |2\n        SELECT id\n      FROM oops'],
    ['literal block with a comment behind its mark', 'query: |- # a comment\n      SELECT oops.id'],
    ['folded block', 'query: >-\n      SELECT id\n      FROM t\n\n      WHERE oops.a = 1'],
    ['folded block with deeper lines', 'query: >+\n      SELECT id\n        FROM t\n      WHERE oops.a = 1\n\n'],
    ['block with comments', 'query: |\n      -- "quote\n      SELECT id /* \' */\n      FROM t WHERE oops.a = 1'],
    ['text with characters of two units', `query: "SELECT '😀\\U0001F600é' AS oops FROM t"`],
    ['item of a list', 'queries:\n      - SELECT 1\n      - SELECT oops.a'],
    ['item of a list in brackets', 'queries: [SELECT 1, "SELECT \\\n      oops.a"]'],
  ])('is right in a %s', (_, entry) => {
    for (const newline of ['\n', '\r\n']) {
      const text = `config:\n  edition: 3\nstreams:\n  s:\n    ${entry}\n`.replaceAll('\n', newline)
      const { file, errors } = read(text)
      expect(errors).toEqual([])
      const query = file?.streams[0]?.queries.at(-1)
      const index = query?.text.lastIndexOf('oops') ?? -1
      expect(index).toBeGreaterThan(0)
      expect(query?.offsetAt(index)).toBe(text.lastIndexOf('oops'))
      expect(query?.offsetAt(index + 3)).toBe(text.lastIndexOf('oops') + 3)
    }
  })

  test('of a query that an alias stands for is where the query is written', () => {
    const text = `${E3}streams: {a: {query: &q SELECT oops}, b: {query: *q}}`
    const query = read(text).file?.streams[1]?.queries[0]
    expect(query?.offsetAt(query.text.indexOf('oops'))).toBe(text.indexOf('oops'))
  })
})
