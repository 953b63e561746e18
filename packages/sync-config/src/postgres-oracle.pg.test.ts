import {
  createTestDatabase,
  readSeed,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'
import { loadPlan } from './load.ts'
import { requestOf, sourceTable } from './testing/builders.ts'
import { Choices, reduceChoices } from './testing/choices.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import { makeRequest, makeTables } from './testing/oracle-data.ts'
import { findObstacle, findObstacleInCte } from './testing/oracle-connected.ts'
import { makeStreams } from './testing/oracle-generate.ts'
import { type PostgresQuery, printForPostgres } from './testing/oracle-postgres.ts'
import { printConfig, printQuery } from './testing/oracle-print.ts'
import { ORACLE_COLUMNS, ORACLE_TABLES, type OracleRequest, type OracleStream } from './testing/oracle-tree.ts'
import { findPrimary } from './testing/oracle.ts'
import type { SourceTable, TextRow } from './types.ts'

/** Printed with a failure; set SEED to run one again. */
const SEED = readSeed(process.env)
/** Fillings of the tables, configs for each, and requests for each config. */
const FILLINGS = 3
const CONFIGS = 120
const REQUESTS = 4
const COLUMNS = ['id text', ...ORACLE_COLUMNS.map(({ name, postgres }) => `${name} ${postgres}`)].join(', ')

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})

afterAll(async () => {
  await postgres.stop()
})

test(
  '[144] a stream selects the rows that Postgres selects with its SQL and the parameters bound',
  { timeout: 300_000 },
  async () => {
    let compared = 0
    let withRows = 0
    for (let filling = 0; filling < FILLINGS; filling += 1) {
      await using database = await createTestDatabase(postgres)
      await using source = await openSource(database, Choices.random(SEED, -1 - filling))
      for (let config = 0; config < CONFIGS; config += 1) {
        const index = filling * CONFIGS + config
        const choices = Choices.random(SEED, index)
        const outcome = await source.compare(choices)
        if (outcome.kind === 'different') {
          const small = await reduceChoices(choices.taken, async (list) => {
            return (await source.compare(Choices.replay(list))).kind === 'different'
          })
          const smallest = await source.compare(Choices.replay(small))
          expect.fail(
            `seed ${SEED}, config ${index}: ${JSON.stringify(smallest, undefined, 1)}\n${JSON.stringify(source.rows, undefined, 1)}`,
          )
        }
        compared += outcome.cases
        withRows += outcome.withRows
      }
    }
    console.log(`seed ${SEED}: ${compared} cases, ${withRows} of them with rows`)
    expect(compared).toBeGreaterThan((FILLINGS * CONFIGS * REQUESTS) / 2)
  },
)

type Outcome =
  | { readonly kind: 'equal'; readonly cases: number; readonly withRows: number }
  | {
      readonly kind: 'different'
      readonly query: string
      readonly inPostgres: unknown
      readonly request: OracleRequest
      readonly expected: unknown
      readonly actual: readonly string[]
    }

type Source = AsyncDisposable & {
  /** Queries and requests built from the choices, asked in both ways. */
  readonly compare: (choices: Choices) => Promise<Outcome>
  /** For messages: by table, as Postgres prints them. */
  readonly rows: ReadonlyMap<string, readonly TextRow[]>
}

/** Makes the tables, and reads their rows back as replication would: as text. */
async function openSource(database: TestDatabase, choices: Choices): Promise<Source> {
  const tables = makeTables(choices, 12, 'typed')
  const client = new Client({ connectionString: database.url, types: { getTypeParser: () => String } })
  await client.connect()
  const rows = new Map<string, readonly TextRow[]>()
  for (const table of ORACLE_TABLES) {
    await client.query(`CREATE TABLE ${table} (${COLUMNS.replaceAll(' text', ' text COLLATE "C"')})`)
    const names = ['id', ...ORACLE_COLUMNS.map(({ name }) => name)]
    for (const row of tables[table] ?? []) {
      const places = names.map((_, index) => `$${index + 1}`).join(', ')
      await client.query(
        `INSERT INTO ${table} VALUES (${places})`,
        names.map((name) => row[name] ?? null),
      )
    }
    const { rows: printed } = await client.query<(string | null)[]>({
      text: `SELECT ${names.join(', ')} FROM ${table}`,
      rowMode: 'array',
    })
    rows.set(table, printed)
  }
  return { compare: (list) => compare(list, client, rows), rows, [Symbol.asyncDispose]: () => client.end() }
}

async function compare(
  choices: Choices,
  client: Client,
  rows: ReadonlyMap<string, readonly TextRow[]>,
): Promise<Outcome> {
  const streams = makeStreams(choices, 'typed')
  const requests = Array.from({ length: REQUESTS }, () => makeRequest(choices, 'typed'))
  let cases = 0
  let withRows = 0
  for (const stream of streams) {
    if (stream.ctes.some((cte) => findObstacleInCte(cte) !== undefined)) continue
    for (const query of stream.queries) {
      if (findObstacle(query) !== undefined) continue
      const storage = fill([{ ...stream, autoSubscribe: false, queries: [query] }], rows)
      for (const request of requests) {
        const inPostgres = printForPostgres(query, stream, request)
        const expected = await readIds(client, inPostgres)
        const actual = await idsFor(storage, stream.name, request)
        cases += 1
        if (expected.length > 0) withRows += 1
        if (expected.join() !== actual.join()) {
          return {
            kind: 'different',
            query: `${printQuery(query)} of ${findPrimary(query.from).table}`,
            inPostgres,
            request,
            expected,
            actual,
          }
        }
      }
    }
  }
  return { kind: 'equal', cases, withRows }
}

async function readIds(client: Client, { text, values }: PostgresQuery): Promise<readonly string[]> {
  try {
    const { rows } = await client.query<{ id: string }>(text, [...values])
    return rows.map(({ id }) => id).toSorted()
  } catch (cause) {
    throw new Error(`Postgres does not take ${text}`, { cause })
  }
}

function fill(streams: readonly OracleStream[], rows: ReadonlyMap<string, readonly TextRow[]>): MemoryStorage {
  const result = compileSyncConfig(printConfig(streams))
  if (result.kind === 'refused') throw new Error(`${printConfig(streams)}\n${JSON.stringify(result.diagnostics)}`)
  const storage = new MemoryStorage(loadPlan(result.plan, { generation: 1, bucketsMax: 1_000_000 }))
  for (const [table, list] of rows) {
    const source = SOURCES.get(table)
    if (source !== undefined) for (const [index, row] of list.entries()) storage.put(source, String(index), row)
  }
  return storage
}

const SOURCES: ReadonlyMap<string, SourceTable> = new Map(
  ORACLE_TABLES.map((name) => [name, sourceTable(name, COLUMNS)]),
)

async function idsFor(storage: MemoryStorage, stream: string, request: OracleRequest): Promise<readonly string[]> {
  const { auth, connection, subscription = {} } = request
  const subscriptions = [{ stream, parameters: subscription, overridePriority: undefined }]
  const rows = await storage.rowsFor(requestOf(auth, { parameters: connection, subscriptions }))
  return rows.map((row) => row.slice(row.indexOf('/') + 1, row.indexOf(' '))).toSorted()
}
