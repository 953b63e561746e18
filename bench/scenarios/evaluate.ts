import { compileSyncConfig, loadPlan, type RowOutcome, type SourceTable, type TextRow } from '@headwater/sync-config'
import { startMeasure } from '../limits.ts'
import type { Scenario } from '../scenario.ts'

/** Postgres prints `text`; `plain` is what a client gets of it. */
const COLUMNS: readonly { readonly name: string; readonly type: string; readonly plain: (text: string) => unknown }[] =
  [
    { name: 'id', type: 'uuid', plain: String },
    { name: 'owner', type: 'text', plain: String },
    { name: 'title', type: 'text', plain: String },
    { name: 'note', type: 'text', plain: String },
    { name: 'status', type: 'text', plain: String },
    { name: 'count', type: 'int4', plain: Number },
    { name: 'price', type: 'numeric', plain: String },
    { name: 'score', type: 'float8', plain: Number },
    { name: 'done', type: 'bool', plain: (text) => Number(text === 't') },
    { name: 'watchers', type: 'jsonb', plain: String },
  ]

const TABLE: SourceTable = {
  schema: 'public',
  name: 'items',
  columns: COLUMNS.map(({ name, type }) => ({ name, type: { kind: 'base', name: type } })),
  identity: ['id'],
}

const OWNERS = 50
const STATUSES = ['open', 'waiting', 'closed', 'lost']

/** So many different rows are evaluated in turn: as many as no cache of a processor holds for long. */
const DISTINCT_ROWS = 5_000

function makeRow(number: number): TextRow {
  const owner = (step: number): string => `user-${(number * 7 + step) % OWNERS}`
  return [
    `0189c0de-0000-4000-8000-${String(number).padStart(12, '0')}`,
    owner(0),
    `Item number ${number}`,
    `What is to be done about "${number}", by whom, and until when`,
    STATUSES[number % STATUSES.length],
    String(number),
    `${number}.50`,
    String(number / 4),
    number % 2 === 0 ? 't' : 'f',
    JSON.stringify([owner(0), owner(1), owner(2)]),
  ]
}

type Case = {
  readonly name: string
  readonly config: object
  /** Name of the table, where it is not `items`. */
  readonly table?: string
  /** Objects and entries that a row must give. */
  readonly expected: (row: TextRow) => { readonly objects: number; readonly lookups: number }
  /** Do objects hold all columns as they are? */
  readonly isWhole: boolean
}

const isOpen = (row: TextRow): boolean => row[4] === 'open'
const one = { objects: 1, lookups: 0 }
const none = { objects: 0, lookups: 0 }

/** Streams of the case with many of them. */
const MANY = 20

const CASES: readonly Case[] = [
  {
    name: 'star, one key',
    config: streams('SELECT * FROM items WHERE owner = auth.user_id()'),
    expected: () => one,
    isWhole: true,
  },
  {
    name: 'five columns, one key',
    config: streams('SELECT id, title, status, count, done FROM items WHERE owner = auth.user_id()'),
    expected: () => one,
    isWhole: false,
  },
  {
    name: 'five computed columns, one key',
    config: streams(`SELECT id, upper(title) AS title, price || ' EUR' AS price, count + 1 AS next,
      CASE WHEN done THEN 'done' ELSE status END AS state FROM items WHERE owner = auth.user_id()`),
    expected: () => one,
    isWhole: false,
  },
  {
    name: 'star, a filter that a quarter passes',
    config: streams(`SELECT * FROM items WHERE owner = auth.user_id() AND status = 'open' AND count >= 0`),
    expected: (row) => (isOpen(row) ? one : none),
    isWhole: true,
  },
  {
    name: 'star, one key an element of an array of three',
    config: streams('SELECT * FROM items WHERE auth.user_id() IN watchers'),
    expected: () => ({ objects: 3, lookups: 0 }),
    isWhole: true,
  },
  {
    name: 'star of a wildcard table, two keys',
    config: streams(
      'SELECT *, items.table_suffix() AS year FROM "items_%" AS items WHERE owner = auth.user_id() AND status = auth.parameter(\'s\')',
    ),
    table: 'items_2024',
    expected: () => one,
    isWhole: false,
  },
  {
    name: 'a lookup entry, no object',
    config: streams('SELECT * FROM other WHERE id IN (SELECT status FROM items WHERE owner = auth.user_id())'),
    expected: () => ({ objects: 0, lookups: 1 }),
    isWhole: false,
  },
  {
    name: 'star of a bucket definition, one key',
    config: {
      bucket_definitions: {
        own: {
          parameters: 'SELECT request.user_id() AS owner',
          data: ['SELECT * FROM items WHERE owner = bucket.owner'],
        },
      },
    },
    expected: () => one,
    isWhole: true,
  },
  {
    name: `star, ${MANY} streams of which five match`,
    config: streams(
      ...Array.from({ length: MANY }, (_, number) => {
        return `SELECT * FROM items WHERE owner = auth.user_id() AND status = '${STATUSES[number % 4]}' AND count >= ${-number}`
      }),
    ),
    expected: () => ({ objects: MANY / STATUSES.length, lookups: 0 }),
    isWhole: true,
  },
  {
    name: 'no match',
    config: streams(`SELECT * FROM items WHERE owner = auth.user_id() AND status = 'unknown'`),
    expected: () => none,
    isWhole: false,
  },
]

function streams(...queries: readonly string[]): object {
  const entries = queries.map((query, number) => [`s${number}`, { auto_subscribe: true, query }])
  return { config: { edition: 3 }, streams: Object.fromEntries(entries) }
}

/** For a row of ten columns that is in one bucket as it is. */
const ROW_MICROS_MAX = 3
const ROUNDS = 10

/** What it costs to turn a row, as text from Postgres, into objects with their JSON. */
export const scenario: Scenario = {
  name: 'evaluate',
  run: async function* ({ isQuick }) {
    const rows = Array.from({ length: DISTINCT_ROWS }, (_, number) => makeRow(number))
    const plain = rows.map(toPlain)
    const passes = isQuick ? 4 : 40
    for (const { name, config, table = TABLE.name, expected, isWhole } of CASES) {
      const evaluate = load(config, { ...TABLE, name: table })
      for (const row of rows) verify(evaluate(row), { ...expected(row), whole: isWhole ? toPlain(row) : undefined })
      const isOneWholeObject = isWhole && rows.every((row) => expected(row).objects === 1)
      const limitMicros = await measureMicros(passes, plain, (row) => JSON.stringify(row).length)
      const micros = await measureMicros(passes, rows, (row) => textRead(evaluate(row)))
      yield {
        name,
        value: micros,
        unit: 'µs/row',
        limit: { name: 'JSON.stringify of the row', value: limitMicros },
        ...(isOneWholeObject ? { budget: { cpuMicrosMax: ROW_MICROS_MAX } } : {}),
        cpuMicros: micros,
        verified: `${rows.length.toLocaleString('en')} rows${isWhole ? ' and their data' : ''}`,
      }
    }
  },
}

function load(config: object, table: SourceTable): (row: TextRow) => RowOutcome {
  // JSON is YAML.
  const compiled = compileSyncConfig(JSON.stringify(config))
  if (compiled.kind === 'refused') throw new Error(compiled.diagnostics.map(({ message }) => message).join('\n'))
  const program = loadPlan(compiled.plan, { generation: 1, bucketsMax: 1_000 }).forTable(table)
  if (program === undefined) throw new Error('No query reads the table')
  return program.evaluate
}

function toPlain(row: TextRow): { readonly [name: string]: unknown } {
  return Object.fromEntries(COLUMNS.map(({ name, plain }, index) => [name, plain(row[index] ?? '')]))
}

type Expected = { readonly objects: number; readonly lookups: number; readonly whole: object | undefined }

function verify({ objects, lookups, errors }: RowOutcome, expected: Expected): void {
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
  if (objects.length !== expected.objects || lookups.length !== expected.lookups) {
    throw new Error(`${objects.length} objects and ${lookups.length} lookup entries of a row`)
  }
  const buckets = new Set(objects.map(({ bucket }) => bucket))
  if (buckets.size !== objects.length) throw new Error('An object came twice')
  const whole = JSON.stringify(expected.whole)
  for (const { data } of objects) {
    const parsed: unknown = JSON.parse(data)
    if (expected.whole !== undefined && JSON.stringify(parsed) !== whole) throw new Error(`${data} is not ${whole}`)
  }
}

/** Whoever stores the data reads it: texts that were put together are one piece then. */
function textRead({ objects }: RowOutcome): number {
  let sum = 0
  for (const { data } of objects) sum += data.charCodeAt(data.length - 1)
  return sum
}

/** CPU time of one call: the least of all rounds, as whatever else runs on the machine only adds to it. */
async function measureMicros<Input>(
  passes: number,
  inputs: readonly Input[],
  work: (input: Input) => number,
): Promise<number> {
  let least = Infinity
  let sum = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    // So that garbage of the round before is not collected in this one.
    await new Promise((resolve) => setImmediate(resolve))
    const measure = startMeasure()
    for (let pass = 0; pass < passes; pass += 1) for (const input of inputs) sum += work(input)
    const { cpuMs, units } = measure(passes * inputs.length)
    least = Math.min(least, (cpuMs * 1_000) / units)
  }
  if (Number.isNaN(sum)) throw new Error('Nothing was done')
  return least
}
