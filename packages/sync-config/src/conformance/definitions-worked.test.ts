import { test } from 'vitest'
import { checkExample, exampleTable } from '../testing/worked-example.ts'

const ANN = { sub: 'ann' }
const BOB = { sub: 'bob' }

test('[5, 17, 95, 96] a definition without parameters is one bucket for everybody', () =>
  checkExample({
    config: `
bucket_definitions:
  reference:
    data:
      - SELECT * FROM currencies
      - SELECT code AS id, name FROM country_codes AS countries WHERE NOT retired
`,
    tables: [
      exampleTable('currencies', 'id, symbol, _loaded_at', 'EUR | € | 2024-01-01'),
      exampleTable(
        'country_codes',
        'code, name, retired bool',
        'NL | Netherlands | f',
        'SU | Soviet Union | t',
        'XX | Unknown | NULL',
      ),
    ],
    buckets: {
      all: [
        'currencies/EUR {"id":"EUR","symbol":"€"}',
        'countries/NL {"id":"NL","name":"Netherlands"}',
        'countries/XX {"id":"XX","name":"Unknown"}',
      ],
    },
    requests: [{ claims: ANN, gets: ['all'] }],
  }))

test('[28, 83, 127] a static parameter query gives each user a bucket, which may hold nothing', () =>
  checkExample({
    config: `
bucket_definitions:
  my_loans:
    parameters: SELECT request.user_id() AS reader
    data:
      - SELECT id, title, due FROM loans WHERE reader_id = bucket.reader
`,
    tables: [
      exampleTable(
        'loans',
        'id, reader_id, title, due date',
        'l1 | ann | Emma | 2024-05-01',
        'l2 | bob | Ulysses | NULL',
        'l3 | NULL | Lost | NULL',
      ),
    ],
    buckets: {
      ann: ['loans/l1 {"id":"l1","title":"Emma","due":"2024-05-01"}'],
      bob: ['loans/l2 {"id":"l2","title":"Ulysses","due":null}'],
    },
    requests: [
      { claims: ANN, gets: ['ann'] },
      { claims: { sub: 'zoe' }, gets: ['zoe'] },
      { claims: {}, gets: ['nobody'] },
      { claims: ANN, includeDefaults: false, gets: [] },
    ],
  }))

test('[84] a parameter query over a table combines its columns with values of the token', () =>
  checkExample({
    config: `
bucket_definitions:
  branch:
    parameters: |
      SELECT branch_id, request.jwt() ->> 'tier' AS tier
      FROM staff WHERE person = request.user_id() AND active
    data:
      - SELECT id, name FROM shelves WHERE branch = bucket.branch_id AND tier = bucket.tier
`,
    tables: [
      exampleTable(
        'staff',
        'id, person, branch_id, active bool',
        '1 | ann | north | t',
        '2 | ann | south | f',
        '3 | bob | south | t',
      ),
      exampleTable(
        'shelves',
        'id, branch, tier, name',
        's1 | north | gold | Poetry',
        's2 | north | base | Prose',
        's3 | south | gold | Maps',
      ),
    ],
    buckets: {
      'north base': ['shelves/s2 {"id":"s2","name":"Prose"}'],
      'north gold': ['shelves/s1 {"id":"s1","name":"Poetry"}'],
      'south gold': ['shelves/s3 {"id":"s3","name":"Maps"}'],
    },
    lookups: { staff: ['["ann"] → ["north"]', '["bob"] → ["south"]'] },
    requests: [
      { claims: { sub: 'ann', tier: 'gold' }, gets: ['north gold'] },
      { claims: { sub: 'bob', tier: 'base' }, gets: ['south base'] },
      { claims: { sub: 'bob', tier: 'gold' }, gets: ['south gold'] },
    ],
  }))

test('[83, 97] a filter on the token decides access, and a query sets the priority of its buckets', () =>
  checkExample({
    config: `
bucket_definitions:
  audit:
    parameters: SELECT 0 AS _priority WHERE request.jwt() ->> 'role' = 'auditor'
    data:
      - SELECT id, line FROM audit_log
`,
    tables: [exampleTable('audit_log', 'id int8, line', '7 | opened')],
    buckets: { all: ['audit_log/7 {"id":7,"line":"opened"}'] },
    requests: [
      { claims: { sub: 'ann', role: 'auditor' }, gets: ['all (priority 0)'] },
      { claims: { sub: 'bob', role: 'clerk' }, gets: [] },
      { claims: { sub: 'cy' }, gets: [] },
    ],
  }))

test('[85] a column that is in an array of the request is looked up once per element', () =>
  checkExample({
    config: `
bucket_definitions:
  picked:
    accept_potentially_dangerous_queries: true
    parameters: SELECT id AS room FROM rooms WHERE code IN (request.parameters() -> 'codes') AND open
    data:
      - SELECT id, topic FROM sessions WHERE room_id = bucket.room
`,
    tables: [
      exampleTable('rooms', 'id, code int4, open bool', 'r1 | 1 | t', 'r2 | 2 | t', 'r3 | 3 | f'),
      exampleTable('sessions', 'id, room_id, topic', 'a | r1 | intro', 'b | r2 | deep', 'c | r3 | closed'),
    ],
    buckets: {
      r1: ['sessions/a {"id":"a","topic":"intro"}'],
      r2: ['sessions/b {"id":"b","topic":"deep"}'],
      r3: ['sessions/c {"id":"c","topic":"closed"}'],
    },
    lookups: { rooms: ['[1] → ["r1"]', '[2] → ["r2"]'] },
    requests: [
      { claims: { sub: 'x' }, parameters: { codes: [1, 2, 3] }, gets: ['r1', 'r2'] },
      { claims: { sub: 'x' }, parameters: { codes: [2, 2, null, '1', 1.5] }, gets: ['r2'] },
      { claims: { sub: 'x' }, parameters: { codes: 1 }, gets: [] },
      { claims: { sub: 'x' }, parameters: { codes: { a: 1 } }, gets: [] },
      { claims: { sub: 'x' }, gets: [] },
    ],
  }))

test('[87] a table-valued parameter query gives a bucket for each element that passes', () =>
  checkExample({
    config: `
bucket_definitions:
  dept:
    parameters: |
      SELECT d.value AS dept FROM json_each(request.jwt() -> 'depts') AS d WHERE d.value != 'hr'
    data:
      - SELECT id FROM memos WHERE dept = bucket.dept
`,
    tables: [exampleTable('memos', 'id, dept', 'm1 | it', 'm2 | hr')],
    buckets: { hr: ['memos/m2 {"id":"m2"}'], it: ['memos/m1 {"id":"m1"}'] },
    requests: [
      { claims: { sub: 'x', depts: ['it', 'hr', 'law'] }, gets: ['it', 'law'] },
      { claims: { sub: 'x' }, gets: [] },
    ],
  }))

test('[86] a row with an array is in the bucket of every element', () =>
  checkExample({
    config: `
bucket_definitions:
  inbox:
    parameters: SELECT request.user_id() AS who
    data:
      - SELECT id, text FROM mails WHERE bucket.who IN recipients
`,
    tables: [
      exampleTable(
        'mails',
        'id, recipients jsonb, text',
        'm1 | ["ann","bob"] | hi',
        'm2 | [] | draft',
        'm3 | NULL | none',
        'm4 | ["bob", "bob", null] | twice',
      ),
    ],
    buckets: {
      ann: ['mails/m1 {"id":"m1","text":"hi"}'],
      bob: ['mails/m1 {"id":"m1","text":"hi"}', 'mails/m4 {"id":"m4","text":"twice"}'],
    },
    requests: [
      { claims: ANN, gets: ['ann'] },
      { claims: BOB, gets: ['bob'] },
    ],
  }))

test('[88, 93, 125] several parameter queries are a union, and both sides of OR may use the parameter', () =>
  checkExample({
    config: `
bucket_definitions:
  plot:
    parameters:
      - SELECT id AS plot FROM plots WHERE owner = request.user_id()
      - SELECT plot_id AS plot FROM helpers WHERE person = request.user_id()
    data:
      - SELECT id, name FROM plots WHERE id = bucket.plot
      - SELECT id, crop FROM beds WHERE plot_a = bucket.plot OR plot_b = bucket.plot
`,
    tables: [
      exampleTable('plots', 'id, owner, name', 'p1 | ann | Hill', 'p2 | bob | Dale'),
      exampleTable('helpers', 'id, person, plot_id', 'h1 | ann | p2', 'h2 | bob | p2'),
      exampleTable('beds', 'id, plot_a, plot_b, crop', 'b1 | p1 | p2 | rye', 'b2 | p2 | p2 | oat'),
    ],
    buckets: {
      p1: ['plots/p1 {"id":"p1","name":"Hill"}', 'beds/b1 {"id":"b1","crop":"rye"}'],
      p2: [
        'plots/p2 {"id":"p2","name":"Dale"}',
        'beds/b1 {"id":"b1","crop":"rye"}',
        'beds/b2 {"id":"b2","crop":"oat"}',
      ],
    },
    lookups: { plots: ['["ann"] → ["p1"]', '["bob"] → ["p2"]'], helpers: ['["ann"] → ["p2"]', '["bob"] → ["p2"]'] },
    requests: [
      { claims: ANN, gets: ['p1', 'p2'] },
      { claims: BOB, gets: ['p2'] },
    ],
  }))

test('[49, 50, 96] a wildcard table reads every table of the prefix, whose suffix is a column', () =>
  checkExample({
    config: `
bucket_definitions:
  readings:
    parameters: SELECT request.jwt() ->> 'site' AS site
    data:
      - SELECT id, value, _table_suffix AS year FROM "readings_%" AS readings WHERE site = bucket.site
      - SELECT id, note FROM "notes_%" WHERE site = bucket.site
`,
    tables: [
      exampleTable('readings_2023', 'id, site, value float8', 'a | s1 | 1.5'),
      exampleTable('readings_2024', 'id, site, value float8', 'b | s1 | 2'),
      exampleTable('notes_x', 'id, site, note', 'n | s1 | ok'),
      exampleTable('notes', 'id, site, note', 'n | s1 | no'),
    ],
    buckets: {
      s1: [
        'readings/a {"id":"a","value":1.5,"year":"2023"}',
        'readings/b {"id":"b","value":2.0,"year":"2024"}',
        'notes_x/n {"id":"n","note":"ok"}',
      ],
    },
    requests: [{ claims: { sub: 'x', site: 's1' }, gets: ['s1'] }],
  }))

test('[12, 130] a stream of edition 2 takes OR, IN and a subquery; a row in two buckets is one row', () =>
  checkExample({
    config: `
config:
  edition: 2
streams:
  docs:
    auto_subscribe: true
    priority: 1
    query: |
      SELECT id, title FROM docs
      WHERE owner = auth.user_id()
         OR folder IN (SELECT folder FROM shares WHERE person = auth.user_id())
`,
    tables: [
      exampleTable('docs', 'id, owner, folder, title', 'd1 | ann | f1 | A', 'd2 | bob | f1 | B', 'd3 | bob | f2 | C'),
      exampleTable('shares', 'id, person, folder', 's1 | ann | f1'),
    ],
    buckets: {
      'of ann': ['docs/d1 {"id":"d1","title":"A"}'],
      'of bob': ['docs/d2 {"id":"d2","title":"B"}', 'docs/d3 {"id":"d3","title":"C"}'],
      'in f1': ['docs/d1 {"id":"d1","title":"A"}', 'docs/d2 {"id":"d2","title":"B"}'],
      'in f2': ['docs/d3 {"id":"d3","title":"C"}'],
    },
    lookups: { shares: ['["ann"] → ["f1"]'] },
    requests: [
      { claims: ANN, gets: ['of ann', 'in f1'] },
      { claims: BOB, gets: ['of bob'] },
      { claims: BOB, subscriptions: [{ stream: 'docs', priority: 0 }], gets: ['of bob (priority 0)'] },
    ],
  }))
