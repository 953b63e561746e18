import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createTestDatabase,
  openOracle,
  readSeeds,
  seededRandom,
  startFaultProxy,
  startServiceProcess,
  startTestPostgres,
  type Random,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAppBackend } from './app-backend.ts'
import { expectConvergence } from './convergence.ts'
import { openDevice, type Device } from './device.ts'
import { createSourceWriter } from './source-writer.ts'
import { createTroublemaker } from './troublemaker.ts'
import { createWriteLog, type LedgerView } from './write-log.ts'
import { DATABASE_SCHEMA, ORACLE, SYNC_CONFIG, USERS } from './world.ts'

const SECRET = 'a secret for tests, long enough for HS256'
const AUDIENCE = 'headwater-tests'

/** `SEED=7 SEEDS=20 npx vitest run --project across tests/e2e` runs seeds 7 … 26; `VERBOSE=1` shows each step. */
const SEEDS = readSeeds(process.env, 3)

const STEPS = 250
const WORKERS = 2
const PAUSE_MS_MAX = 40
const TROUBLE_CHANCE = 0.08
const STEP_MS_MAX = 30_000
const HISTORY_SHOWN = 60
const LOG_LINES_SHOWN = 40

/** Short enough to run out several times during a run; long enough for those who should not notice. */
const TOKEN_TTL_SECONDS = [3, 3_600]

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

test.each(SEEDS)(
  'after writes, faults and kills at random every device holds what the source says, and no write is lost or doubled (seed %i)',
  async (seed) => {
    console.log(`SEED=${seed}`)
    const history: string[] = []
    try {
      await runSeed(seed, history)
    } catch (error) {
      const last = history.slice(-HISTORY_SHOWN).join('\n')
      throw new Error(`Repeat with SEED=${seed}. The last steps were:\n${last}`, { cause: error })
    }
  },
)

async function runSeed(seed: number, history: string[]): Promise<void> {
  const random = seededRandom(seed)
  const startedAtMs = performance.now()
  const note = (what: string): void => {
    history.push(`${Math.round(performance.now() - startedAtMs)} ms: ${what}`)
    if (process.env['VERBOSE'] !== undefined) console.log(history.at(-1))
  }
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-e2e-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const database = stack.use(await createTestDatabase(postgres))
  await database.sql(DATABASE_SCHEMA)

  const writer = createSourceWriter(database, random.fork(), note)
  const lists: string[] = []
  for (const user of [...USERS, ...USERS]) lists.push(await writer.addList(user))
  for (let count = random.between(0, 60); count > 0; count--) await writer.write()

  const scope = random.pick(['per-entry', 'all-or-nothing'] as const)
  const shared = { secret: SECRET, audience: AUDIENCE }
  const backend = stack.use(await startAppBackend({ databaseUrl: database.url, scope, ...shared }))
  const service = stack.use(
    await startServiceProcess({
      source: { url: database.url, slot: `headwater_${seed}` },
      storage: { path: join(folder, 'storage') },
      syncConfig: { content: SYNC_CONFIG },
      // Seeds take turns in having one process and having workers.
      http: { workers: seed % 2 === 0 ? WORKERS : 0 },
      auth: { secret: SECRET, audience: [AUDIENCE] },
      log: { level: 'info', pretty: false },
    }),
  )
  const log = createWriteLog()
  const devices: Device[] = []
  for (const [index, userId] of [...USERS, 'ann'].entries()) {
    const proxy = stack.use(await startFaultProxy(Number(new URL(service.url).port)))
    const name = `${userId}-${index}`
    const tokenTtlSeconds = TOKEN_TTL_SECONDS[index % 2] ?? 3_600
    const pickedList = random.pick(lists)
    const device = {
      name,
      userId,
      folder,
      tokenTtlSeconds,
      proxy,
      pickedList,
      random: random.fork(),
      log,
      note,
      ...shared,
    }
    devices.push(stack.use(await withPatience(openDevice({ ...device, uploadUrl: backend.uploadUrl }))))
  }

  const troublemaker = createTroublemaker({ database, service, backend, devices }, random.fork(), note)
  try {
    for (let step = 0; step < STEPS; step++) {
      await withPatience(troublemaker.mendDue(step))
      await withPatience(takeStep(step, random, writer, devices, troublemaker))
      await pause(random)
    }
    await withPatience(troublemaker.mendAll())
    await using oracle = await openOracle(database.url, ORACLE)
    note('everything is mended')
    // Pauses between attempts grow with the failures before, up to a minute; this ends them, as it does for a user.
    for (const device of devices) device.wake()
    await expectConvergence(devices, oracle, note)
    // What has converged must still be alive.
    await writer.addList('ann')
    await expectConvergence(devices, oracle, note)
    expect(devices.map((device) => device.readBreach())).toEqual(devices.map(() => undefined))
    expect(log.findFaults(await readLedger(database))).toEqual([])
    console.log(`${log.count()} local writes, ${log.countRejected()} of them refused; ${history.at(-1)}`)
  } catch (error) {
    history.push(...devices.map((device) => `${device.name}: ${JSON.stringify(device.readStatus())}`))
    history.push(...service.readLog().slice(-LOG_LINES_SHOWN))
    throw error
  }
}

async function takeStep(
  step: number,
  random: Random,
  writer: ReturnType<typeof createSourceWriter>,
  devices: readonly Device[],
  troublemaker: ReturnType<typeof createTroublemaker>,
): Promise<void> {
  if (random.chance(TROUBLE_CHANCE)) return troublemaker.breakSomething(step)
  if (random.chance(0.5)) return writer.write()
  return random.pick(devices).write()
}

/** Nothing that an app calls may hang, whatever is broken. */
async function withPatience<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const patience = setTimeout(() => reject(new Error(`A step has not ended after ${STEP_MS_MAX} ms`)), STEP_MS_MAX)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(patience)
  }
}

/** Not to wait for anything, but to let the parts get ahead of each other by different amounts. */
async function pause(random: Random): Promise<void> {
  const pauseMs = random.integer(PAUSE_MS_MAX)
  await new Promise((resolve) => {
    setTimeout(resolve, pauseMs)
  })
}

async function readLedger(database: TestDatabase): Promise<LedgerView> {
  const times = await database.sql('SELECT write_id, times FROM ledger')
  const todos = await database.sql('SELECT id FROM todos')
  return {
    times: new Map(times.map((row) => [String(row['write_id']), Number(row['times'])])),
    todoIds: new Set(todos.map(({ id }) => String(id))),
  }
}
