/** A real Postgres, service and backend for official clients to talk to. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTokenVerifier, createUploadHandler, issueToken, ownedBy, toNodeListener } from '@headwater/backend'
import type { ServiceOptions } from '@headwater/service'
import {
  createTestDatabase,
  startServiceProcess,
  startTestPostgres,
  type ServiceProcess,
  type TestDatabase,
} from '@headwater/testkit'
import type { App } from './device.ts'

export type Stage = AsyncDisposable & {
  readonly database: TestDatabase
  readonly service: ServiceProcess
  readonly app: App
  /** Adds a user with lists and todos of its own; gives its id, which the ids of its rows begin with. */
  readonly addUser: () => Promise<string>
  /** The next tokens of the user are good for so long, one after the other; later ones for an hour. */
  readonly setTokenSeconds: (userId: string, ...seconds: readonly number[]) => void
  /** How many tokens the user has fetched. */
  readonly countTokens: (userId: string) => number
  /** What the service logged about the streams of a user, in order. */
  readonly readStreams: (userId: string) => readonly StreamRecord[]
  /** Serves another sync config from now on. */
  readonly deploy: (syncConfig: string) => Promise<void>
  /** Compacts what is stored; gives how many operations lost their row. */
  readonly compact: () => Promise<number>
}

export type StreamRecord = {
  readonly event: 'stream-opened' | 'stream-closed'
  readonly transport: string
  readonly format?: string
  readonly userAgent: string
  readonly clientId?: string
}

const SECRET = 'a secret for tests, long enough for HS256'
const AUDIENCE = 'headwater-tests'
const OPERATOR = 'token-of-an-operator'

/** The trigger makes what comes back differ from what was written, so that it can be told who wrote it last. */
const DATABASE_SCHEMA = `
  CREATE TABLE lists (id text PRIMARY KEY, name text NOT NULL, owner_id text NOT NULL);
  CREATE TABLE todos (
    id text PRIMARY KEY,
    list_id text NOT NULL REFERENCES lists ON DELETE CASCADE,
    title text NOT NULL,
    done boolean NOT NULL DEFAULT false,
    weight float8
  );
  CREATE TABLE items (id text PRIMARY KEY, owner_id text NOT NULL, body text NOT NULL);
  CREATE FUNCTION tidy_name() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NEW.name := trim(NEW.name);
    RETURN NEW;
  END $$;
  CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON lists FOR EACH ROW EXECUTE FUNCTION tidy_name();
  CREATE PUBLICATION headwater FOR TABLE lists, todos, items;
  INSERT INTO lists VALUES ('X1', 'Nobody’s', 'nobody');
  INSERT INTO todos VALUES ('X1', 'X1', 'Nails', false, NULL);
`

export const SYNC_CONFIG = `
config:
  edition: 3
streams:
  lists:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM lists WHERE owner_id = auth.user_id()
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner_id = auth.user_id()
  todos:
    query: SELECT * FROM todos WHERE list_id = subscription.parameter('list')
`

export type StageOptions = {
  /** SQL that runs before the service starts. */
  readonly prepare?: string
  readonly syncConfig?: string
  readonly limits?: ServiceOptions['limits']
}

export async function openStage({
  prepare = '',
  syncConfig = SYNC_CONFIG,
  limits = {},
}: StageOptions = {}): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-official-service-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  const postgres = await startTestPostgres()
  opening.defer(() => postgres.stop())
  const database = opening.use(await createTestDatabase(postgres))
  await database.sql(DATABASE_SCHEMA)
  if (prepare !== '') await database.sql(prepare)
  const service = opening.use(
    await startServiceProcess({
      source: { url: database.url, slot: database.name },
      storage: { path: folder },
      syncConfig: { content: syncConfig },
      limits,
      auth: { secret: SECRET, audience: [AUDIENCE] },
      api: { tokens: [OPERATOR] },
    }),
  )
  const backend = opening.use(await startBackend(database.url))
  await service.untilReady()
  const opened = opening.move()
  const tokens = createTokens()
  let users = 0
  return {
    database,
    service,
    setTokenSeconds: tokens.setSeconds,
    countTokens: tokens.count,
    app: {
      fetchCredentials: async (userId) => ({ endpoint: service.url, token: await tokens.issue(userId) }),
      upload: async (userId, body) => upload(backend.url, await issue(userId, 3_600), body),
    },
    addUser: async () => {
      const user = `u${++users}`
      await database.sql(`
        INSERT INTO lists VALUES ('${user}L1', 'Groceries', '${user}'), ('${user}L2', 'Zoë 🛒', '${user}');
        INSERT INTO todos VALUES ('${user}T1', '${user}L1', 'Milk', false, 1), ('${user}T2', '${user}L1', 'Bread', true, 0.5),
          ('${user}T3', '${user}L2', 'Lion', false, 190.25);
      `)
      return user
    },
    readStreams: (userId) => readStreams(service, userId),
    deploy: (content) => deploy(service.url, content),
    compact: () => compact(service.url),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function startBackend(databaseUrl: string): Promise<AsyncDisposable & { readonly url: string }> {
  const handle = createUploadHandler({
    database: databaseUrl,
    verify: createTokenVerifier({ keys: { secret: SECRET }, audience: [AUDIENCE] }),
    tables: { lists: { mayWrite: ownedBy('owner_id') }, todos: { mayWrite: 'everyone' } },
  })
  const server = createServer(toNodeListener(handle)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await handle.close()
    },
  }
}

async function upload(url: string, token: string, body: object): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`The backend answered ${response.status}: ${await response.text()}`)
}

function issue(userId: string, ttlSeconds: number): Promise<string> {
  return issueToken({ secret: SECRET, userId, audience: AUDIENCE, ttlSeconds })
}

type Tokens = {
  readonly issue: (userId: string) => Promise<string>
  readonly setSeconds: Stage['setTokenSeconds']
  readonly count: (userId: string) => number
}

function createTokens(): Tokens {
  const planned = new Map<string, number[]>()
  const counts = new Map<string, number>()
  return {
    issue: (userId) => {
      counts.set(userId, (counts.get(userId) ?? 0) + 1)
      return issue(userId, planned.get(userId)?.shift() ?? 3_600)
    },
    setSeconds: (userId, ...seconds) => void planned.set(userId, [...seconds]),
    count: (userId) => counts.get(userId) ?? 0,
  }
}

function readStreams(service: ServiceProcess, userId: string): readonly StreamRecord[] {
  return service
    .readLog()
    .filter((line) => line.includes(`"userId":"${userId}"`) && line.includes('"event":"stream-'))
    .map((line) => JSON.parse(line) as StreamRecord)
}

async function deploy(url: string, content: string): Promise<void> {
  const response = await fetch(`${url}/api/sync-rules/v1/deploy`, {
    method: 'POST',
    headers: { authorization: `Token ${OPERATOR}`, 'content-type': 'application/yaml' },
    body: content,
  })
  if (!response.ok) throw new Error(`The service answered ${response.status}: ${await response.text()}`)
}

async function compact(url: string): Promise<number> {
  const response = await fetch(`${url}/api/admin/v1/compact`, {
    method: 'POST',
    headers: { authorization: `Token ${OPERATOR}`, 'content-type': 'application/json' },
    body: '{}',
  })
  if (!response.ok) throw new Error(`The service answered ${response.status}: ${await response.text()}`)
  return ((await response.json()) as { readonly data: { readonly moved: number } }).data.moved
}
