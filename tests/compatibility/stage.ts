/** A real Postgres, service and backend for the official client to talk to. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTokenVerifier, createUploadHandler, issueToken, ownedBy, toNodeListener } from '@headwater/backend'
import {
  createTestDatabase,
  startServiceProcess,
  type ServiceProcess,
  type TestDatabase,
  type TestPostgres,
} from '@headwater/testkit'
import type { PowerSyncBackendConnector } from '@powersync/node'

export type Stage = AsyncDisposable & {
  readonly database: TestDatabase
  readonly service: ServiceProcess
  /** What an app would write: a token for the user, and uploads to the backend one transaction at a time. */
  readonly connectorOf: (userId: string) => PowerSyncBackendConnector
}

const SECRET = 'a secret for tests, long enough for HS256'
const AUDIENCE = 'headwater-tests'

/** The trigger makes what comes back differ from what was written, so that it can be told who wrote it last. */
const DATABASE_SCHEMA = `
  CREATE TABLE lists (id text PRIMARY KEY, name text NOT NULL, owner_id text NOT NULL);
  CREATE TABLE todos (
    id text PRIMARY KEY,
    list_id text NOT NULL REFERENCES lists,
    title text NOT NULL,
    done boolean NOT NULL DEFAULT false,
    weight float8
  );
  CREATE FUNCTION tidy_title() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NEW.title := trim(NEW.title);
    RETURN NEW;
  END $$;
  CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON todos FOR EACH ROW EXECUTE FUNCTION tidy_title();
  CREATE PUBLICATION headwater FOR TABLE lists, todos;
  INSERT INTO lists VALUES ('L1', 'Groceries', 'ann'), ('L2', 'Zoë 🛒', 'ann'), ('L3', 'Not hers', 'bob');
  INSERT INTO todos VALUES ('T1', 'L1', 'Milk', false, 1), ('T2', 'L1', 'Bread', true, 0.5), ('T3', 'L3', 'Nails', false, NULL);
`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  lists:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM lists WHERE owner_id = auth.user_id()
  todos:
    query: SELECT * FROM todos WHERE list_id = subscription.parameter('list')
`

export async function openStage(postgres: TestPostgres): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'headwater-official-service-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  const database = opening.use(await createTestDatabase(postgres))
  await database.sql(DATABASE_SCHEMA)
  const service = opening.use(
    await startServiceProcess({
      source: { url: database.url, slot: database.name },
      storage: { path: folder },
      syncConfig: { content: SYNC_CONFIG },
      auth: { secret: SECRET, audience: [AUDIENCE] },
    }),
  )
  const handle = createUploadHandler({
    database: database.url,
    verify: createTokenVerifier({ keys: { secret: SECRET }, audience: [AUDIENCE] }),
    tables: { lists: { mayWrite: ownedBy('owner_id') }, todos: { mayWrite: 'everyone' } },
  })
  opening.defer(() => handle.close())
  const server = createServer(toNodeListener(handle)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  opening.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const uploadUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  await service.untilReady()
  const opened = opening.move()
  return {
    database,
    service,
    connectorOf: (userId) => {
      const token = (): Promise<string> => issueToken({ secret: SECRET, userId, audience: AUDIENCE, ttlSeconds: 3_600 })
      return {
        fetchCredentials: async () => ({ endpoint: service.url, token: await token() }),
        uploadData: async (db) => {
          const transaction = await db.getNextCrudTransaction()
          if (transaction === null) return
          const { crud, transactionId } = transaction
          const response = await fetch(uploadUrl, {
            method: 'POST',
            headers: { authorization: `Bearer ${await token()}`, 'content-type': 'application/json' },
            body: JSON.stringify({
              client_id: await db.getClientId(),
              transactions: [{ tx_id: transactionId, crud: crud.map((entry) => entry.toJSON()) }],
            }),
          })
          if (!response.ok) throw new Error(`The backend answered ${response.status}: ${await response.text()}`)
          await transaction.complete()
        },
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
