import { test } from 'vitest'
import { streamsConfig } from '../testing/builders.ts'
import { checkExample, exampleTable } from '../testing/worked-example.ts'

const ANN = { sub: 'ann' }
const BOB = { sub: 'bob' }

test('[99, 100, 121, 127] own rows, filtered by another column; a star brings every column', () =>
  checkExample({
    config: streamsConfig({ my_tasks: 'SELECT * FROM tasks WHERE assignee = auth.user_id() AND NOT archived' }),
    tables: [
      exampleTable(
        'tasks',
        'id, assignee, archived bool, _rank int4',
        't1 | ann | f | 1',
        't2 | ann | t | 2',
        't3 | bob | f | 3',
      ),
    ],
    buckets: {
      ann: ['tasks/t1 {"id":"t1","assignee":"ann","archived":0,"_rank":1}'],
      bob: ['tasks/t3 {"id":"t3","assignee":"bob","archived":0,"_rank":3}'],
    },
    requests: [
      { claims: ANN, gets: ['ann'] },
      { claims: ANN, includeDefaults: false, gets: [] },
    ],
  }))

test('[101] each side of OR is a bucket of its own; a row in both is one object', () =>
  checkExample({
    config: streamsConfig({ recipes: 'SELECT id, name FROM recipes WHERE shared OR cook = auth.user_id()' }),
    tables: [
      exampleTable(
        'recipes',
        'id, cook, shared bool, name',
        'r1 | ann | f | Soup',
        'r2 | bob | t | Stew',
        'r3 | ann | t | Pie',
        'r4 | bob | f | Secret',
      ),
    ],
    buckets: {
      ann: ['recipes/r1 {"id":"r1","name":"Soup"}', 'recipes/r3 {"id":"r3","name":"Pie"}'],
      bob: ['recipes/r2 {"id":"r2","name":"Stew"}', 'recipes/r4 {"id":"r4","name":"Secret"}'],
      shared: ['recipes/r2 {"id":"r2","name":"Stew"}', 'recipes/r3 {"id":"r3","name":"Pie"}'],
    },
    requests: [{ claims: ANN, gets: ['ann', 'shared'] }],
  }))

test('[100, 101] a condition on the request decides access and is not stored with rows', () =>
  checkExample({
    config: streamsConfig({
      payroll: `SELECT id, amount FROM payroll WHERE auth.parameter('role') = 'finance' OR person = auth.user_id()`,
    }),
    tables: [exampleTable('payroll', 'id, person, amount numeric', 'p1 | ann | 10.50', 'p2 | bob | 9')],
    buckets: {
      ann: ['payroll/p1 {"id":"p1","amount":"10.50"}'],
      bob: ['payroll/p2 {"id":"p2","amount":"9"}'],
      all: ['payroll/p1 {"id":"p1","amount":"10.50"}', 'payroll/p2 {"id":"p2","amount":"9"}'],
    },
    requests: [
      { claims: { sub: 'ann', role: 'finance' }, gets: ['ann', 'all'] },
      { claims: { sub: 'bob', role: 'clerk' }, gets: ['bob'] },
    ],
  }))

test('[78, 108, 126, 128, 129] subscriptions are a union; two conditions on a column intersect; the smallest priority wins', () =>
  checkExample({
    config: `
config: { edition: 3 }
streams:
  channel:
    priority: 2
    query: |
      SELECT id, text FROM messages
      WHERE channel = subscription.parameter('channel')
        AND channel IN (SELECT channel FROM joined WHERE person = auth.user_id())
`,
    tables: [
      exampleTable('messages', 'id, channel, text', 'm1 | c1 | a', 'm2 | c2 | b', 'm3 | c3 | c'),
      exampleTable('joined', 'id, person, channel', '1 | ann | c1', '2 | ann | c2'),
    ],
    buckets: {
      c1: ['messages/m1 {"id":"m1","text":"a"}'],
      c2: ['messages/m2 {"id":"m2","text":"b"}'],
      c3: ['messages/m3 {"id":"m3","text":"c"}'],
    },
    lookups: { joined: ['["ann"] → ["c1"] ["c2"]'] },
    requests: [
      { claims: ANN, gets: [] },
      {
        claims: ANN,
        subscriptions: [
          { stream: 'channel', parameters: { channel: 'c1' } },
          { stream: 'channel', parameters: { channel: 'c2' }, priority: 0 },
        ],
        gets: ['c1 (priority 2)', 'c2 (priority 0)'],
      },
      { claims: ANN, subscriptions: [{ stream: 'channel', parameters: { channel: 'c3' } }], gets: [] },
      {
        claims: ANN,
        subscriptions: [
          { stream: 'channel', parameters: { channel: 'c1' }, priority: 3 },
          { stream: 'channel', parameters: { channel: 'c1' }, priority: 1 },
        ],
        gets: ['c1 (priority 1)'],
      },
      { claims: ANN, subscriptions: [{ stream: 'channel' }, { stream: 'no such stream' }], gets: [] },
    ],
  }))

test('[105] a subquery in a subquery is looked up in two stages', () =>
  checkExample({
    config: streamsConfig({
      repairs: `SELECT id, job FROM repairs WHERE truck_id IN (
        SELECT id FROM trucks WHERE depot_id IN (SELECT depot_id FROM drivers WHERE person = auth.user_id()))`,
    }),
    tables: [
      exampleTable('repairs', 'id, truck_id, job', 'r1 | t1 | oil', 'r2 | t2 | tyre', 'r3 | t3 | belt'),
      exampleTable('trucks', 'id, depot_id', 't1 | d1', 't2 | d1', 't3 | d2'),
      exampleTable('drivers', 'id, person, depot_id', 'x | ann | d1'),
    ],
    buckets: {
      t1: ['repairs/r1 {"id":"r1","job":"oil"}'],
      t2: ['repairs/r2 {"id":"r2","job":"tyre"}'],
      t3: ['repairs/r3 {"id":"r3","job":"belt"}'],
    },
    lookups: { trucks: ['["d1"] → ["t1"] ["t2"]', '["d2"] → ["t3"]'], drivers: ['["ann"] → ["d1"]'] },
    requests: [
      { claims: ANN, gets: ['t1', 't2'] },
      { claims: BOB, gets: [] },
    ],
  }))

test('[106] values of one row of a joined table stay together', () =>
  checkExample({
    config: streamsConfig({
      stock: `SELECT stock.id, stock.sku FROM stock
        JOIN grants ON grants.country = stock.country AND grants.brand = stock.brand
        WHERE grants.person = auth.user_id()`,
    }),
    tables: [
      exampleTable('stock', 'id, country, brand, sku', '1 | nl | ax | A', '2 | nl | bo | B', '3 | be | ax | C'),
      exampleTable('grants', 'id, person, country, brand', 'g1 | ann | nl | ax', 'g2 | ann | be | bo'),
    ],
    buckets: {
      'be ax': ['stock/3 {"id":"3","sku":"C"}'],
      'nl ax': ['stock/1 {"id":"1","sku":"A"}'],
      'nl bo': ['stock/2 {"id":"2","sku":"B"}'],
    },
    lookups: { grants: ['["ann"] → ["nl","ax"] ["be","bo"]'] },
    requests: [{ claims: ANN, gets: ['nl ax', 'be bo'] }],
  }))

test('[107] values of independent tables combine freely', () =>
  checkExample({
    config: streamsConfig({
      prices: `SELECT id, amount FROM prices
        WHERE region IN (SELECT region FROM areas WHERE person = auth.user_id())
          AND list IN (SELECT list FROM lists WHERE person = auth.user_id())`,
    }),
    tables: [
      exampleTable('prices', 'id, region, list, amount int4', '1 | n | std | 5', '2 | s | vip | 4', '3 | n | b2b | 3'),
      exampleTable('areas', 'id, person, region', 'a | ann | n', 'b | ann | s'),
      exampleTable('lists', 'id, person, list', 'c | ann | std', 'd | ann | vip'),
    ],
    buckets: {
      'n b2b': ['prices/3 {"id":"3","amount":3}'],
      'n std': ['prices/1 {"id":"1","amount":5}'],
      's vip': ['prices/2 {"id":"2","amount":4}'],
    },
    lookups: { areas: ['["ann"] → ["n"] ["s"]'], lists: ['["ann"] → ["std"] ["vip"]'] },
    requests: [{ claims: ANN, gets: ['n std', 'n vip', 's std', 's vip'] }],
  }))

test('[109] a user who is in an array of the row', () =>
  checkExample({
    config: streamsConfig({ threads: 'SELECT id, subject FROM threads WHERE auth.user_id() IN members' }),
    tables: [
      exampleTable('threads', 'id, members text[], subject', 't1 | {ann,bob} | x', 't2 | {} | y', 't3 | NULL | z'),
    ],
    buckets: { ann: ['threads/t1 {"id":"t1","subject":"x"}'], bob: ['threads/t1 {"id":"t1","subject":"x"}'] },
    requests: [{ claims: BOB, gets: ['bob'] }],
  }))

test('[27, 109] a column that is in an array of the token', () =>
  checkExample({
    config: streamsConfig({ outlets: "SELECT id, city FROM outlets WHERE region_no IN auth.parameter('regions')" }),
    tables: [exampleTable('outlets', 'id, region_no int4, city', 'o1 | 1 | Oslo', 'o2 | 2 | Bern', 'o3 | 3 | Rome')],
    buckets: {
      1: ['outlets/o1 {"id":"o1","city":"Oslo"}'],
      2: ['outlets/o2 {"id":"o2","city":"Bern"}'],
      3: ['outlets/o3 {"id":"o3","city":"Rome"}'],
    },
    requests: [
      { claims: { sub: 'x', regions: [1, 3] }, gets: ['1', '3'] },
      { claims: { sub: 'x', regions: [] }, gets: [] },
      { claims: { sub: 'x' }, gets: [] },
    ],
  }))

test('[109, 125] arrays on both sides; an element that is named twice counts once', () =>
  checkExample({
    config: streamsConfig({ tagged: "SELECT id FROM posts WHERE tags && auth.parameter('likes')" }),
    tables: [exampleTable('posts', 'id, tags jsonb', 'p1 | ["a","b"]', 'p2 | ["c"]', 'p3 | ["b","b"]')],
    buckets: {
      a: ['posts/p1 {"id":"p1"}'],
      b: ['posts/p1 {"id":"p1"}', 'posts/p3 {"id":"p3"}'],
      c: ['posts/p2 {"id":"p2"}'],
    },
    requests: [
      { claims: { sub: 'x', likes: ['b', 'z'] }, gets: ['b', 'z'] },
      { claims: { sub: 'x', likes: ['a', 'b'] }, gets: ['a', 'b'] },
      { claims: { sub: 'x', likes: ['b', 'b', null] }, gets: ['b'] },
    ],
  }))

test('[111] a value of the request in a subquery asks whether there is such a row', () =>
  checkExample({
    config: streamsConfig({
      handbook:
        'SELECT id, page FROM handbook WHERE auth.user_id() IN (SELECT person FROM employees WHERE NOT suspended)',
    }),
    tables: [
      exampleTable('handbook', 'id, page', 'h1 | Welcome'),
      exampleTable('employees', 'id, person, suspended bool', '1 | ann | f', '2 | bob | t'),
    ],
    buckets: { all: ['handbook/h1 {"id":"h1","page":"Welcome"}'] },
    lookups: { employees: ['["ann"] → []'] },
    requests: [
      { claims: ANN, gets: ['all'] },
      { claims: BOB, gets: [] },
      { claims: { sub: 'eve' }, gets: [] },
    ],
  }))

test('[102] OR below AND is distributed, and every other condition stays on each side', () =>
  checkExample({
    config: streamsConfig({
      files: `SELECT id FROM files
        WHERE tenant = auth.parameter('tenant')
          AND (owner = auth.user_id() OR id IN (SELECT file FROM shares WHERE person = auth.user_id()))`,
    }),
    tables: [
      exampleTable('files', 'id, tenant, owner', 'f1 | T | ann', 'f2 | T | bob', 'f3 | U | ann', 'f4 | U | bob'),
      exampleTable('shares', 'id, person, file', 's1 | ann | f2', 's2 | ann | f4'),
    ],
    buckets: {
      'T ann': ['files/f1 {"id":"f1"}'],
      'T bob': ['files/f2 {"id":"f2"}'],
      'U ann': ['files/f3 {"id":"f3"}'],
      'U bob': ['files/f4 {"id":"f4"}'],
      'T f1': ['files/f1 {"id":"f1"}'],
      'T f2': ['files/f2 {"id":"f2"}'],
      'U f3': ['files/f3 {"id":"f3"}'],
      'U f4': ['files/f4 {"id":"f4"}'],
    },
    lookups: { shares: ['["ann"] → ["f2"] ["f4"]'] },
    requests: [{ claims: { sub: 'ann', tenant: 'T' }, gets: ['T ann', 'T f2', 'T f4'] }],
  }))

test('[55, 103] NOT goes to the parts of a condition, and NOT NULL is true', () =>
  checkExample({
    config: streamsConfig({
      shifts: `SELECT id, state FROM shifts
        WHERE NOT (state = 'draft' OR cancelled) AND state NOT IN ARRAY['hidden', 'old'] AND ward = auth.parameter('ward')`,
    }),
    tables: [
      exampleTable(
        'shifts',
        'id, state, cancelled bool, ward',
        '1 | open | f | w',
        '2 | draft | f | w',
        '3 | open | t | w',
        '4 | old | f | w',
        '5 | NULL | NULL | w',
      ),
    ],
    buckets: { w: ['shifts/1 {"id":"1","state":"open"}', 'shifts/5 {"id":"5","state":null}'] },
    requests: [{ claims: { sub: 'x', ward: 'w' }, gets: ['w'] }],
  }))
