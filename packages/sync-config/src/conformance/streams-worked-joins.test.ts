import { expect, test } from 'vitest'
import { streamsConfig } from '../testing/builders.ts'
import { checkExample, describeTable, exampleTable, rowOf, storageOf, toRequest } from '../testing/worked-example.ts'

const ANN = { sub: 'ann' }
const BOB = { sub: 'bob' }

test('[104, 115, 123] a CTE that several queries use; queries with the same values share a bucket', () =>
  checkExample({
    config: `
config: { edition: 3 }
streams:
  care:
    auto_subscribe: true
    with:
      my_patients: SELECT patient_id FROM care_team WHERE person = auth.user_id()
    queries:
      - SELECT * FROM patients WHERE id IN my_patients
      - SELECT visits.* FROM visits, my_patients AS mp WHERE visits.patient_id = mp.patient_id
      - SELECT * FROM wards
`,
    tables: [
      exampleTable('patients', 'id, name', 'p1 | Jo', 'p2 | Al'),
      exampleTable('visits', 'id, patient_id, reason', 'v1 | p1 | flu', 'v2 | p2 | leg'),
      exampleTable('wards', 'id, label', 'w1 | East'),
      exampleTable('care_team', 'id, person, patient_id', 'c1 | ann | p1'),
    ],
    buckets: {
      p1: ['patients/p1 {"id":"p1","name":"Jo"}', 'visits/v1 {"id":"v1","patient_id":"p1","reason":"flu"}'],
      p2: ['patients/p2 {"id":"p2","name":"Al"}', 'visits/v2 {"id":"v2","patient_id":"p2","reason":"leg"}'],
      wards: ['wards/w1 {"id":"w1","label":"East"}'],
    },
    lookups: { care_team: ['["ann"] → ["p1"]'] },
    requests: [
      { claims: ANN, gets: ['p1', 'wards'] },
      { claims: BOB, gets: ['wards'] },
    ],
  }))

test('[123, 129] a bucket that two streams lead to is stored and sent once', () =>
  checkExample({
    config: `
config: { edition: 3 }
streams:
  all_mine:
    auto_subscribe: true
    query: SELECT id, body FROM notes WHERE list_id IN (SELECT id FROM lists WHERE owner = auth.user_id())
  one_list:
    query: |
      SELECT id, body FROM notes
      WHERE list_id = subscription.parameter('list') AND auth.user_id() IN (SELECT owner FROM lists WHERE id = subscription.parameter('list'))
`,
    tables: [
      exampleTable('notes', 'id, list_id, body', 'n1 | l1 | x', 'n2 | l2 | y'),
      exampleTable('lists', 'id, owner', 'l1 | ann', 'l2 | ann'),
    ],
    buckets: { l1: ['notes/n1 {"id":"n1","body":"x"}'], l2: ['notes/n2 {"id":"n2","body":"y"}'] },
    lookups: { lists: ['["ann"] → ["l1"] ["l2"]', '["l1","ann"] → []', '["l2","ann"] → []'] },
    requests: [
      { claims: ANN, gets: ['l1', 'l2'] },
      { claims: ANN, subscriptions: [{ stream: 'one_list', parameters: { list: 'l2' } }], gets: ['l1', 'l2'] },
      {
        claims: ANN,
        includeDefaults: false,
        subscriptions: [{ stream: 'one_list', parameters: { list: 'l2' } }],
        gets: ['l2'],
      },
    ],
  }))

test('[114, 122] one table as primary and as lookup; the alias names the objects', () =>
  checkExample({
    config: streamsConfig({
      team: `SELECT peer.id, peer.name FROM people AS "peer"
        JOIN people AS me ON me.squad = peer.squad
        WHERE me.id = auth.user_id()`,
    }),
    tables: [
      exampleTable(
        'people',
        'id, squad, name',
        'ann | red | Ann',
        'bob | red | Bob',
        'cy | blue | Cy',
        'di | NULL | Di',
      ),
    ],
    buckets: {
      blue: ['peer/cy {"id":"cy","name":"Cy"}'],
      red: ['peer/ann {"id":"ann","name":"Ann"}', 'peer/bob {"id":"bob","name":"Bob"}'],
    },
    lookups: { people: ['["ann"] → ["red"]', '["bob"] → ["red"]', '["cy"] → ["blue"]'] },
    requests: [
      { claims: ANN, gets: ['red'] },
      { claims: { sub: 'di' }, gets: [] },
    ],
  }))

test('[113] a correlated subquery', () =>
  checkExample({
    config: streamsConfig({
      invoices: `SELECT invoices.id, invoices.total FROM invoices
        WHERE auth.user_id() IN (SELECT person FROM clerks WHERE clerks.office = invoices.office AND clerks.rank > 2)`,
    }),
    tables: [
      exampleTable('invoices', 'id, office, total int4', 'i1 | A | 10', 'i2 | B | 20'),
      exampleTable('clerks', 'id, person, office, rank int4', '1 | ann | A | 3', '2 | ann | B | 1'),
    ],
    buckets: { A: ['invoices/i1 {"id":"i1","total":10}'], B: ['invoices/i2 {"id":"i2","total":20}'] },
    lookups: { clerks: ['["ann"] → ["A"]'] },
    requests: [{ claims: ANN, gets: ['A'] }],
  }))

test('[71, 109] arrays in a table that is joined', () =>
  checkExample({
    config: streamsConfig({
      lessons: `SELECT lessons.id FROM lessons
        JOIN classes ON true
        JOIN json_each(classes.lesson_ids) AS l ON l.value = lessons.id
        WHERE auth.user_id() IN classes.pupils`,
    }),
    tables: [
      exampleTable('lessons', 'id', 'L1', 'L2', 'L3'),
      exampleTable(
        'classes',
        'id, lesson_ids jsonb, pupils jsonb',
        'c1 | ["L1","L2"] | ["ann","bob"]',
        'c2 | ["L3"] | ["bob"]',
      ),
    ],
    buckets: { L1: ['lessons/L1 {"id":"L1"}'], L2: ['lessons/L2 {"id":"L2"}'], L3: ['lessons/L3 {"id":"L3"}'] },
    lookups: { classes: ['["ann"] → ["L1"] ["L2"]', '["bob"] → ["L1"] ["L2"] ["L3"]'] },
    requests: [
      { claims: ANN, gets: ['L1', 'L2'] },
      { claims: BOB, gets: ['L1', 'L2', 'L3'] },
    ],
  }))

test('[23, 121] a star, computed columns and duplicates: later columns win, blobs are left out', () =>
  checkExample({
    config: streamsConfig({
      s: 'SELECT *, upper(name) AS name, length(note) AS note_length, price * 2 AS double, thumb FROM goods',
    }),
    tables: [
      exampleTable(
        'goods',
        'id int8, name, note, price float8, thumb bytea',
        '1 | pen | ünï | 1.5 | \\x00',
        '2 | cap | NULL | 2 | NULL',
      ),
    ],
    buckets: {
      all: [
        'goods/1 {"id":1,"name":"PEN","note":"ünï","price":1.5,"note_length":3,"double":3.0}',
        'goods/2 {"id":2,"name":"CAP","note":null,"price":2.0,"thumb":null,"note_length":null,"double":4.0}',
      ],
    },
    requests: [{ claims: { sub: 'x' }, gets: ['all'] }],
  }))

test('[27, 82] keys: text is not a number, true is 1, NULL matches nothing', () =>
  checkExample({
    config: `
config: { edition: 3 }
streams:
  s:
    query: SELECT id FROM items WHERE k = subscription.parameter('k')
`,
    tables: [exampleTable('items', 'id, k numeric', 'a | 1', 'b | 1.0', 'c | NULL')],
    buckets: { 'text 1': ['items/a {"id":"a"}'], 'text 1.0': ['items/b {"id":"b"}'] },
    requests: [
      { claims: {}, subscriptions: [{ stream: 's', parameters: { k: '1' } }], gets: ['text 1'] },
      { claims: {}, subscriptions: [{ stream: 's', parameters: { k: 1 } }], gets: ['number 1'] },
      { claims: {}, subscriptions: [{ stream: 's', parameters: { k: null } }], gets: [] },
      { claims: {}, subscriptions: [{ stream: 's', parameters: { k: true } }], gets: ['number 1'] },
    ],
  }))

test('[49, 50, 51] a schema per tenant, and what a row says of its table', () =>
  checkExample({
    config: streamsConfig({
      orders: `SELECT o.id, o.total, o.table_suffix() AS year, o.schema() AS tenant
        FROM "tenant_%"."orders_%" AS o WHERE o.schema() = auth.parameter('tenant')`,
    }),
    tables: [
      exampleTable('tenant_acme.orders_2024', 'id, total int4', '1 | 5'),
      exampleTable('tenant_zeta.orders_2024', 'id, total int4', '1 | 7'),
      exampleTable('public.orders_2024', 'id, total int4', '1 | 9'),
    ],
    buckets: {
      acme: ['o/1 {"id":"1","total":5,"year":"2024","tenant":"tenant_acme"}'],
      zeta: ['o/1 {"id":"1","total":7,"year":"2024","tenant":"tenant_zeta"}'],
    },
    requests: [{ claims: { sub: 'x', tenant: 'tenant_acme' }, gets: ['acme'] }],
  }))

test('[134, 139] a lookup row that changes moves users between buckets without a change in any bucket', async () => {
  const config = streamsConfig({
    boards: 'SELECT id FROM cards WHERE board IN (SELECT board FROM seats WHERE person = auth.user_id())',
  })
  const cards = exampleTable('cards', 'id, board', 'k1 | b1', 'k2 | b2')
  const before = exampleTable('seats', 'id, person, board', 's1 | ann | b1')
  const after = exampleTable('seats', 'id, person, board', 's2 | ann | b2')
  const buckets = { b1: ['cards/k1 {"id":"k1"}'], b2: ['cards/k2 {"id":"k2"}'] }
  await checkExample({
    config,
    tables: [cards, before],
    buckets,
    lookups: { seats: ['["ann"] → ["b1"]'] },
    requests: [{ claims: ANN, gets: ['b1'] }],
  })
  await checkExample({
    config,
    tables: [cards, after],
    buckets,
    lookups: { seats: ['["ann"] → ["b2"]'] },
    requests: [{ claims: ANN, gets: ['b2'] }],
  })
  const storage = storageOf(config, [cards, before])
  const contents = storage.buckets()
  const watched = (await storage.resolve(toRequest({ claims: ANN }))).lookupKeys
  const changed = storage.put(describeTable(after), 'new', rowOf('s2 | ann | b2')).lookups
  storage.remove(describeTable(after), '0')
  expect(changed.map(({ key }) => key)).toEqual(watched)
  expect(storage.buckets()).toEqual(contents)
  expect(await storage.rowsFor(toRequest({ claims: ANN }))).toEqual(buckets.b2)
})
