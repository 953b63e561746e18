/** The app's backend: who may write what, and who is who. Two functions from request to response. */
import {
  createDevTokenHandler,
  createTokenVerifier,
  createUploadHandler,
  type MayWrite,
  type ProposedWrite,
} from '@headwater/backend'

export type BackendOptions = {
  /** The app's Postgres. */
  readonly databaseUrl: string
  /** Signs tokens (HS256); the service has the same. */
  readonly secret: string
  /** Where devices sync: told to them with their token. */
  readonly serviceUrl: string
}

export type Backend = {
  /** Undefined when the path is not one of the backend's. */
  readonly answer: (request: Request) => Promise<Response> | undefined
  readonly close: () => Promise<void>
}

const AUDIENCE = 'todo-web'
const TOKEN_TTL_SECONDS = 3600

export function createBackend({ databaseUrl, secret, serviceUrl }: BackendOptions): Backend {
  const verify = createTokenVerifier({ keys: { secret }, audience: [AUDIENCE] })
  const upload = createUploadHandler({
    database: databaseUrl,
    verify,
    tables: {
      lists: { mayWrite: mayWriteList },
      list_members: { operations: ['PUT', 'DELETE'], mayWrite: mayWriteMember },
      todos: { mayWrite: mayWriteTodo },
    },
  })
  // Believes whoever calls it, so that the demo needs no passwords. A real app signs its own users in.
  const signIn = createDevTokenHandler({ secret, audience: AUDIENCE, ttlSeconds: TOKEN_TTL_SECONDS })
  return {
    answer: (request) => {
      switch (new URL(request.url).pathname) {
        case '/api/upload':
          return upload(request)
        case '/api/token':
          return signIn(request)
        case '/api/config':
          return Promise.resolve(Response.json({ serviceUrl }))
        default:
          return undefined
      }
    },
    close: upload.close,
  }
}

/** Owners do what they like with their lists; members may rename them. */
const mayWriteList: MayWrite = async (write) => {
  const { op, userId, data, existingRow } = write
  const ownerId = existingRow?.['owner_id'] ?? data['owner_id']
  if (ownerId !== userId && !(op === 'PATCH' && (await isMember(write, write.id)))) return 'This list is not yours.'
  if (existingRow !== undefined && data['owner_id'] !== undefined && data['owner_id'] !== ownerId) {
    return 'A list cannot be given away.'
  }
  return true
}

/** Owners let others in and out; members may leave. */
const mayWriteMember: MayWrite = async (write) => {
  const { op, userId, data, existingRow } = write
  if (op === 'DELETE' && existingRow?.['user_id'] === userId) return true
  const listId = existingRow?.['list_id'] ?? data['list_id']
  const [list] = await write.query('SELECT owner_id FROM lists WHERE id = $1', [listId])
  return list?.['owner_id'] === userId || 'Only the owner of a list can share it.'
}

/** Whoever sees a list may change its todos, and may move them only to lists that they see. */
const mayWriteTodo: MayWrite = async (write) => {
  const listIds = [write.existingRow?.['list_id'], write.data['list_id']].filter((id) => typeof id === 'string')
  for (const listId of listIds) {
    if (!(await isMember(write, listId))) return 'You are not a member of this list any more.'
  }
  return true
}

async function isMember({ query, userId }: ProposedWrite, listId: string): Promise<boolean> {
  const rows = await query('SELECT 1 FROM list_members WHERE list_id = $1 AND user_id = $2', [listId, userId])
  return rows.length > 0
}
