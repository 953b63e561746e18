import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

import { Client } from 'pg'
import { expect, test } from 'vitest'

import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { isAlive } from './postgres/cache.ts'

test('a throw-away cluster takes connections with its password only, and is removed when it stops', async () => {
  const postgres = await startEmbeddedPostgres()
  const wrong = new URL(postgres.url)
  wrong.password = 'wrong'

  expect(await ask(postgres.url, "SELECT current_setting('wal_level') AS answer")).toBe('logical')
  await expect(ask(wrong.href, 'SELECT 1 AS answer')).rejects.toMatchObject({ code: '28P01' })

  await postgres.stop()
  expect(isAlive(postgres.pid)).toBe(false)
  await expect(access(postgres.dataDir)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('the server never runs as root', async () => {
  await using postgres = await startEmbeddedPostgres()
  const { uid } = await stat(`/proc/${postgres.pid}`)
  expect(uid).not.toBe(0)
})

test('a restart in the same directory finds its data, address and password again', async () => {
  await using directory = await temporaryDirectory()
  const dataDir = join(directory.path, 'deep', 'postgres')
  const first = await startEmbeddedPostgres({ dataDir, database: 'app' })
  await ask(first.url, 'CREATE TABLE t AS SELECT 42 AS answer')
  await first.stop()

  await using second = await startEmbeddedPostgres({ dataDir, database: 'app' })
  expect(second.url).toBe(first.url)
  expect(await ask(second.url, 'SELECT answer FROM t')).toBe(42)
})

test('a cluster below a directory that is closed to others works, as a clone in /root needs it', async () => {
  await using directory = await temporaryDirectory()
  await chmod(directory.path, 0o700)
  await using postgres = await startEmbeddedPostgres({ dataDir: join(directory.path, 'postgres') })
  expect(await ask(postgres.url, 'SELECT 1 AS answer')).toBe(1)
})

test('kill -9 of the parent leaves neither a server nor a throw-away directory', async () => {
  const parent = await startParent({})

  parent.kill()

  await eventually(async () => !isAlive(parent.serverPid) && !(await exists(parent.dataDir)))
})

test('after kill -9 of the parent the next start finds what was committed', async () => {
  await using directory = await temporaryDirectory()
  const dataDir = join(directory.path, 'postgres')
  const parent = await startParent({ dataDir })
  await ask(parent.url, 'CREATE TABLE t AS SELECT 42 AS answer')

  parent.kill()

  await using postgres = await startEmbeddedPostgres({ dataDir })
  expect(await ask(postgres.url, 'SELECT answer FROM t')).toBe(42)
})

test('a cluster whose making was killed is made anew', async () => {
  await using directory = await temporaryDirectory()
  const dataDir = join(directory.path, 'postgres')
  const parent = spawnParent({ dataDir })
  await eventually(async () => (await findUnfinished(directory.path)) !== undefined)
  parent.kill('SIGKILL')
  await once(parent, 'exit')

  await using postgres = await startEmbeddedPostgres({ dataDir })
  expect(await ask(postgres.url, 'SELECT 1 AS answer')).toBe(1)
  expect(await findUnfinished(directory.path)).toBeUndefined()
})

test('a postmaster.pid whose process id belongs to another program now does not keep the server from starting', async () => {
  await using directory = await temporaryDirectory()
  const dataDir = join(directory.path, 'postgres')
  const first = await startEmbeddedPostgres({ dataDir })
  await first.stop()
  await writeFile(join(dataDir, 'postmaster.pid'), `${process.pid}\n${dataDir}\n`)

  await using second = await startEmbeddedPostgres({ dataDir })
  expect(await ask(second.url, 'SELECT 1 AS answer')).toBe(1)
})

test('a directory in use is refused by name, and the server in it goes on', async () => {
  await using directory = await temporaryDirectory()
  const dataDir = join(directory.path, 'postgres')
  await using first = await startEmbeddedPostgres({ dataDir })

  await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({
    code: 'embedded-postgres-failed',
    message: expect.stringContaining(`another one (process ${first.pid}) is running there`),
  })
  expect(await ask(first.url, 'SELECT 1 AS answer')).toBe(1)
})

test('a port in use is refused with its number', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  await expect(startEmbeddedPostgres({ port })).rejects.toMatchObject({
    code: 'port-in-use',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
  taken.close()
})

test('a setting that Postgres refuses is reported with the words of its log', async () => {
  await expect(startEmbeddedPostgres({ settings: { wal_level: 'sideways' } })).rejects.toMatchObject({
    code: 'embedded-postgres-failed',
    message: expect.stringContaining('sideways'),
  })
})

type Parent = { url: string; serverPid: number; dataDir: string; kill: () => void }

/** A program of its own that starts a server and stays. */
async function startParent(options: { dataDir?: string }): Promise<Parent> {
  const child = spawnParent(options)
  const lines = createInterface(child.stdout)
  const [line] = await once(lines, 'line')
  const { url, pid, dataDir } = JSON.parse(String(line))
  return { url, serverPid: pid, dataDir, kill: () => child.kill('SIGKILL') }
}

function spawnParent(options: { dataDir?: string }) {
  const program = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(import.meta.resolve('./embedded-postgres.ts'))})
    const postgres = await startEmbeddedPostgres(${JSON.stringify(options)})
    console.log(JSON.stringify(postgres))
    setInterval(() => {}, 1000)`
  return spawn(process.execPath, ['--conditions=@headwater/source', '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ answer: unknown }>(sql)
    return rows[0]?.answer
  } finally {
    await client.end()
  }
}

async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-test-'))
  await chmod(path, 0o755)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

async function findUnfinished(directory: string): Promise<string | undefined> {
  return (await readdir(directory)).find((name) => name.includes('.building-'))
}

async function exists(path: string): Promise<boolean> {
  return readFile(join(path, 'PG_VERSION')).then(
    () => true,
    () => false,
  )
}

/** Asks until the answer is yes; the time limit of the test is the limit. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(20)
}
