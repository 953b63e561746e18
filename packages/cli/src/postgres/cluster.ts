import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { HeadwaterError } from '@headwater/protocol'

import type { Account } from './account.ts'
import { isReachable } from './account.ts'
import type { PostgresBinaries } from './binaries.ts'
import { cachedTree, sweepUnfinished, unfinishedName } from './cache.ts'
import { remedyFor } from './log-excerpt.ts'

/** What we remember of a cluster, in a file beside Postgres' own. */
export type ClusterNotes = {
  /** Of the superuser `postgres`. */
  readonly password: string
  /** Where it listened last, so that addresses written down elsewhere go on working. */
  readonly port: number | undefined
}

/** Postgres reads nothing else from the environment: no PG* variable of the user's, messages in English. */
export const POSTGRES_ENVIRONMENT = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

const NOTES_FILE = 'headwater.json'

/** Makes the cluster unless it is there. A crash in the middle leaves nothing under its name. */
export async function ensureCluster(binaries: PostgresBinaries, dataDir: string, account: Account): Promise<void> {
  if (await exists(join(dataDir, 'PG_VERSION'))) return
  await mkdir(dirname(dataDir), { recursive: true })
  await sweepUnfinished(dataDir)
  const building = unfinishedName(dataDir)
  await mkdir(building, { mode: 0o700 })
  await runInitdb(binaries, building, account, [])
  try {
    await rename(building, dataDir)
  } catch (cause) {
    await rm(building, { recursive: true, force: true })
    throw new HeadwaterError(
      'embedded-postgres-failed',
      `Cannot create a Postgres cluster in ${dataDir}: something other than a cluster is there. Remove it, or choose another directory.`,
      { cause },
    )
  }
}

/**
 * A cluster in a new temporary directory, copied from one that was made once: initdb takes a second, the copy a
 * tenth. All such clusters share Postgres' "system identifier"; where that matters, give a directory.
 */
export async function createThrowAwayCluster(binaries: PostgresBinaries, account: Account): Promise<string> {
  const owner = account === undefined ? 'self' : String(account.uid)
  const template = await cachedTree(`${binaries.label}-cluster-${owner}`, (tree) =>
    runInitdb(binaries, tree, account, ['--no-sync']),
  )
  const dataDir = await mkdtemp(join(tmpdir(), 'headwater-postgres-'))
  try {
    await giveTo(dataDir, account)
    await promisify(execFile)('cp', ['-R', `${template}/.`, '.'], { ...account, cwd: dataDir })
    return dataDir
  } catch (cause) {
    await rm(dataDir, { recursive: true, force: true })
    throw cause
  }
}

/**
 * The path under which the server finds its directory. Where a parent is closed to its account, as /root is, the
 * server is started inside the directory and told to look where it stands; Linux lets it.
 */
export async function pathForServer(dataDir: string, account: Account): Promise<string> {
  if (await isReachable(dataDir, account)) return dataDir
  if (process.platform === 'linux') return '/proc/self/cwd'
  throw new HeadwaterError(
    'embedded-postgres-failed',
    `Cannot keep a Postgres cluster in ${dataDir}: the user that runs it may not look into a parent directory. Choose another directory, or do not run as root.`,
  )
}

export async function readNotes(dataDir: string): Promise<ClusterNotes> {
  const path = join(dataDir, NOTES_FILE)
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ClusterNotes
  } catch (cause) {
    throw new HeadwaterError(
      'embedded-postgres-failed',
      `Cannot read ${path}, which holds the password of this Postgres cluster. If it is unreadable to you, run as the user who made it; if it is gone, start that cluster yourself and name it with --database-url.`,
      { cause },
    )
  }
}

export async function writeNotes(dataDir: string, account: Account, notes: ClusterNotes): Promise<void> {
  const path = join(dataDir, NOTES_FILE)
  await writeFile(`${path}.new`, JSON.stringify(notes), { mode: 0o600 })
  await giveTo(`${path}.new`, account)
  await rename(`${path}.new`, path)
}

async function runInitdb(
  binaries: PostgresBinaries,
  dataDir: string,
  account: Account,
  extra: readonly string[],
): Promise<void> {
  await giveTo(dataDir, account)
  const password = randomBytes(18).toString('base64url')
  // Named after this process, so that a later one removes it when this one is killed.
  const passwords = join(tmpdir(), 'headwater-initdb')
  await sweepUnfinished(passwords).catch(() => {})
  const passwordDir = unfinishedName(passwords)
  try {
    await mkdir(passwordDir, { mode: 0o700 })
    await giveTo(passwordDir, account)
    const passwordFile = join(passwordDir, 'password')
    await writeFile(passwordFile, password, { mode: 0o600 })
    await giveTo(passwordFile, account)
    await promisify(execFile)(
      binaries.initdb,
      [
        '-D',
        await pathForServer(dataDir, account),
        '--username=postgres',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        // The builtin provider sorts alike on every system.
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-instructions',
        ...extra,
      ],
      { ...account, cwd: dataDir, env: POSTGRES_ENVIRONMENT },
    )
    await writeNotes(dataDir, account, { password, port: undefined })
  } catch (cause) {
    await rm(dataDir, { recursive: true, force: true })
    throw initdbError(dataDir, cause)
  } finally {
    await rm(passwordDir, { recursive: true, force: true })
  }
}

function initdbError(dataDir: string, cause: unknown): HeadwaterError {
  const detail = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause)
  return new HeadwaterError(
    'embedded-postgres-failed',
    `Cannot create a Postgres cluster in ${dataDir}: ${detail || String(cause)}${remedyFor(detail)}`,
    { cause },
  )
}

async function giveTo(path: string, account: Account): Promise<void> {
  if (account !== undefined) await chown(path, account.uid, account.gid)
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
