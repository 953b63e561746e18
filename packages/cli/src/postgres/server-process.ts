import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, readlink, realpath, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { HeadwaterError } from '@headwater/protocol'

import type { Account } from './account.ts'
import { isAlive } from './cache.ts'
import { pathForServer, POSTGRES_ENVIRONMENT } from './cluster.ts'
import { excerptLog, remedyFor } from './log-excerpt.ts'

export type StopMode = 'fast' | 'immediate'

export type ServerOptions = {
  readonly postgres: string
  readonly dataDir: string
  readonly account: Account
  readonly settings: Readonly<Record<string, string>>
  /** Remove the directory when we die without stopping the server. */
  readonly isThrowAway: boolean
}

export type ServerProcess = {
  readonly pid: number
  readonly ended: Promise<void>
  readonly stop: (mode: StopMode) => Promise<void>
}

/** Recovery after a crash can take a while; a server that is not ready then has a fault. */
const READY_WITHIN_MS = 120_000
const READY_POLL_MS = 10
/** A fast stop waits for clients that read the log to confirm; one that hangs must not hang us. */
const FAST_STOP_MS = 10_000
/** A server whose parent was killed takes this long, at most, to be gone. */
const ORPHAN_GONE_WITHIN_MS = 5_000
const LOG_FILE = 'headwater-postgres.log'
const LOG_BYTES_MAX = 8 * 1024 * 1024

/**
 * Becomes Postgres, and leaves a watcher behind that holds the read end of a pipe whose other end is ours. When we
 * end in any way, kill -9 included, the pipe closes and the watcher stops the server. A line on the pipe says that
 * the server was stopped properly. Arguments: signal to stop with, directory to remove or '', then the command.
 */
const WATCHED_START = `
signal=$1; remove=$2; shift 2
exec 3<&0 </dev/null
( (
  if ! read -r line <&3; then
    kill -s "$signal" $$
    tries=0
    while kill -0 $$ && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
    if [ -n "$remove" ]; then rm -rf -- "$remove"; fi
  fi
) >/dev/null 2>&1 & )
exec "$@" 3<&-
`

/** Starts the server and waits until it takes connections. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  await clearStalePid(options.dataDir)
  const log = await findLog(options.dataDir)
  const child = await spawnServer(options, log)
  const ended = releaseWatcher(child)
  const pid = child.pid
  if (pid === undefined) throw await startError(options.dataDir, log, 'it could not be run')
  await waitUntilReady(child, options.dataDir, log)
  return { pid, ended, stop: (mode) => stopServer(child, ended, mode) }
}

async function spawnServer(options: ServerOptions, { path, start }: LogPlace): Promise<ChildProcess> {
  await using log = await open(path, start === 0 ? 'w' : 'a', 0o600)
  const settings = Object.entries(options.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const command = [options.postgres, '-D', await pathForServer(options.dataDir, options.account), ...settings]
  const orphanOrders = options.isThrowAway ? ['QUIT', options.dataDir] : ['INT', '']
  const child = spawn('/bin/sh', ['-c', WATCHED_START, 'headwater-postgres', ...orphanOrders, ...command], {
    ...options.account,
    cwd: options.dataDir,
    env: POSTGRES_ENVIRONMENT,
    stdio: ['pipe', 'ignore', log.fd],
    // Ctrl-C in the terminal is for us; we stop the server when everything that uses it has ended.
    detached: true,
  })
  // The watcher going first, as when a machine shuts down, is no concern of ours.
  child.stdin?.on('error', () => {})
  // A program that has nothing else to do may end; the watcher then stops the server.
  child.unref()
  if (child.stdin !== null && 'unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  await once(child, 'spawn')
  return child
}

/** Resolves when the server has ended; then nothing is left to watch. */
async function releaseWatcher(child: ChildProcess): Promise<void> {
  await once(child, 'exit')
  child.stdin?.end('stopped\n')
}

async function waitUntilReady(child: ChildProcess, dataDir: string, log: LogPlace): Promise<void> {
  for (let waitedMs = 0; waitedMs < READY_WITHIN_MS; waitedMs += READY_POLL_MS) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw await startError(dataDir, log, 'it ended at once')
    }
    const lock = await readLock(dataDir)
    if (lock !== undefined && lock.pid === child.pid && lock.status === 'ready') return
    await delay(READY_POLL_MS)
  }
  child.kill('SIGQUIT')
  throw await startError(dataDir, log, `it did not take connections within ${READY_WITHIN_MS / 1000} s`)
}

async function stopServer(child: ChildProcess, ended: Promise<void>, mode: StopMode): Promise<void> {
  child.ref()
  child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  const timer = setTimeout(() => child.kill('SIGQUIT'), FAST_STOP_MS)
  await ended
  clearTimeout(timer)
}

/**
 * Postgres takes a directory for taken while the process named in its postmaster.pid lives. Waits for a server that
 * is on its way out; removes the file where the id now belongs to another program.
 */
async function clearStalePid(dataDir: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 50) {
    const lock = await readLock(dataDir)
    if (lock === undefined || !isAlive(lock.pid)) return
    if (!(await isServerOf(lock.pid, dataDir))) {
      await rm(join(dataDir, 'postmaster.pid'), { force: true })
      return
    }
    if (waitedMs >= ORPHAN_GONE_WITHIN_MS) {
      throw new HeadwaterError(
        'embedded-postgres-failed',
        `Cannot start Postgres in ${dataDir}: another one (process ${lock.pid}) is running there. Stop the program that started it, or choose another directory.`,
      )
    }
    await delay(50)
  }
}

/** A server's working directory is its data directory. Where the system does not tell, we believe the file. */
async function isServerOf(pid: number, dataDir: string): Promise<boolean> {
  if (process.platform !== 'linux') return true
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(dataDir))
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
  }
}

type Lock = { readonly pid: number; readonly status: string }

/** postmaster.pid: the first line is the process id, the eighth its state (`starting`, `ready`, `stopping`). */
async function readLock(dataDir: string): Promise<Lock | undefined> {
  try {
    const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')
    return { pid: Number(lines[0]), status: lines[7]?.trim() ?? '' }
  } catch {
    return undefined
  }
}

/** Where the log of this run begins in its file, in bytes. */
type LogPlace = { readonly path: string; readonly start: number }

async function findLog(dataDir: string): Promise<LogPlace> {
  const path = join(dataDir, LOG_FILE)
  const bytes = (await stat(path).catch(() => undefined))?.size ?? 0
  return { path, start: bytes > LOG_BYTES_MAX ? 0 : bytes }
}

async function startError(dataDir: string, { path, start }: LogPlace, what: string): Promise<HeadwaterError> {
  const log = await readFile(path).catch(() => Buffer.alloc(0))
  const said = log.subarray(start).toString()
  const excerpt = excerptLog(said)
  return new HeadwaterError(
    'embedded-postgres-failed',
    `Cannot start Postgres in ${dataDir}: ${what}.${excerpt === '' ? '' : ` Postgres says:\n${excerpt}`}${remedyFor(said)}`,
  )
}
