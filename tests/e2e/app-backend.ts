/** The app's own backend: the upload handler behind a server that sometimes fails. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createTokenVerifier, createUploadHandler, toNodeListener, type RefusalScope } from '@headwater/backend'

export type AppBackend = AsyncDisposable & {
  readonly uploadUrl: string
  readonly setFault: (fault: BackendFault) => void
}

/** `lost answer`: the upload is applied, and the client is told that it failed. */
export type BackendFault = 'none' | 'down' | 'lost answer'

export type AppBackendOptions = {
  readonly databaseUrl: string
  readonly secret: string
  readonly audience: string
  readonly scope: RefusalScope
}

const MAY_SEE_LIST = `
SELECT FROM lists AS l LEFT JOIN memberships AS m ON m.list_id = l.id
WHERE l.id = $1 AND (l.owner_id = $2 OR m.user_id = $2)`

export async function startAppBackend(options: AppBackendOptions): Promise<AppBackend> {
  let fault: BackendFault = 'none'
  const handle = createUploadHandler({
    database: options.databaseUrl,
    verify: createTokenVerifier({ keys: { secret: options.secret }, audience: [options.audience] }),
    scope: options.scope,
    log: () => undefined,
    tables: {
      journal: { mayWrite: ({ userId, data }) => data['user_id'] === userId || 'A journal is private' },
      todos: {
        mayWrite: async ({ userId, data, existingRow, query }) => {
          for (const list of [existingRow?.['list_id'], data['list_id']]) {
            if (list === undefined) continue
            if ((await query(MAY_SEE_LIST, [list, userId])).length === 0) return 'The list is not shared with you'
          }
          return true
        },
      },
    },
  })
  const server = createServer(
    toNodeListener(async (request) => {
      if (fault === 'down') return new Response('Down', { status: 503 })
      const response = await handle(request)
      return fault === 'lost answer' ? new Response('Lost', { status: 502 }) : response
    }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    uploadUrl: `http://127.0.0.1:${port}/upload`,
    setFault: (next) => {
      fault = next
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      await handle.close()
    },
  }
}
