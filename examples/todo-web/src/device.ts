import { createUploader, HeadwaterDatabase, type BackendConnector } from '@headwater/client/web'
import { schema } from './schema.ts'
import type { User } from './users.ts'

/** One user's device: a database of its own, which syncs while it is online. */
export type Device = {
  readonly user: User
  readonly database: HeadwaterDatabase
  readonly dbFilename: string
  readonly goOnline: () => void
  readonly goOffline: () => void
  /** For `useSyncExternalStore`: whether the user wants to be online, and what the device has to say. */
  readonly subscribe: (listener: () => void) => () => void
  readonly read: () => DeviceState
  readonly dismissNotice: () => void
}

export type DeviceState = {
  readonly isOnline: boolean
  /** Why the database cannot be opened. */
  readonly failure: Error | undefined
  /** What the user should know: a change that the backend refused. */
  readonly notice: string | undefined
}

/** Impatient, so that the page shows what there is to see: writes are sent at once, and failures tried again soon. */
const SYNC_OPTIONS = { crudUploadThrottleMs: 10, retryDelayMs: 1000 }

/**
 * Opens the device's database. Both devices of the demo live in one page; in a real app there is one user, and so one
 * database.
 */
export function openDevice(user: User): Device {
  const dbFilename = `todos-${user.id}.db`
  const listeners = new Set<() => void>()
  let state: DeviceState = { isOnline: readWish(user), failure: undefined, notice: undefined }
  const update = (change: Partial<DeviceState>): void => {
    state = { ...state, ...change }
    for (const listener of listeners) listener()
  }
  const notify = (notice: string): void => update({ notice })
  const database = new HeadwaterDatabase({ schema, database: { dbFilename } })
  const connector = createConnector(user, notify)
  const fail = (failure: Error): void => update({ failure })
  const connect = (): void => {
    // Trouble with the network does not end up here, but in the sync status.
    database.connect(connector, SYNC_OPTIONS).catch(fail)
  }
  const start = async (): Promise<void> => {
    await database.waitForReady()
    if (state.isOnline) connect()
  }
  start().catch(fail)
  return {
    user,
    database,
    dbFilename,
    goOnline: () => {
      keepWish(user, true)
      update({ isOnline: true })
      connect()
    },
    goOffline: () => {
      keepWish(user, false)
      update({ isOnline: false })
      database.disconnect().catch(fail)
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    read: () => state,
    dismissNotice: () => update({ notice: undefined }),
  }
}

/** Where the service is, who the user is, and how writes reach Postgres. */
function createConnector(user: User, notify: (notice: string) => void): BackendConnector {
  let session: { readonly token: string; readonly expires_at: string } | undefined
  const signIn = async (): Promise<string> => {
    session = (await fetchJson(`/api/token?user=${encodeURIComponent(user.id)}`)) as NonNullable<typeof session>
    return session.token
  }
  /** The token of before, while it is good for another minute. */
  const findToken = async (): Promise<string> =>
    session !== undefined && Date.parse(session.expires_at) - Date.now() > 60_000 ? session.token : await signIn()
  return {
    fetchCredentials: async () => {
      const { serviceUrl } = (await fetchJson('/api/config')) as { serviceUrl: string }
      return { endpoint: serviceUrl, token: await signIn() }
    },
    uploadData: createUploader({
      url: '/api/upload',
      fetchToken: findToken,
      onRejected: ({ entries }) => {
        notify(`Taken back: ${entries.map(({ message }) => message).join(' ')}`)
      },
    }),
  }
}

async function fetchJson(path: string): Promise<unknown> {
  const response = await fetch(path)
  if (!response.ok) throw new Error(`Cannot fetch ${path}: the backend answered ${response.status}`)
  return await response.json()
}

function readWish(user: User): boolean {
  return localStorage.getItem(`offline-${user.id}`) === null
}

function keepWish(user: User, isOnline: boolean): void {
  if (isOnline) localStorage.removeItem(`offline-${user.id}`)
  else localStorage.setItem(`offline-${user.id}`, 'yes')
}
