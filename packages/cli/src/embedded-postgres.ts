import { access, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { HeadwaterError } from '@headwater/protocol'

import { chooseAccount } from './postgres/account.ts'
import { prepareBinaries } from './postgres/binaries.ts'
import { createThrowAwayCluster, ensureCluster, readNotes, writeNotes } from './postgres/cluster.ts'
import { findFreePort, isPortFree } from './postgres/free-port.ts'
import type { ServerOptions, ServerProcess, StopMode } from './postgres/server-process.ts'
import { startServer } from './postgres/server-process.ts'

export type EmbeddedPostgresOptions = {
  /** Where the cluster is kept; made when absent. Left out: a throw-away cluster, removed at the end. */
  readonly dataDir?: string
  /** Left out: the one used last in this directory if it is free, else any free one. */
  readonly port?: number
  /** Postgres settings, over the defaults here. */
  readonly settings?: Readonly<Record<string, string>>
  /** Made when absent; the url names it. Default: `postgres`. */
  readonly database?: string
}

export type EmbeddedPostgres = {
  /** Superuser, over 127.0.0.1. */
  readonly url: string
  readonly port: number
  /** Of the postmaster. */
  readonly pid: number
  readonly dataDir: string
  /** Settles when the server has ended, for whatever reason. */
  readonly ended: Promise<void>
  /** Resolves when the server is gone. `fast` ends its sessions; `immediate` is a crash. Throw-away data go too. */
  readonly stop: (mode?: StopMode) => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Somebody may take a port between our finding it free and Postgres' binding it. */
const PORT_TRIES_MAX = 5

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_replication_slots: '20',
  max_wal_senders: '20',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

/**
 * What is thrown away need not survive the machine's crash. Shared memory in files of the directory is gone with it,
 * where a server that was killed would leave its own in /dev/shm for ever.
 */
const THROW_AWAY_SETTINGS = { fsync: 'off', full_page_writes: 'off', dynamic_shared_memory_type: 'mmap' }

/**
 * Starts a real Postgres from the binaries that npm installed; nothing else is needed on the machine. It ends with
 * this process however that ends. Runs as `nobody` when we are root.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
  if (options.port !== undefined) await refuseTakenPort(options.port)
  const givenDir = options.dataDir === undefined ? undefined : resolve(options.dataDir)
  const account = await chooseAccount(givenDir)
  const binaries = await prepareBinaries(account)
  if (givenDir !== undefined) await ensureCluster(binaries, givenDir, account)
  const dataDir = givenDir ?? (await createThrowAwayCluster(binaries, account))
  const isThrowAway = givenDir === undefined

  try {
    const notes = await readNotes(dataDir)
    const settings = { ...SETTINGS, ...(isThrowAway ? THROW_AWAY_SETTINGS : {}), ...options.settings }
    const serverOptions = { postgres: binaries.postgres, dataDir, account, settings, isThrowAway }
    const { server, port } = await startOnPort(serverOptions, options.port, notes.port)
    if (!isThrowAway && port !== notes.port) await writeNotes(dataDir, account, { ...notes, port })

    const database = options.database ?? 'postgres'
    const urlOf = (name: string) =>
      `postgres://postgres:${notes.password}@127.0.0.1:${port}/${encodeURIComponent(name)}`
    const stop = async (mode: StopMode = isThrowAway ? 'immediate' : 'fast') => {
      await server.stop(mode)
      if (isThrowAway) await rm(dataDir, { recursive: true, force: true })
    }
    if (database !== 'postgres') await ensureDatabase(urlOf('postgres'), database, stop)
    const { pid, ended } = server
    return { url: urlOf(database), port, pid, dataDir, ended, stop, [Symbol.asyncDispose]: () => stop() }
  } catch (error) {
    if (isThrowAway && (await exists(dataDir))) await rm(dataDir, { recursive: true, force: true })
    throw error
  }
}

async function refuseTakenPort(port: number): Promise<void> {
  if (await isPortFree(port)) return
  throw new HeadwaterError(
    'port-in-use',
    `Cannot start Postgres on 127.0.0.1:${port}: another program listens there. Stop it, or choose another port.`,
  )
}

async function startOnPort(
  options: ServerOptions,
  given: number | undefined,
  last: number | undefined,
): Promise<{ server: ServerProcess; port: number }> {
  for (let tries = 1; ; tries += 1) {
    const port = given ?? (last !== undefined && (await isPortFree(last)) ? last : await findFreePort())
    try {
      const server = await startServer({ ...options, settings: { ...options.settings, port: String(port) } })
      return { server, port }
    } catch (error) {
      if (given !== undefined || tries === PORT_TRIES_MAX || (await isPortFree(port))) throw error
    }
  }
}

async function ensureDatabase(url: string, name: string, stop: () => Promise<void>): Promise<void> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`)
  } catch (error) {
    await stop()
    throw error
  } finally {
    await client.end()
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(join(path))
    return true
  } catch {
    return false
  }
}
