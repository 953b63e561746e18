import { once } from 'node:events'
import { access, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createServer } from 'node:http'
import { join, resolve } from 'node:path'

import { HeadwaterError } from '@headwater/protocol'
import type { Service } from '@headwater/service'

import { DEV_AUDIENCE, ensureDevSecret } from '../dev-secret.ts'
import type { EmbeddedPostgres } from '../embedded-postgres.ts'
import { readInput } from '../read-file.ts'
import { formatDiagnostic, paintOn, printError } from '../report.ts'
import { waitForStop } from '../stop-signal.ts'
import { watchFile } from '../watch-file.ts'

export type DevFlags = {
  readonly config: string
  readonly databaseUrl?: string
  readonly init?: string
  readonly dataDir: string
  readonly host: string
  readonly port: number
  readonly postgresPort?: number
  readonly logLevel: string
}

/** What tokens for development are good for. */
const TOKEN_TTL_SECONDS = 3600
const DATABASE = 'app'

/**
 * Runs Postgres, the service and a source of tokens in one process, until it is told to stop or one of them ends. A
 * change of the config file is served at once; one that cannot be is shown, and the service goes on as before.
 */
export async function runDev(flags: DevFlags): Promise<void> {
  const stopping = waitForStop()
  const config = await readInput(flags.config, '--config')
  await refuseBadConfig(flags.config, config)
  const secret = await ensureDevSecret(flags.dataDir)

  await using opened = new AsyncDisposableStack()
  const tokens = await startTokenServer(flags, secret)
  opened.defer(() => closeServer(tokens))
  const postgres = await startPostgres(flags)
  if (postgres !== undefined) {
    opened.defer(() => postgres.stop())
    await initialise(flags, postgres)
  }
  const databaseUrl = postgres?.url ?? givenUrl(flags) ?? ''
  const service = await startDevService(flags, { databaseUrl, config, secret })
  opened.defer(() => service.stop())
  const watching = new AbortController()
  opened.defer(() => {
    watching.abort()
  })
  const watched = watchFile({ path: flags.config, known: config }, watching.signal, (content) =>
    replaceConfig(service, flags.config, content),
  )

  printAddresses(flags, service, databaseUrl)
  const signal = await Promise.race([stopping, service.ended, postgresEnded(postgres), watched])
  if (signal !== undefined) console.log('\nStopping …')
}

async function refuseBadConfig(path: string, content: string): Promise<void> {
  const { compileSyncConfig } = await import('@headwater/sync-config')
  const compiled = compileSyncConfig(content)
  // Of what it only warns, the service's log tells.
  if (compiled.kind === 'refused') {
    for (const diagnostic of compiled.diagnostics) console.error(formatDiagnostic(path, diagnostic))
    throw new HeadwaterError('bad-sync-config', `Cannot start with ${path}: correct it as shown above.`)
  }
}

function givenUrl(flags: DevFlags): string | undefined {
  const url = flags.databaseUrl ?? process.env['HEADWATER_SOURCE_URL']
  return url === '' ? undefined : url
}

async function startPostgres(flags: DevFlags): Promise<EmbeddedPostgres | undefined> {
  if (givenUrl(flags) !== undefined) return undefined
  const { startEmbeddedPostgres } = await import('../embedded-postgres.ts')
  const dataDir = join(flags.dataDir, 'postgres')
  return startEmbeddedPostgres({
    dataDir,
    database: DATABASE,
    ...(flags.postgresPort === undefined ? {} : { port: flags.postgresPort }),
  })
}

/** Runs the SQL once; as one transaction, so that a mistake in it leaves nothing and it can be run again. */
async function initialise(flags: DevFlags, postgres: EmbeddedPostgres): Promise<void> {
  if (flags.init === undefined) return
  const done = join(flags.dataDir, 'init-done')
  if (await exists(done)) return
  const sql = await readInput(flags.init, '--init')
  const { Client } = await import('pg')
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  try {
    await client.query(sql)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new HeadwaterError(
      'bad-settings',
      `Cannot run ${flags.init}: Postgres says: ${reason}. Nothing of it was kept.`,
      {
        cause,
      },
    )
  } finally {
    await client.end()
  }
  await writeFile(done, resolve(flags.init))
}

type DevParts = { readonly databaseUrl: string; readonly config: string; readonly secret: string }

async function startDevService(flags: DevFlags, { databaseUrl, config, secret }: DevParts): Promise<Service> {
  const { startService } = await import('@headwater/service')
  return startService({
    source: { url: databaseUrl },
    storage: { path: join(flags.dataDir, 'storage') },
    syncConfig: { content: config, path: flags.config },
    http: { host: flags.host, port: flags.port },
    auth: { secret, audience: [DEV_AUDIENCE] },
    log: { level: flags.logLevel as 'warn' },
  })
}

async function startTokenServer(flags: DevFlags, secret: string): Promise<Server> {
  const { createDevTokenHandler, toNodeListener } = await import('@headwater/backend')
  const handler = createDevTokenHandler({ secret, audience: DEV_AUDIENCE, ttlSeconds: TOKEN_TTL_SECONDS })
  const server = createServer(toNodeListener(handler))
  const port = tokenPort(flags)
  try {
    server.listen(port, flags.host)
    await once(server, 'listening')
    return server
  } catch (cause) {
    throw new HeadwaterError(
      'port-in-use',
      `Cannot issue tokens at ${flags.host}:${port}: another program listens there, or the address is not of this machine. Stop that program, or choose another port with --port (tokens take the next one).`,
      { cause },
    )
  }
}

function tokenPort(flags: DevFlags): number {
  return flags.port === 0 ? 0 : flags.port + 1
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

async function replaceConfig(service: Service, path: string, content: string): Promise<void> {
  const outcome = await service.replaceSyncConfig(content)
  switch (outcome.kind) {
    case 'unchanged':
      console.log(`${paintOn(process.stdout, 'green', '✓')} ${path} is good, and does what the one served does`)
      return
    case 'replaced':
      console.log(`${paintOn(process.stdout, 'green', '✓')} ${path} is served from now on`)
      return
    case 'refused':
      printError(`${outcome.message}\n  The service goes on with the config from before.`)
  }
}

async function postgresEnded(postgres: EmbeddedPostgres | undefined): Promise<undefined> {
  if (postgres === undefined) return new Promise(() => {})
  await postgres.ended
  throw new HeadwaterError(
    'embedded-postgres-failed',
    `Cannot go on: Postgres has ended by itself. Its log is in ${join(postgres.dataDir, 'headwater-postgres.log')}.`,
  )
}

function printAddresses(flags: DevFlags, service: Service, databaseUrl: string): void {
  const port = Number(new URL(service.url).port)
  const name = (text: string) => paintOn(process.stdout, 'bold', text.padEnd(10))
  console.log(`
  ${name('service')} ${service.url}
  ${name('tokens')} http://${flags.host}:${port + 1}/?user=ann
  ${name('postgres')} ${databaseUrl}
  ${name('config')} ${flags.config}, watched

  Ctrl-C stops everything; the data stay in ${flags.dataDir}.
`)
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
