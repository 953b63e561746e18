import { readFile, writeFile } from 'node:fs/promises'

import { findFreePort } from '@headwater/testkit'
import { Client } from 'pg'
import { expect, test } from 'vitest'

import { isAlive } from './postgres/cache.ts'
import type { Folder, Running } from './run-cli.test-parts.ts'
import { folderWith, runCli, startCli, SYNC_CONFIG, TODOS } from './run-cli.test-parts.ts'

const FILES = { 'sync-config.yaml': SYNC_CONFIG, 'schema.sql': TODOS }

/** Starts `headwater dev` and waits for the addresses it prints. */
async function startDev(folder: Folder) {
  const port = await findFreePort()
  const dev = startCli(['dev', '--init', 'schema.sql', '--port', String(port)], { cwd: folder.path })
  const printed = await dev.prints(/Ctrl-C stops everything/)
  const databaseUrl = /postgres:\/\/\S+/.exec(printed)?.[0] ?? ''
  return { dev, port, databaseUrl }
}

/** Stops it as Ctrl-C does; it must end in good order. */
async function stop({ child, ended }: Running) {
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ code: 0 })
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ answer: unknown }>(sql)
  await client.end()
  return rows[0]?.answer
}

test('dev starts Postgres with the SQL given, the service, and tokens that it takes', async () => {
  await using folder = await folderWith(FILES)
  const { dev, port, databaseUrl } = await startDev(folder)
  const answer = await fetch(`http://127.0.0.1:${port + 1}/?user=ann`)
  const { token } = (await answer.json()) as { token: string }
  const printed = await runCli(['token', '--user', 'ann'], { cwd: folder.path })

  const checkpoints = [token, printed.stdout.trim()].map((each) =>
    fetch(`http://127.0.0.1:${port}/write-checkpoint2.json`, { headers: { authorization: `Bearer ${each}` } }),
  )

  expect((await Promise.all(checkpoints)).map(({ status }) => status)).toEqual([200, 200])
  expect(await ask(databaseUrl, 'SELECT count(*)::int AS answer FROM todos')).toBe(2)
  await stop(dev)
})

test('a second start finds the data of the first and does not run the SQL again', async () => {
  await using folder = await folderWith(FILES)
  const first = await startDev(folder)
  await ask(first.databaseUrl, "INSERT INTO todos (owner, title) VALUES ('ann', 'eggs')")
  await stop(first.dev)

  const second = await startDev(folder)
  const count = await ask(second.databaseUrl, 'SELECT count(*)::int AS answer FROM todos')
  await stop(second.dev)

  expect(count).toBe(3)
  expect(second.databaseUrl).toBe(first.databaseUrl)
})

test('a config that breaks while dev runs is shown with its place, and the old one goes on until it is right', async () => {
  await using folder = await folderWith(FILES)
  const { dev } = await startDev(folder)

  await writeFile(folder.file('sync-config.yaml'), SYNC_CONFIG.replace('auth.user_id', 'auth.usr_id'))
  const broken = await dev.prints(/goes on with the config from before/)
  await writeFile(folder.file('sync-config.yaml'), SYNC_CONFIG.replace('mine:', 'ours:'))
  const mended = await dev.prints(/is served from now on/)
  await stop(dev)

  expect(broken).toMatch(
    /sync-config\.yaml:6:\d+.*Unknown function auth\.usr_id\(\) \(did you mean "auth\.user_id\(\)"/,
  )
  expect(mended).toContain('✓ sync-config.yaml')
})

test('kill -9 of dev leaves no server, and the next start works', async () => {
  await using folder = await folderWith(FILES)
  const first = await startDev(folder)
  const pidFile = folder.file('.headwater/postgres/postmaster.pid')
  const serverPid = Number((await readFile(pidFile, 'utf8')).split('\n')[0])

  first.dev.child.kill('SIGKILL')
  await first.dev.ended
  while (isAlive(serverPid)) await new Promise((resolve) => setTimeout(resolve, 20))

  const second = await startDev(folder)
  expect(await ask(second.databaseUrl, 'SELECT count(*)::int AS answer FROM todos')).toBe(2)
  await stop(second.dev)
})

test('a mistake in the SQL is said, and can be corrected and run again', async () => {
  await using folder = await folderWith({ ...FILES, 'schema.sql': `${TODOS}; CREATE TABEL x ()` })
  const port = await findFreePort()
  const { code, stderr } = await runCli(['dev', '--init', 'schema.sql', '--port', String(port)], { cwd: folder.path })
  await writeFile(folder.file('schema.sql'), TODOS)
  const second = await startDev(folder)
  await stop(second.dev)

  expect(code).toBe(1)
  expect(stderr).toContain('Cannot run schema.sql: Postgres says: syntax error at or near "TABEL"')
})
