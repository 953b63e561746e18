import type { BucketName } from '@headwater/protocol'
import { readSeed } from '@headwater/testkit'
import { expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'
import { loadPlan } from './load.ts'
import { requestOf, sourceTable } from './testing/builders.ts'
import { Choices, reduceChoices } from './testing/choices.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import { makeRequest, makeRow, makeTables } from './testing/oracle-data.ts'
import { findObstacles } from './testing/oracle-connected.ts'
import { makeStreams } from './testing/oracle-generate.ts'
import { printConfig } from './testing/oracle-print.ts'
import { rewriteStreams } from './testing/oracle-rewrite.ts'
import {
  ORACLE_COLUMNS,
  ORACLE_TABLES,
  type OracleRequest,
  type OracleRow,
  type OracleStream,
  type OracleTables,
} from './testing/oracle-tree.ts'
import type { JsonNull } from './testing/oracle-values.ts'
import { grantedObjects, TooManyTurns, type World } from './testing/oracle.ts'
import type { LookupKey, Plan, Request, TextRow } from './types.ts'

/** Printed with a failure; set SEED to run one again. */
const SEED = readSeed(process.env)
const CASES = 300
/** Small cases are found by trying; only a failure takes that long. */
const TIMEOUT_MS = 120_000
const COLUMNS = ['id text', ...ORACLE_COLUMNS.map(({ name, postgres }) => `${name} ${postgres}`)].join(', ')
const SOURCES = new Map(ORACLE_TABLES.map((name) => [name as string, sourceTable(name, COLUMNS)]))

type Case = {
  readonly streams: readonly OracleStream[]
  readonly jsonNull: JsonNull
  readonly tables: OracleTables
  readonly request: OracleRequest
  /** One after the other: a row in the place of the one with its id, or the row taken away. */
  readonly changes: readonly Change[]
}

type Change = { readonly table: string; readonly row: OracleRow; readonly isDelete: boolean }

function makeCase(choices: Choices): Case {
  const streams = makeStreams(choices, 'anything')
  const jsonNull = choices.chance(15) ? 'null' : null
  const request = makeRequest(choices, 'anything')
  const tables = makeTables(choices, 4, 'anything')
  const changes = choices.list(3, () => ({
    table: choices.pick(...ORACLE_TABLES),
    isDelete: choices.chance(40),
    row: makeRow(choices, choices.pick('k0', 'k1', 'k2', 'k7'), 'anything'),
  }))
  return { streams, jsonNull, request, tables, changes }
}

test(
  '[112, 123, 133, 134, 135, 139, 144] what is granted equals nested loops over all rows, before and after every change',
  { timeout: TIMEOUT_MS },
  async () => {
    let taken = 0
    for (let index = 0; index < CASES; index += 1) {
      const choices = Choices.random(SEED, index)
      const outcome = await compareWithOracle(makeCase(choices))
      if (outcome.kind === 'equal') taken += 1
      if (outcome.kind !== 'different') continue
      const small = await reduceChoices(choices.taken, (list) => isDifferent(makeCase(Choices.replay(list))))
      const smallest = await dropParts(makeCase(Choices.replay(small)))
      expect.fail(`seed ${SEED}, case ${index}: ${describeCase(smallest, await compareWithOracle(smallest))}`)
    }
    expect(taken).toBeGreaterThan(CASES / 2)
  },
)

test('[143] streams that say the same in other words have the same plan', { timeout: TIMEOUT_MS }, () => {
  for (let index = 0; index < CASES / 2; index += 1) {
    const streams = makeStreams(Choices.random(SEED, index), 'anything')
    if (streams.some((stream) => findObstacles(stream).length > 0)) continue
    const config = printConfig(streams)
    const other = respace(printConfig(rewriteStreams(streams)))
    const [one, two] = [config, other].map((text) => compileSyncConfig(text))
    if (one?.kind !== 'compiled' || two?.kind !== 'compiled') expect.fail(`seed ${SEED}, case ${index}: ${config}`)
    expect(two.plan.hash, `seed ${SEED}, case ${index}: ${config}\n${other}`).toBe(one.plan.hash)
  }
})

/** White space, comments and small letters in every query; no literal and no name holds what is replaced. */
function respace(config: string): string {
  return JSON.stringify(
    JSON.parse(config, (key: string, value: unknown) => {
      if (typeof value !== 'string' || key === 'name') return value
      return value
        .replaceAll(/ (?=[A-Z"])/g, ' /* a; b */\n\t')
        .replaceAll(/\b(?:SELECT|FROM|WHERE|AND|JOIN)\b/g, (word) => word.toLowerCase())
    }),
  )
}

test('[76, 142] compiling, loading and evaluating again give the same bytes', { timeout: TIMEOUT_MS }, () => {
  for (let index = 0; index < CASES / 4; index += 1) {
    const choices = Choices.random(SEED, index)
    const streams = makeStreams(choices, 'anything')
    if (streams.some((stream) => findObstacles(stream).length > 0)) continue
    const config = printConfig(streams)
    const tables = makeTables(choices, 4, 'anything')
    const outcomes = [config, config].map((text) => {
      const result = compileSyncConfig(text)
      if (result.kind === 'refused') return result
      const stored = JSON.parse(JSON.stringify(result.plan)) as Plan
      const storage = new MemoryStorage(loadPlan(stored, { generation: 1, bucketsMax: 1 }))
      for (const turn of ['first', 'second']) {
        for (const table of ORACLE_TABLES)
          for (const row of tables[table] ?? []) put(storage, table, { ...row, id: `${row.id} ${turn}` })
      }
      return [stored, storage.outcomes()]
    })
    expect(JSON.stringify(outcomes[1]), `seed ${SEED}, case ${index}: ${config}`).toBe(JSON.stringify(outcomes[0]))
  }
})

async function isDifferent(given: Case): Promise<boolean> {
  return (await compareWithOracle(given)).kind === 'different'
}

/** Leaves out whatever the case does not need: streams, queries, rows, changes. */
async function dropParts(given: Case): Promise<Case> {
  const parts: readonly ((of: Case) => readonly Case[])[] = [
    (of) => of.streams.map((_, at) => ({ ...of, streams: of.streams.toSpliced(at, 1) })),
    (of) =>
      of.streams.flatMap((stream, at) =>
        stream.queries.map((_, index) => {
          const smaller = { ...stream, queries: stream.queries.toSpliced(index, 1) }
          return { ...of, streams: of.streams.with(at, smaller) }
        }),
      ),
    (of) =>
      ORACLE_TABLES.flatMap((table) =>
        (of.tables[table] ?? []).map((_, at) => {
          return { ...of, tables: { ...of.tables, [table]: of.tables[table]?.toSpliced(at, 1) ?? [] } }
        }),
      ),
    (of) => of.changes.map((_, at) => ({ ...of, changes: of.changes.toSpliced(at, 1) })),
  ]
  for (const smallerOnes of parts) {
    for (const smaller of smallerOnes(given)) if (await isDifferent(smaller)) return dropParts(smaller)
  }
  return given
}

function describeCase({ request, tables, changes, streams, jsonNull }: Case, difference: Outcome): string {
  const parts = { request, tables, changes, difference }
  const lines = Object.entries(parts).map(([name, part]) => `${name}: ${JSON.stringify(part, undefined, 1)}`)
  return [printConfig(streams, jsonNull), ...lines].join('\n')
}

type Outcome =
  | { readonly kind: 'equal' }
  /** A query is refused, rightly, or takes too long. */
  | { readonly kind: 'left out' }
  | { readonly kind: 'different'; readonly what: unknown }

async function compareWithOracle(given: Case): Promise<Outcome> {
  try {
    return await compareInTime(given)
  } catch (error) {
    if (error instanceof TooManyTurns) return { kind: 'left out' }
    throw error
  }
}

/** What a device would hold and what it should, where they differ first. */
async function compareInTime({ streams, jsonNull, tables, request, changes }: Case): Promise<Outcome> {
  const obstacles = streams.flatMap(findObstacles)
  if (obstacles.includes('too many ways')) return { kind: 'left out' }
  const result = compileSyncConfig(printConfig(streams, jsonNull))
  if ((result.kind === 'refused') !== obstacles.includes('unconnected')) {
    return { kind: 'different', what: result.diagnostics }
  }
  if (result.kind === 'refused') return { kind: 'left out' }
  const storage = new MemoryStorage(loadPlan(result.plan, { generation: 1, bucketsMax: 1_000_000 }))
  const watcher = new Watcher()
  for (const table of ORACLE_TABLES) for (const row of tables[table] ?? []) put(storage, table, row)
  let now = tables
  for (const change of [undefined, ...changes]) {
    if (change !== undefined) now = apply(now, change, storage)
    const resolution = await storage.resolve(toRequest(streams, request))
    const failed = resolution.streams.flatMap(({ errors }) => errors.map(({ message }) => message))
    const broken = storage.outcomes().flatMap(({ outcome }) => outcome.errors.map(({ message }) => message))
    const names = resolution.buckets.map(({ bucket }) => bucket)
    const actual = [...failed, ...broken, ...storage.objectsIn(names)]
    const expected = expectedObjects(streams, { tables: now, request, jsonNull })
    if (actual.join('\n') !== expected.join('\n')) return { kind: 'different', what: { change, expected, actual } }
    if (watcher.isUnnoticed(storage, resolution.lookupKeys, names)) {
      return { kind: 'different', what: 'other buckets, but the same under all lookup keys that were read' }
    }
  }
  return { kind: 'equal' }
}

function expectedObjects(streams: readonly OracleStream[], world: World): readonly string[] {
  const objects = streams.flatMap(({ queries, autoSubscribe }) => {
    const { request } = world
    const asks = autoSubscribe ? [{ ...request, subscription: undefined }, request] : [request]
    return queries.flatMap((query) => asks.flatMap((one) => grantedObjects(query, { ...world, request: one })))
  })
  return [...new Set(objects)].toSorted()
}

function toRequest(streams: readonly OracleStream[], { auth, connection, subscription = {} }: OracleRequest): Request {
  const subscriptions = streams.map(({ name }) => ({
    stream: name,
    parameters: subscription,
    overridePriority: undefined,
  }))
  return requestOf(auth, { parameters: connection, subscriptions })
}

function put(storage: MemoryStorage, table: string, row: OracleRow): void {
  const source = SOURCES.get(table)
  if (source !== undefined) storage.put(source, row.id, toText(row))
}

function toText(row: OracleRow): TextRow {
  return ['id', ...ORACLE_COLUMNS.map(({ name }) => name)].map((column) => row[column] ?? null)
}

function apply(tables: OracleTables, { table, row, isDelete }: Change, storage: MemoryStorage): OracleTables {
  const others = (tables[table] ?? []).filter(({ id }) => id !== row.id)
  const source = SOURCES.get(table)
  if (!isDelete) put(storage, table, row)
  else if (source !== undefined) storage.remove(source, row.id)
  return { ...tables, [table]: isDelete ? others : [...others, row] }
}

/** Did the buckets change although no lookup key that was read has? Clients would not notice. */
class Watcher {
  #before: { readonly names: string; readonly keys: readonly LookupKey[]; readonly entries: string } | undefined

  isUnnoticed(storage: MemoryStorage, keys: readonly LookupKey[], names: readonly BucketName[]): boolean {
    const before = this.#before
    const entriesOf = (list: readonly LookupKey[]): string =>
      JSON.stringify(list.map((key) => storage.lookups().get(key)?.toSorted() ?? []))
    const isNoticed = before === undefined || entriesOf(before.keys) !== before.entries
    const text = [...names].toSorted().join('\n')
    this.#before = { names: text, keys, entries: entriesOf(keys) }
    return before !== undefined && before.names !== text && !isNoticed
  }
}
