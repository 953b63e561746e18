import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { issueToken } from '@headwater/backend'
import type { ServiceOptions } from '@headwater/service'
import { startServiceProcess, type ServiceProcess, type ServiceProcessRun } from '@headwater/testkit'
import { startEmbeddedPostgres } from 'headwater/embedded-postgres'
import { Client } from 'pg'

/** A database of its own in a real Postgres, and services over it, each on an empty storage folder. What a scenario plays on. */
export type Stage = AsyncDisposable & {
  readonly url: string
  readonly sql: (text: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>
  /** From its sources unless `run` says otherwise. Ends with the stage. */
  readonly startService: (
    syncConfig: string,
    run?: ServiceProcessRun & Pick<ServiceOptions, 'http' | 'limits'>,
  ) => Promise<ServiceProcess>
  readonly token: (userId: string) => Promise<string>
}

const SECRET = 'a secret for benchmarks, long enough for HS256'
const AUDIENCE = 'headwater-bench'

/**
 * Durable, as a production source would be. No time-out of the sender: scenarios stop the service for a while
 * (SIGSTOP) to let work pile up.
 */
const SETTINGS = {
  fsync: 'on',
  full_page_writes: 'on',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  shared_buffers: '512MB',
  wal_sender_timeout: '0',
  max_connections: '200',
}

export async function openStage(schema: string): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-bench-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  const postgres = opening.use(await startEmbeddedPostgres({ settings: SETTINGS, database: 'bench' }))
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  opening.defer(() => client.end())
  await client.query(schema)
  await client.query('CREATE PUBLICATION headwater FOR ALL TABLES')

  const opened = opening.move()
  let services = 0
  return {
    url: postgres.url,
    sql: async (text, values) => {
      const { rows } = await client.query<Record<string, unknown>>(text, values === undefined ? [] : [...values])
      return rows
    },
    startService: async (syncConfig, { http, limits, ...run } = {}) => {
      services++
      const options: ServiceOptions = {
        source: { url: postgres.url, slot: `headwater_${services}` },
        storage: { path: join(folder, `storage-${services}`) },
        syncConfig: { content: syncConfig },
        ...(http === undefined ? {} : { http }),
        auth: { secret: SECRET, audience: [AUDIENCE] },
        log: { level: 'warn' },
        ...(limits === undefined ? {} : { limits }),
      }
      const profileDir = process.env['PROFILE_DIR']
      if (profileDir === undefined) return opened.use(await startServiceProcess(options, run))
      // Node writes its profile at a regular exit.
      const profiled = await startServiceProcess(options, {
        ...run,
        execArgv: ['--cpu-prof', `--cpu-prof-dir=${resolve(profileDir)}`],
      })
      opened.defer(async () => void (await profiled.stop()))
      return profiled
    },
    token: (userId) => issueToken({ secret: SECRET, userId, audience: AUDIENCE, ttlSeconds: 3_600 }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
