import type { StreamEntry } from '@headwater/protocol'
import type { SqliteConnection } from '../sqlite/driver.ts'

/** Seconds that a stream's data stays after the last handle is gone, unless the app says otherwise. */
export const DEFAULT_TTL_SECONDS = 86_400

/** Far enough to be "for ever", and still exact as a number of microseconds. */
const TTL_SECONDS_MAX = 3_000_000_000

export type StreamKey = {
  readonly name: string
  /** JSON text; `null` where the stream has no parameters. */
  readonly parameters: string
}

export type Subscription = StreamKey & {
  readonly active: boolean
  readonly isDefault: boolean
  readonly priority: number | null
  /** Undefined: never subscribed to explicitly. */
  readonly ttlSeconds: number | undefined
  readonly expiresAtMs: number | undefined
  readonly lastSyncedAtMs: number | undefined
}

const ALL = `
  SELECT stream_name, local_params, active, is_default, local_priority, ttl, expires_at, last_synced_at
  FROM ps_stream_subscriptions ORDER BY id`

const SUBSCRIBE = `
  INSERT INTO ps_stream_subscriptions(stream_name, local_params, ttl, expires_at, local_priority)
  VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT (stream_name, local_params) DO UPDATE SET
    ttl = excluded.ttl,
    expires_at = excluded.expires_at,
    local_priority = min(coalesce(local_priority, excluded.local_priority), coalesce(excluded.local_priority, local_priority))`

export async function readSubscriptions(connection: SqliteConnection): Promise<Subscription[]> {
  const { rows } = await connection.run(ALL)
  return rows.map(([name, parameters, active, isDefault, priority, ttl, expiresAt, lastSyncedAt]) => ({
    name: String(name),
    parameters: String(parameters),
    active: active === 1,
    isDefault: isDefault === 1,
    priority: typeof priority === 'number' ? priority : null,
    ttlSeconds: typeof ttl === 'number' ? ttl : undefined,
    expiresAtMs: typeof expiresAt === 'number' ? expiresAt / 1000 : undefined,
    lastSyncedAtMs: typeof lastSyncedAt === 'number' ? lastSyncedAt / 1000 : undefined,
  }))
}

export async function saveSubscription(
  connection: SqliteConnection,
  stream: StreamKey & { readonly ttlSeconds: number; readonly priority: number | undefined },
  nowMs: number,
): Promise<void> {
  const ttl = Math.min(stream.ttlSeconds, TTL_SECONDS_MAX)
  await connection.run(SUBSCRIBE, [
    stream.name,
    stream.parameters,
    ttl,
    microseconds(nowMs, ttl),
    stream.priority ?? null,
  ])
}

/** Drops a subscription, whatever its time to live. A stream that everyone gets stays as such. */
export async function dropSubscription(connection: SqliteConnection, stream: StreamKey): Promise<void> {
  await connection.run(
    `UPDATE ps_stream_subscriptions SET ttl = NULL, expires_at = NULL, local_priority = NULL
     WHERE stream_name = ? AND local_params = ?`,
    [stream.name, stream.parameters],
  )
  await connection.exec('DELETE FROM ps_stream_subscriptions WHERE is_default = 0 AND ttl IS NULL')
}

export type InUse = {
  /** Somebody holds them: their time does not run. */
  readonly held: readonly StreamKey[]
  /** The last handle has just been let go: their time begins. */
  readonly released: readonly StreamKey[]
}

/** Puts off the end of what is in use, and drops what ran out. Even without time to live, held data stays. */
export async function renewSubscriptions(
  connection: SqliteConnection,
  { held, released }: InUse,
  nowMs: number,
): Promise<void> {
  for (const [streams, ttlMin] of [
    [held, 1],
    [released, 0],
  ] as const) {
    for (const { name, parameters } of streams) {
      await connection.run(
        `UPDATE ps_stream_subscriptions SET expires_at = ? + max(ttl, ?) * 1000000
         WHERE stream_name = ? AND local_params = ? AND ttl IS NOT NULL`,
        [Math.trunc(nowMs) * 1000, ttlMin, name, parameters],
      )
    }
  }
  await connection.run(
    `UPDATE ps_stream_subscriptions SET ttl = NULL, expires_at = NULL, local_priority = NULL WHERE expires_at <= ?`,
    [Math.trunc(nowMs) * 1000],
  )
  await connection.exec('DELETE FROM ps_stream_subscriptions WHERE is_default = 0 AND ttl IS NULL')
}

/** Takes over which streams the service evaluates, and which of them everyone gets. */
export async function reconcileStreams(connection: SqliteConnection, streams: readonly StreamEntry[]): Promise<void> {
  const names = JSON.stringify(streams.map(({ name }) => name))
  const defaults = JSON.stringify(streams.filter(({ isDefault }) => isDefault).map(({ name }) => name))
  await connection.run(
    `INSERT INTO ps_stream_subscriptions(stream_name, active, is_default)
     SELECT value, 1, 1 FROM json_each(?1) WHERE true ON CONFLICT (stream_name, local_params) DO NOTHING`,
    [defaults],
  )
  await connection.run(
    `UPDATE ps_stream_subscriptions SET active = now.active, is_default = now.is_default
     FROM (
       SELECT id, stream_name IN (SELECT value FROM json_each(?1)) AS active,
         local_params = 'null' AND stream_name IN (SELECT value FROM json_each(?2)) AS is_default
       FROM ps_stream_subscriptions
     ) AS now
     WHERE now.id = ps_stream_subscriptions.id
       AND (ps_stream_subscriptions.active <> now.active OR ps_stream_subscriptions.is_default <> now.is_default)`,
    [names, defaults],
  )
  await connection.exec('DELETE FROM ps_stream_subscriptions WHERE is_default = 0 AND ttl IS NULL')
}

/** Notes that the data of these streams has been shown; undefined: of all that the service evaluates. */
export async function noteStreamsSynced(
  connection: SqliteConnection,
  streams: readonly StreamKey[] | undefined,
  nowMs: number,
): Promise<void> {
  const now = Math.trunc(nowMs) * 1000
  if (streams === undefined) {
    await connection.run('UPDATE ps_stream_subscriptions SET last_synced_at = ? WHERE active = 1', [now])
    return
  }
  for (const { name, parameters } of streams) {
    await connection.run(
      'UPDATE ps_stream_subscriptions SET last_synced_at = ? WHERE stream_name = ? AND local_params = ?',
      [now, name, parameters],
    )
  }
}

function microseconds(nowMs: number, ttlSeconds: number): number {
  return Math.trunc(nowMs) * 1000 + ttlSeconds * 1_000_000
}
