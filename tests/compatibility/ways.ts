/** Every release and transport that the tests run, by name. */
import type { App, ConnectOptions, Device } from './device.ts'
import { openBrowserDevice, type WebRelease } from './browser-device.ts'
import { type NodeClient, openNodeDevice } from './node-device.ts'

export type Way = {
  readonly client: ({ readonly on: 'node' } & NodeClient) | { readonly on: 'web'; readonly release: WebRelease }
  readonly connect: ConnectOptions
  /** What the service logs about its streams. */
  readonly transport: 'http' | 'websocket'
  readonly format: 'ndjson' | 'bson'
  /** Can subscribe to streams. */
  readonly knowsStreams: boolean
  /** Tells when the urgent part of a download has come. */
  readonly knowsPriorities: boolean
  /** Fetches the next token before the last one ends; else when it has ended. */
  readonly refreshesEarly: boolean
  /** Fetches another token when one is refused. Others keep it until the app starts again, whatever the service is. */
  readonly dropsRefusedToken: boolean
}

const HTTP = { connectionMethod: 'http' } as const
const WEB_SOCKET = { connectionMethod: 'web-socket' } as const
const RUST = { clientImplementation: 'rust' } as const
const KNOWS_ALL = { knowsStreams: true, knowsPriorities: true, refreshesEarly: true, dropsRefusedToken: true } as const
const OVER_WEB_SOCKET = { transport: 'websocket', format: 'bson', dropsRefusedToken: true } as const
const NDJSON = { transport: 'http', format: 'ndjson' } as const
const BSON = { transport: 'http', format: 'bson' } as const

const NODE_11 = { client: { on: 'node', release: '1.1' }, ...KNOWS_ALL } as const
const NODE_018 = { client: { on: 'node', release: '0.18' }, ...KNOWS_ALL, dropsRefusedToken: false } as const
const NODE_013 = { client: { on: 'node', release: '0.13' }, ...KNOWS_ALL, dropsRefusedToken: false } as const
const WEB_24 = { client: { on: 'web', release: '2.4' }, ...KNOWS_ALL } as const
const WEB_120 = {
  client: { on: 'web', release: '1.20' },
  ...KNOWS_ALL,
  knowsStreams: false,
  refreshesEarly: false,
} as const
const WEB_08 = {
  client: { on: 'web', release: '0.8' },
  knowsStreams: false,
  knowsPriorities: false,
  refreshesEarly: false,
  dropsRefusedToken: true,
} as const

export const WAYS = {
  'node 1.1, NDJSON': {
    ...NODE_11,
    ...NDJSON,
    client: { ...NODE_11.client, accept: 'application/x-ndjson' },
    connect: HTTP,
  },
  'node 1.1, BSON': { ...NODE_11, ...BSON, connect: HTTP },
  'node 1.1, WebSocket': { ...NODE_11, ...OVER_WEB_SOCKET, connect: WEB_SOCKET },
  'node 1.1, WebSocket line by line': {
    ...NODE_11,
    ...OVER_WEB_SOCKET,
    connect: { ...WEB_SOCKET, fetchStrategy: 'sequential' },
  },
  'node 1.1, BSON, own checkpoint numbers': {
    ...NODE_11,
    ...BSON,
    connect: { ...HTTP, checkpointMode: 'requests' },
  },
  'node 0.18, HTTP': { ...NODE_018, ...BSON, connect: HTTP },
  'node 0.18, WebSocket': { ...NODE_018, ...OVER_WEB_SOCKET, connect: WEB_SOCKET },
  // Its other sync client, in JavaScript, does not work with `node:sqlite`; web 1.20 has one of that kind.
  'node 0.13, HTTP': { ...NODE_013, ...NDJSON, connect: { ...HTTP, ...RUST } },
  'node 0.13, WebSocket': { ...NODE_013, ...OVER_WEB_SOCKET, connect: { ...WEB_SOCKET, ...RUST } },
  'web 2.4, HTTP': { ...WEB_24, ...BSON, connect: HTTP },
  'web 2.4, WebSocket': { ...WEB_24, ...OVER_WEB_SOCKET, connect: WEB_SOCKET },
  'web 1.20, HTTP': { ...WEB_120, ...NDJSON, connect: HTTP },
  'web 1.20, WebSocket': { ...WEB_120, ...OVER_WEB_SOCKET, connect: WEB_SOCKET },
  'web 0.8, HTTP': { ...WEB_08, ...NDJSON, connect: HTTP },
  'web 0.8, WebSocket': { ...WEB_08, ...OVER_WEB_SOCKET, connect: WEB_SOCKET },
} as const satisfies Readonly<Record<string, Way>>

export type WayName = keyof typeof WAYS

/** The names of those that have what a test needs, or all. */
export function namesOf(has: (way: Way) => boolean = () => true): readonly WayName[] {
  return Object.entries(WAYS)
    .filter(([, way]) => has(way))
    .map(([name]) => name as WayName)
}

/** One device, opened and not yet connected. */
export type TestDevice = AsyncDisposable &
  Omit<Device, 'connect' | 'close'> & {
    readonly connect: (userId: string) => Promise<void>
    /** Fails with what the query gives instead. */
    readonly expectRows: (sql: string, rows: readonly object[]) => Promise<void>
  }

/** The oldest release may wait for the next keepalive line, for 20 s; else long enough for a loaded machine. */
const PATIENCE_MS = 40_000

export async function openDevice(name: WayName, app: App): Promise<TestDevice> {
  const way: Way = WAYS[name]
  const { client, connect } = way
  const device = await (client.on === 'node' ? openNodeDevice(client, app) : openBrowserDevice(client.release, app))
  return {
    ...device,
    connect: (userId) => device.connect(userId, connect),
    expectRows: async (sql, rows) => {
      const wanted = JSON.stringify(rows)
      const seen = await device.awaitRows(sql, wanted, PATIENCE_MS)
      if (seen === wanted) return
      const said = (await device.readSaid()).slice(-50).join('\n')
      throw new Error(
        `Cannot find the rows of ${sql} within ${PATIENCE_MS} ms: expected ${wanted}, got ${seen}; it said:\n${said}`,
      )
    },
    [Symbol.asyncDispose]: device.close,
  }
}
