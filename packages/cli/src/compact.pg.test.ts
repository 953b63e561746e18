import { createTestDatabase, startTestPostgres, type TestDatabase, type TestPostgres } from '@headwater/testkit'
import { type Service, startService } from '@headwater/service'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import { folderWith, runCli, SYNC_CONFIG, TODOS } from './run-cli.test-parts.ts'

vi.setConfig({ testTimeout: 30_000 })

const TOKEN = 'a-token-for-tests-of-operators'
const WITH_TOKEN = { env: { HEADWATER_API_TOKENS: TOKEN } }

let cluster: TestPostgres
let database: TestDatabase
beforeAll(async () => {
  cluster = await startTestPostgres()
  database = await createTestDatabase(cluster)
  await database.sql(TODOS)
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await cluster.stop()
})

test('compact has a running service take out what is superseded, and says what that did', async () => {
  await using running = await start({ tokens: [TOKEN] })
  const { service } = running
  const { operations } = (await service.readStatus()).storage
  for (let n = 1; n <= 20; n++) {
    await database.sql(`UPDATE todos SET title = 'title ${n}' WHERE owner = 'ann'`)
    // Updates that are replicated together become one operation.
    const stored = async () => (await service.readStatus()).storage.operations
    await expect.poll(stored, { timeout: 10_000, interval: 10 }).toBe(operations + n)
  }

  const done = await runCli(['compact', '--url', `${service.operatorUrl}/`], WITH_TOKEN)
  expect(done).toMatchObject({ code: 0, stderr: '' })
  const { operations: left } = (await service.readStatus()).storage
  expect(done.stdout).toMatch(/^✓ compacted {2}2 buckets in \d+\.\d s\n/)
  expect(done.stdout).toContain(`operations  ${operations + 20} before, ${left} now\n`)
  expect(done.stdout).toMatch(/freed {7}\d.* for what is stored next\n$/)
  expect(left).toBeLessThan(operations + 20)

  const again = await runCli(['compact', '--url', service.url, '--json'], WITH_TOKEN)
  expect(JSON.parse(again.stdout)).toMatchObject({ running: false, operations_before: left, operations_after: left })
})

test.each([
  { given: 'another token', tokens: [TOKEN], args: ['--api-token', 'another'] },
  { given: 'no token', tokens: [TOKEN], args: [] },
  { given: 'a token, where the service has none', tokens: [], args: ['--api-token', TOKEN] },
])('compact with $given says which one to give', async ({ tokens, args }) => {
  await using running = await start({ tokens })
  const { code, stdout, stderr } = await runCli(['compact', '--url', running.service.url, ...args])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toBe(
    'error Cannot compact: the service does not accept the token. Give one of its api.tokens with --api-token or HEADWATER_API_TOKENS. A service without api.tokens accepts none: set some, and start it again.\n',
  )
})

test('compact at an address that is not for operators says which one is', async () => {
  await using running = await start({ tokens: [TOKEN], port: 0 })
  const { service } = running
  const { code, stderr } = await runCli(['compact', '--url', service.url], WITH_TOKEN)
  expect(code).toBe(1)
  expect(stderr).toContain(`${service.url} does not answer operators. With api.port`)
  expect(await runCli(['compact', '--url', service.operatorUrl], WITH_TOKEN)).toMatchObject({ code: 0 })
})

test('compact where no service answers says so', async () => {
  const { code, stderr } = await runCli(['compact', '--url', 'http://127.0.0.1:1'], WITH_TOKEN)
  expect(code).toBe(1)
  expect(stderr).toBe('error Cannot compact: no service answers at http://127.0.0.1:1. Name its address with --url.\n')
})

async function start(api: {
  readonly tokens: readonly string[]
  readonly port?: number
}): Promise<AsyncDisposable & { readonly service: Service }> {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await folderWith({}))
  const service = await startService({
    source: { url: database.url, slot: database.name },
    storage: { path: folder.file('storage') },
    syncConfig: { content: SYNC_CONFIG },
    http: { port: 0 },
    auth: { secret: 'a secret for tests, long enough for HS256', audience: ['tests'] },
    api: { ...api, tokens: [...api.tokens] },
    log: { level: 'silent' },
  })
  opened.defer(service.stop)
  const isReady = async (): Promise<boolean> => (await fetch(`${service.url}/probes/readiness`)).status === 200
  await vi.waitUntil(isReady, { timeout: 20_000 })
  const rooms = opened.move()
  return { service, [Symbol.asyncDispose]: () => rooms.disposeAsync() }
}
