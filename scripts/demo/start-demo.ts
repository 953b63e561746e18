import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startService } from '@headwater/service'
import { startEmbeddedPostgres } from 'headwater/embedded-postgres'
import { Client } from 'pg'
import { build } from 'vite'
import { startTodoServer } from '../../examples/todo-web/server.ts'
import { choosePort } from './ports.ts'

const EXAMPLE = join(import.meta.dirname, '..', '..', 'examples', 'todo-web')
const DATABASE = 'todos'
const HOST = '127.0.0.1'

/** The addresses to expect; others are taken, and said, when somebody else has these. */
const PORTS = { app: 5180, service: 5181, postgres: 5182 }

const NAMES = { app: 'the app', service: 'the service', postgres: 'Postgres' } as const

/** Where a running demo says how to reach it. */
const RUNNING_FILE = 'running.json'

export type RunningDemo = {
  readonly appUrl: string
  readonly serviceUrl: string
  readonly postgresUrl: string
  readonly pid: number
}

export type Demo = RunningDemo & {
  /** Settles when a part of it has ended by itself: rejects with the reason. */
  readonly ended: Promise<void>
  readonly stop: () => Promise<void>
}

export type DemoOptions = {
  /** Keeps everything: the Postgres cluster, the service's storage, the built app. */
  readonly folder: string
  /** Told each step as it is done. */
  readonly say: (text: string) => void
}

/** Starts Postgres, the service and the app. What was started is stopped again when a later part cannot start. */
export async function startDemo({ folder, say }: DemoOptions): Promise<Demo> {
  await mkdir(folder, { recursive: true })
  const other = await readRunning(folder)
  if (other !== undefined && (await answers(other))) {
    throw new Error(`The demo is running already, as process ${other.pid}: its app is at ${other.appUrl}`)
  }
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each()
  }
  try {
    const appFolder = join(folder, 'app')
    const building = buildApp(appFolder, say)
    building.catch(() => {})

    const portFor = (part: keyof typeof PORTS) => choosePortFor(part, say)
    const postgresPort = await portFor('postgres')
    const dataDir = join(folder, 'postgres')
    const postgres = await startEmbeddedPostgres({ dataDir, port: postgresPort, database: DATABASE })
    stops.push(() => postgres.stop())
    say(`Postgres listens on port ${postgres.port}`)
    if (await seed(postgres.url)) say('Tables and a few rows are made')

    const secret = randomBytes(32).toString('hex')
    const syncConfigPath = join(EXAMPLE, 'sync-config.yaml')
    const service = await startService({
      source: { url: postgres.url },
      storage: { path: join(folder, 'storage') },
      syncConfig: { content: await readFile(syncConfigPath, 'utf8'), path: syncConfigPath },
      http: { host: HOST, port: await portFor('service') },
      auth: { secret, audience: ['todo-web'] },
      log: { level: 'warn', pretty: true },
    })
    stops.push(() => service.stop())
    say(`The service listens at ${service.url}`)

    await building
    const appPort = await portFor('app')
    const options = { databaseUrl: postgres.url, serviceUrl: service.url, secret, appFolder, host: HOST, port: appPort }
    const app = await startTodoServer(options)
    stops.push(app.stop)
    const running = { appUrl: app.url, serviceUrl: service.url, postgresUrl: postgres.url, pid: process.pid }
    stops.push(await writeRunning(folder, running))
    const ended = firstToEnd(postgres.ended, service.ended)
    // Who waits for it is told; when nobody does, as after `stop`, it is no news.
    ended.catch(() => {})
    return { ...running, ended, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function choosePortFor(part: keyof typeof PORTS, say: (text: string) => void): Promise<number> {
  const port = await choosePort(PORTS[part])
  if (port !== PORTS[part]) say(`Port ${PORTS[part]} is taken, so ${NAMES[part]} gets ${port}`)
  return port
}

async function buildApp(outDir: string, say: (text: string) => void): Promise<void> {
  await build({ root: EXAMPLE, logLevel: 'error', build: { outDir, emptyOutDir: true } })
  say('The app is built')
}

/** Runs schema.sql in an empty database. False when its tables are there. */
async function seed(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const found = await client.query<{ lists: string | null }>("SELECT to_regclass('public.lists') AS lists")
    if (typeof found.rows[0]?.lists === 'string') return false
    const statements = await readFile(join(EXAMPLE, 'schema.sql'), 'utf8')
    await client.query(`BEGIN; ${statements}; COMMIT`)
    return true
  } finally {
    await client.end()
  }
}

/** The demo that runs on `folder`, or ran there until something ended it abruptly. */
export async function readRunning(folder: string): Promise<RunningDemo | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, RUNNING_FILE), 'utf8')) as RunningDemo
  } catch {
    return undefined
  }
}

/** Asks, rather than looks for the process: its number may be somebody else's by now. */
async function answers({ appUrl }: RunningDemo): Promise<boolean> {
  try {
    return (await fetch(`${appUrl}/api/config`, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}

/** Returns the function that takes the note away again. */
async function writeRunning(folder: string, running: RunningDemo): Promise<() => Promise<void>> {
  const path = join(folder, RUNNING_FILE)
  await writeFile(path, JSON.stringify(running), { mode: 0o600 })
  return () => rm(path, { force: true })
}

async function firstToEnd(postgres: Promise<void>, service: Promise<void>): Promise<void> {
  const ended = await Promise.race([postgres.then(() => 'Postgres'), service.then(() => 'The service')])
  throw new Error(`${ended} has stopped by itself`)
}
