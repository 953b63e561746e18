import { execFile } from 'node:child_process'
import { appendFile, chmod, chown, cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  createTestDatabase,
  findFreePort,
  startFaultProxy,
  startTestPostgres,
  type TestPostgres,
} from '@headwater/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSession } from './connection.ts'
import { parseSourceUrl } from './source-url.ts'

const run = promisify(execFile)

let postgres: TestPostgres
let folder: string

/** A server that has TLS with a certificate of its own making, and wants SCRAM passwords over TCP. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-tls-'))
  const key = join(folder, 'server.key')
  const certificate = join(folder, 'server.crt')
  const command = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost'
  await run('openssl', [...command.split(' '), '-keyout', key, '-out', certificate])
  postgres = await startTestPostgres()
  const { dataDir } = postgres
  const owner = await stat(dataDir)
  for (const name of ['server.key', 'server.crt']) {
    await cp(join(folder, name), join(dataDir, name))
    await chmod(join(dataDir, name), 0o600)
    await chown(join(dataDir, name), owner.uid, owner.gid)
  }
  await using db = await createTestDatabase(postgres)
  await db.sql(`CREATE ROLE app LOGIN PASSWORD 's3cret'; CREATE ROLE plain LOGIN PASSWORD 's3cret'`)
  const rules = await db.sql(`SHOW hba_file`)
  const file = String(rules[0]?.['hba_file'])
  await writeFile(
    file,
    `hostssl all app all scram-sha-256\nhostnossl all app all reject\nhostnossl all plain all scram-sha-256\n${await readFile(file, 'utf8')}`,
  )
  await appendFile(join(dataDir, 'postgresql.auto.conf'), `ssl = 'on'\n`)
  await db.sql('SELECT pg_reload_conf()')
})

afterAll(async () => {
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
})

function urlOf(user: string, password: string, parameters = '', host = '127.0.0.1'): string {
  return `postgres://${user}:${password}@${host}:${postgres.port}/postgres${parameters}`
}

async function open(url: string): Promise<string> {
  await using session = await openSession(parseSourceUrl(url), { applicationName: 'test', kind: 'sql' })
  const [row] = await session.query('SELECT ssl::text AS ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
  return row?.['ssl'] === 'true' ? 'encrypted' : 'plain'
}

describe('TLS', () => {
  test('is used when it is wanted and the server has it', async () => {
    expect(await open(urlOf('app', 's3cret', '?sslmode=require'))).toBe('encrypted')
    expect(await open(urlOf('app', 's3cret', '?sslmode=prefer'))).toBe('encrypted')
    expect(await open(urlOf('app', 's3cret'))).toBe('encrypted')
    expect(await open(urlOf('plain', 's3cret', '?sslmode=disable'))).toBe('plain')
  })

  test('verify-ca trusts the given authority, whatever the host is called', async () => {
    const authority = join(folder, 'server.crt')
    expect(await open(urlOf('app', 's3cret', `?sslmode=verify-ca&sslrootcert=${authority}`))).toBe('encrypted')
  })

  test('verify-full wants the name of the host in the certificate', async () => {
    const authority = join(folder, 'server.crt')
    expect(await open(urlOf('app', 's3cret', `?sslrootcert=${authority}`, 'localhost'))).toBe('encrypted')
    await expect(open(urlOf('app', 's3cret', `?sslmode=verify-full&sslrootcert=${authority}`))).rejects.toMatchObject({
      code: 'source-tls-failed',
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    })
  })

  test('a certificate of nobody known is refused, and the message names sslrootcert', async () => {
    await expect(open(urlOf('app', 's3cret', '?sslmode=verify-full', 'localhost'))).rejects.toMatchObject({
      code: 'source-tls-failed',
      message: expect.stringContaining('sslrootcert=FILE'),
    })
  })

  test('a server without TLS is refused by require and taken by prefer', async () => {
    await using other = await startTestPostgres()
    const require = `${other.url}${other.url.includes('?') ? '&' : '?'}sslmode=require`
    await expect(open(require)).rejects.toMatchObject({
      code: 'source-tls-failed',
      message: expect.stringContaining('the server has TLS switched off'),
    })
    expect(await open(other.url)).toBe('plain')
  })
})

describe('a login', () => {
  test('with the wrong password says so, and how to set it', async () => {
    await expect(open(urlOf('app', 'wrong'))).rejects.toMatchObject({
      code: 'source-auth-failed',
      message: expect.stringMatching(/the password is wrong.*ALTER ROLE "app" PASSWORD/),
    })
  })

  test('without a password says that one is wanted', async () => {
    await expect(open(urlOf('app', ''))).rejects.toMatchObject({
      code: 'source-auth-failed',
      message: expect.stringContaining('the connection URL has none'),
    })
  })

  test('that pg_hba.conf does not allow names that file', async () => {
    await expect(open(urlOf('app', 's3cret', '?sslmode=disable'))).rejects.toMatchObject({
      code: 'source-auth-failed',
      message: expect.stringContaining('pg_hba.conf'),
    })
  })

  test('to a database that does not exist says how to make it', async () => {
    const url = new URL(postgres.url)
    url.pathname = '/nowhere'
    await expect(open(url.href)).rejects.toMatchObject({
      code: 'source-database-missing',
      message: expect.stringContaining('CREATE DATABASE "nowhere"'),
    })
  })

  test('where nobody listens is tried again later', async () => {
    await expect(open(`postgres://u@127.0.0.1:${await findFreePort()}/d`)).rejects.toMatchObject({
      code: 'source-unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    await expect(open('postgres://u@nowhere.invalid/d')).rejects.toMatchObject({ code: 'source-unreachable' })
  })
})

test('a session that the server ends says so to who waits for it', async () => {
  await using db = await createTestDatabase(postgres)
  await using session = await openSession(parseSourceUrl(db.url), { applicationName: 'to be ended', kind: 'sql' })
  await db.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'to be ended'`)
  await expect(session.lost).rejects.toMatchObject({ code: 'source-unreachable' })
})

test('a session whose server does not answer in time is given up, with everything that waits for it', async () => {
  await using db = await createTestDatabase(postgres)
  await using proxy = await startFaultProxy(postgres.port)
  const url = new URL(db.url)
  url.port = String(proxy.port)
  const options = { applicationName: 'test', kind: 'sql', queryTimeoutMs: 300 } as const
  await using session = await openSession(parseSourceUrl(url.href), options)
  expect(await session.query('SELECT pg_sleep(0.5)', undefined, 5_000)).toHaveLength(1)

  proxy.setFault({ kind: 'half-open' })
  const failure = {
    code: 'source-unreachable',
    message: expect.stringContaining('did not answer a query within 0.3 s'),
  }
  const waiting = [session.query('SELECT 1'), session.query('SELECT 2'), session.lost]
  await Promise.all(waiting.map((one) => expect(one).rejects.toMatchObject(failure)))
  await expect(session.query('SELECT 3')).rejects.toMatchObject(failure)
})
