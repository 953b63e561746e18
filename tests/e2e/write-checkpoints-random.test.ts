/**
 * Many clients write through a backend and ask for write checkpoints, while replication lags, connections break and the
 * service is killed. When a client is told a number, everything that it had committed before asking is in what it has; and
 * every number comes.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { issueToken } from '@headwater/backend'
import {
  createTestDatabase,
  emptyRawStore,
  type Fault,
  type FaultProxy,
  followStream,
  type Random,
  type RawStore,
  readRawRows,
  readSeeds,
  seededRandom,
  type ServiceProcess,
  startFaultProxy,
  startServiceProcess,
  startTestPostgres,
  type TestPostgres,
} from '@headwater/testkit'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

const SECRET = 'a secret for tests, long enough for HS256'

const TABLES = `
  CREATE TABLE notes (id text PRIMARY KEY, owner text);
  CREATE TABLE checkpoints (user_id text, client_id text, checkpoint bigint, PRIMARY KEY (user_id, client_id))`

const STREAMS = `
config:
  edition: 3
streams:
  notes:
    auto_subscribe: true
    query: SELECT id, owner FROM notes WHERE owner = auth.user_id()
`

const EVENT = `
event_definitions:
  write_checkpoints:
    payloads:
      - SELECT user_id, client_id, checkpoint FROM checkpoints
`

const CLIENTS = 12
const ROUNDS = 12
/** Of somebody else, in one transaction: replication lags while it goes through them. */
const BULK_ROWS = 8_000
const PATIENCE = { timeout: 60_000, interval: 50 }

/** Who makes the numbers. */
const KINDS = ['service', 'client', 'backend'] as const
type Kind = (typeof KINDS)[number]

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

const runs = readSeeds(process.env, 1).flatMap((seed) => KINDS.map((kind) => ({ seed, kind })))

test.each(runs)(
  '[protocol 74, 75, 77] no number of the $kind comes before the writes it stands for, and each comes (seed $seed)',
  async ({ seed, kind }) => {
    const random = seededRandom(seed)
    await using stage = await openStage(kind)
    const clients = Array.from({ length: CLIENTS }, (_, n) => new Client(stage, `c${n}`, random.fork()))
    const stop = new AbortController()
    const following = clients.map((client) => client.follow(stop.signal))
    const healing = new AbortController()
    const troubling = makeTrouble(stage, random.fork(), healing.signal)
    await Promise.all(clients.map((client) => client.write()))
    healing.abort()
    await troubling

    await vi.waitFor(() => {
      for (const client of clients) expect(client.isToldEverything, `seed ${seed}, ${client.id}`).toBe(true)
    }, PATIENCE)
    stop.abort()
    await Promise.all(following)
    for (const client of clients) client.check(`seed ${seed}, ${client.id}`)
  },
)

test.each(KINDS)(
  '[protocol 75, 76] a number of the %s from right before a kill is announced by the next service',
  async (kind) => {
    await using stage = await openStage(kind)
    const client = new Client(stage, 'c0', seededRandom(1))
    await stage.bulk()
    await client.writeOnce(1)
    await stage.service.kill()
    await stage.service.start()
    const stop = new AbortController()
    const following = client.follow(stop.signal)
    await vi.waitFor(() => expect(client.isToldEverything).toBe(true), PATIENCE)
    stop.abort()
    await following
    client.check('after the kill')
  },
)

type Stage = AsyncDisposable & {
  readonly kind: Kind
  readonly service: ServiceProcess
  readonly proxy: FaultProxy
  readonly pool: Pool
  readonly bulk: () => Promise<void>
}

async function openStage(kind: Kind): Promise<Stage> {
  const stack = new AsyncDisposableStack()
  const path = await mkdtemp(join(tmpdir(), 'headwater-e2e-'))
  stack.defer(() => rm(path, { recursive: true, force: true }))
  const database = stack.use(await createTestDatabase(postgres))
  await database.sql(TABLES)
  const proxy = stack.use(await startFaultProxy(postgres.port))
  const url = new URL(database.url)
  url.port = String(proxy.port)
  const service = stack.use(
    await startServiceProcess({
      source: { url: url.href },
      storage: { path },
      syncConfig: { content: kind === 'backend' ? STREAMS + EVENT : STREAMS },
      auth: { secret: SECRET, audience: ['tests'] },
    }),
  )
  const pool = new Pool({ connectionString: database.url, max: CLIENTS + 1 })
  stack.defer(() => pool.end())
  await service.untilReady()
  let bulks = 0
  return {
    kind,
    service,
    proxy,
    pool,
    bulk: async () => {
      bulks += 1
      const rows = `SELECT 'bulk-${bulks}-' || n, 'nobody' FROM generate_series(1, ${BULK_ROWS}) n`
      await pool.query(`INSERT INTO notes ${rows}`)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Until `signal` aborts; then everything heals. */
async function makeTrouble(stage: Stage, random: Random, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(random.between(50, 300))
    const trouble = random.weighted({ bulk: 4, stall: 2, latency: 2, reset: 1, kill: 1 })
    if (trouble === 'bulk') await stage.bulk()
    else if (trouble === 'reset') stage.proxy.resetConnections()
    else if (trouble === 'kill') {
      await stage.service.kill()
      await stage.service.start()
    } else {
      const fault: Fault = trouble === 'stall' ? { kind: 'stall' } : { kind: 'latency', delayMs: 20 }
      stage.proxy.setFault(fault)
      await pause(random.between(100, 600))
      stage.proxy.setFault({ kind: 'none' })
    }
  }
  stage.proxy.setFault({ kind: 'none' })
}

/** A number, and the rows that were committed before it was asked for. */
type Promised = { readonly number: bigint; readonly ids: readonly string[] }

/** What the client had when a checkpoint was complete, and the number that it was told. */
type Told = { readonly number: bigint; readonly ids: ReadonlySet<string> }

class Client {
  readonly id: string
  readonly #stage: Stage
  readonly #random: Random
  readonly #committed: string[] = []
  readonly #promised: Promised[] = []
  readonly #told: Told[] = []
  #counter = 0n

  constructor(stage: Stage, id: string, random: Random) {
    this.id = id
    this.#stage = stage
    this.#random = random
  }

  get isToldEverything(): boolean {
    const last = this.#promised.at(-1)?.number
    return last !== undefined && (this.#told.at(-1)?.number ?? 0n) >= last
  }

  /** Each number, when it was told first, with everything it stands for; and numbers never go down. */
  check(where: string): void {
    for (const [n, { number }] of this.#told.entries()) {
      expect(number, where).toBeGreaterThanOrEqual(this.#told[n - 1]?.number ?? 0n)
    }
    for (const [n, { number, ids }] of this.#promised.entries()) {
      expect(number, where).toBeGreaterThan(this.#promised[n - 1]?.number ?? 0n)
      const first = this.#told.find((told) => told.number >= number)
      expect(
        [...ids].filter((id) => first?.ids.has(id) !== true),
        `${where}, number ${number}`,
      ).toEqual([])
    }
  }

  async write(): Promise<void> {
    for (let round = 1; round <= ROUNDS; round += 1) {
      await this.writeOnce(round)
      await pause(this.#random.between(0, 250))
    }
  }

  async writeOnce(round: number): Promise<void> {
    const rows = Array.from({ length: this.#random.between(1, 4) }, (_, n) => `${this.id}-${round}-${n}`)
    if (this.#stage.kind === 'backend') {
      await this.#uploadLater(rows)
      return
    }
    await this.#insert(rows)
    const ids = [...this.#committed]
    this.#promised.push({ number: await this.#ask(), ids })
  }

  /** The backend knows the number before it writes: at once, or in several transactions, of which the last has the number. */
  async #uploadLater(rows: readonly string[]): Promise<void> {
    this.#counter += 1n
    const number = this.#counter
    const isSplit = this.#random.chance(0.5)
    if (isSplit) await this.#insert(rows.slice(1))
    const rest = isSplit ? rows.slice(0, 1) : rows
    this.#promised.push({ number, ids: [...this.#committed, ...rest] })
    await this.#insert(rest, number)
  }

  async #insert(rows: readonly string[], number?: bigint): Promise<void> {
    const client = await this.#stage.pool.connect()
    try {
      await client.query('BEGIN')
      for (const id of rows) await client.query('INSERT INTO notes VALUES ($1, $2)', [id, this.id])
      if (number !== undefined) {
        await client.query(
          `INSERT INTO checkpoints VALUES ($1, $1, $2)
           ON CONFLICT (user_id, client_id) DO UPDATE SET checkpoint = excluded.checkpoint`,
          [this.id, String(number)],
        )
      }
      await client.query('COMMIT')
    } finally {
      client.release()
    }
    this.#committed.push(...rows)
  }

  /** As often as it takes: the service may be away. */
  async #ask(): Promise<bigint> {
    for (;;) {
      const answer = await this.#askOnce().catch(() => undefined)
      if (answer !== undefined) return answer
      await pause(50)
    }
  }

  async #askOnce(): Promise<bigint | undefined> {
    const { url } = this.#stage.service
    const headers = { authorization: `Token ${await this.#token()}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ client_id: this.id, checkpoint_request_id: String(this.#counter + 1n) })
    const response =
      this.#stage.kind === 'service'
        ? await fetch(`${url}/write-checkpoint2.json?client_id=${this.id}`, { headers })
        : await fetch(`${url}/sync/checkpoint-request`, { method: 'POST', headers, body })
    if (response.status !== 200) {
      expect([429, 500, 503]).toContain(response.status)
      return undefined
    }
    const { data } = (await response.json()) as { readonly data: Record<string, string> }
    const number = BigInt(data['write_checkpoint'] ?? data['checkpoint_request_id'] ?? '')
    if (this.#stage.kind === 'client') this.#counter = number
    return number
  }

  async follow(signal: AbortSignal): Promise<void> {
    const store = emptyRawStore()
    while (!signal.aborted) {
      try {
        const connection = {
          url: this.#stage.service.url,
          token: await this.#token(),
          format: 'ndjson',
          signal,
        } as const
        for await (const { kind } of followStream({ ...connection, request: { clientId: this.id } }, store)) {
          if (kind === 'checkpoint-complete') this.#note(store)
        }
      } catch (error) {
        // Killed, or still starting. What has neither code nor status is a breach of the protocol.
        if (!(error instanceof Error && ('code' in error || 'status' in error))) throw error
      }
      await pause(20, undefined, { signal }).catch(() => undefined)
    }
  }

  #note(store: RawStore): void {
    const number = store.completed?.writeCheckpoint
    if (number === undefined) return
    const ids = new Set([...readRawRows(store).values()].flatMap((rows) => [...rows.keys()]))
    this.#told.push({ number, ids })
  }

  #token(): Promise<string> {
    return issueToken({ secret: SECRET, userId: this.id, audience: 'tests', ttlSeconds: 3_600 })
  }
}
