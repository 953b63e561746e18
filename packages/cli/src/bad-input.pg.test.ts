import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { promisify } from 'node:util'

import { issueToken } from '@headwater/backend'
import type { TestPostgres } from '@headwater/testkit'
import { createTestDatabase, findFreePort, startTestPostgres } from '@headwater/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { Finished, Running } from './run-cli.test-parts.ts'
import { folderWith, runCli, startCli, SYNC_CONFIG, TODOS } from './run-cli.test-parts.ts'

let cluster: TestPostgres

beforeAll(async () => {
  cluster = await startTestPostgres()
})

afterAll(() => cluster.stop())

const SECRET = 'a secret for these tests'
const ENVIRONMENT = { HEADWATER_JWT_SECRET: SECRET, HEADWATER_AUDIENCE: 'app', HEADWATER_LOG_LEVEL: 'error' }

/** A database with a table, and a directory to run in. */
async function openProject(config = SYNC_CONFIG) {
  const folder = await folderWith({ 'sync-config.yaml': config })
  const database = await createTestDatabase(cluster)
  await database.sql(TODOS)
  const dispose = async () => {
    await database[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  }
  return { folder, database, [Symbol.asyncDispose]: dispose }
}

function serve(project: { folder: { path: string } }, url: string, more: readonly string[] = []): Running {
  const args = ['serve', '--database-url', url, '--port', '0', '--slot', `slot_${Date.now()}`, ...more]
  return startCli(args, { cwd: project.folder.path, env: ENVIRONMENT })
}

/** One message and the exit status: no stack, nothing on standard output. */
function expectRefusal(finished: Finished, ...parts: readonly string[]): void {
  expect(finished.code).toBe(1)
  expect(finished.stdout).toBe('')
  expect(finished.stderr.match(/^error /gm)).toHaveLength(1)
  expect(finished.stderr).not.toContain('    at ')
  for (const part of parts) expect(finished.stderr).toContain(part)
}

test('a wrong password is said, with where to correct it', async () => {
  await using project = await openProject()
  const url = new URL(project.database.url)
  url.password = 'hunter2'

  const refused = await serve(project, url.href).ended
  const checked = await runCli(['check', '--database-url', url.href], { cwd: project.folder.path })

  expectRefusal(refused, 'password')
  expect(refused.stderr).not.toContain('hunter2')
  expect(checked.code).toBe(1)
  expect(checked.stdout).toContain('Correct the user or the password in the connection URL.')
})

test('check fails for a column that does not exist, which a service would start without', async () => {
  await using project = await openProject(SYNC_CONFIG.replace('owner =', 'ownr ='))
  const { code, stdout } = await runCli(['check', '--database-url', project.database.url], {
    cwd: project.folder.path,
  })
  expect(code).toBe(1)
  expect(stdout).toContain('error Column "ownr" is not in table public.todos (did you mean "owner"?)')
})

test('a publication that is missing and may not be created is said, with the SQL to run', async () => {
  await using project = await openProject()
  const { database } = project
  const role = `reader_${database.name}`
  await database.sql(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'pw'; GRANT SELECT ON todos TO ${role}`)
  const url = new URL(database.url)
  url.username = role
  url.password = 'pw'

  const refused = await serve(project, url.href).ended
  const checked = await runCli(['check', '--database-url', url.href], { cwd: project.folder.path })
  await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)

  expectRefusal(refused, 'CREATE PUBLICATION', 'headwater')
  expect(checked.code).toBe(1)
  expect(checked.stdout).toMatch(/To do:\n +CREATE PUBLICATION/)
})

test('a column misspelt in the config is said with its place and the right name', async () => {
  await using project = await openProject(SYNC_CONFIG.replace('owner =', 'ownr ='))

  const service = startCli(
    ['serve', '--database-url', project.database.url, '--port', '0', '--slot', `slot_${Date.now()}`],
    { cwd: project.folder.path, env: { ...ENVIRONMENT, HEADWATER_LOG_LEVEL: 'warn' } },
  )
  // It starts all the same: the column may be made later, and until then nobody is shown anything by it.
  const said = await service.prints(/ownr/)
  service.child.kill('SIGTERM')
  const checked = await runCli(['check', '--database-url', project.database.url], { cwd: project.folder.path })

  expect(said).toMatch(/Column \\?"ownr\\?" .*did you mean \\?"owner\\?"/)
  expect(said).toContain('sync-config.yaml:6:38')
  expect((await service.ended).code).toBe(0)
  expect(checked.code).toBe(1)
  expect(checked.stdout).toContain('sync-config.yaml:6:38 error Column "ownr"')
})

test('a port in use is said with its number and the option that chooses another', async () => {
  await using project = await openProject()
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  const refused = await serve(project, project.database.url, ['--port', String(port)]).ended
  taken.close()

  expectRefusal(refused, String(port), '--port')
})

test('an expired token is refused with the word for it, and a fresh one is let in', async () => {
  await using project = await openProject()
  const port = await findFreePort()
  const service = serve(project, project.database.url, ['--port', String(port)])
  await eventually(async () => (await statusCode(`http://127.0.0.1:${port}/probes/readiness`)) === 200)
  const ask = async (ttlSeconds: number) => {
    const token = await issueToken({ secret: SECRET, userId: 'ann', audience: 'app', ttlSeconds })
    return fetch(`http://127.0.0.1:${port}/write-checkpoint2.json`, { headers: { authorization: `Bearer ${token}` } })
  }

  const expired = await ask(-120)
  const fresh = await ask(60)
  service.child.kill('SIGTERM')
  const { code } = await service.ended

  expect(expired.status).toBe(401)
  expect(await expired.text()).toContain('JWT has expired')
  expect(fresh.status).toBe(200)
  expect(code).toBe(0)
})

const isRoot = process.getuid?.() === 0

test.skipIf(!isRoot)(
  'a full disk is said, and once there is room everything is there (mounting one needs root)',
  async () => {
    await using project = await openProject()
    const { database, folder } = project
    await database.sql(`
    INSERT INTO todos (owner, title)
    SELECT 'ann', (SELECT string_agg(md5(row || '-' || part), '') FROM generate_series(1, 30) AS part)
    FROM generate_series(1, 10000) AS row`)
    await using disk = await mountSmallDisk(folder.file('storage'))
    const port = await findFreePort()
    const url = `http://127.0.0.1:${port}`
    const service = serve(project, database.url, [
      '--port',
      String(port),
      '--storage',
      disk.path,
      '--log-level',
      'warn',
    ])

    await service.prints(/"code":"storage-full","message":"[^"]*Free some space/)
    // Between two tries it says that it is connecting.
    let whileFull: Finished
    do whileFull = await runCli(['status', '--url', url])
    while (!whileFull.stdout.includes('free some space and replication goes on by itself'))
    await disk.enlarge()
    await eventually(async () => (await statusCode(`${url}/probes/readiness`)) === 200)
    const rows = await countRows(port)
    service.child.kill('SIGTERM')
    await service.ended

    expect(whileFull.code).toBe(1)
    expect(rows).toBe(10_001)
  },
)

/** A file system of 2 MiB in memory, that can grow. */
async function mountSmallDisk(path: string) {
  const run = promisify(execFile)
  await mkdir(path)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path])
  return {
    path,
    enlarge: () => run('mount', ['-o', 'remount,size=200m', path]),
    [Symbol.asyncDispose]: async () => {
      await run('umount', ['--lazy', path])
    },
  }
}

/** Rows that a client of ann's gets. */
async function countRows(port: number): Promise<number> {
  const token = await issueToken({ secret: SECRET, userId: 'ann', audience: 'app', ttlSeconds: 60 })
  const leaving = new AbortController()
  const response = await fetch(`http://127.0.0.1:${port}/sync/stream`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ buckets: [], include_checksum: true, raw_data: true }),
    signal: leaving.signal,
  })
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('"checkpoint_complete"')) break
  }
  leaving.abort()
  return text.match(/"op":"PUT"/g)?.length ?? 0
}

async function statusCode(url: string): Promise<number> {
  return fetch(url).then(
    (response) => response.status,
    () => 0,
  )
}

/** Asks until the answer is yes; the time limit of the test is the limit. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50))
}
