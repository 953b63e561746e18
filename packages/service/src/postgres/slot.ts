import { HeadwaterError } from '@headwater/protocol'
import { QUERY_TIMEOUT_MS, type Session } from './connection.ts'
import { type Lsn, parseLsn } from './lsn.ts'
import { findSqlState } from './source-error.ts'

export type SlotState = {
  readonly plugin: string
  readonly database: string
  /** Process of the walsender that reads it now. */
  readonly activePid: number | undefined
  /** What was confirmed: the server sends nothing from before it. */
  readonly confirmed: Lsn | undefined
  /** `lost`: the log it needs is gone. */
  readonly walStatus: string
  /** max_slot_wal_keep_size; undefined without a limit. */
  readonly budgetBytes: number | undefined
  /** Bytes of log until the slot may be lost; undefined without a limit, and when it is lost. */
  readonly safeBytes: number | undefined
  /** Bytes of log that the slot keeps on the server. */
  readonly retainedBytes: number
  /** Bytes of log that are written and not confirmed yet. */
  readonly lagBytes: number
}

const READ_SLOT = `
  SELECT plugin,
         database,
         active_pid::text AS active_pid,
         confirmed_flush_lsn::text AS confirmed,
         wal_status,
         safe_wal_size::text AS safe_bytes,
         (SELECT nullif(setting, '-1')::int8 * 1024 * 1024
          FROM pg_settings WHERE name = 'max_slot_wal_keep_size')::text AS budget_bytes,
         pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8::text AS retained,
         pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::int8::text AS lag
  FROM pg_replication_slots
  WHERE slot_name = $1`

export async function findSlot(session: Session, slot: string): Promise<SlotState | undefined> {
  const [row] = await session.query(READ_SLOT, [slot])
  if (row === undefined) return undefined
  return {
    plugin: row.plugin ?? '',
    database: row.database ?? '',
    activePid: row.active_pid === null ? undefined : Number(row.active_pid),
    confirmed: row.confirmed === null ? undefined : parseLsn(row.confirmed ?? ''),
    walStatus: row.wal_status ?? 'lost',
    budgetBytes: row.budget_bytes === null ? undefined : Number(row.budget_bytes),
    safeBytes: row.safe_bytes === null ? undefined : Number(row.safe_bytes),
    retainedBytes: Math.max(0, Number(row.retained ?? 0)),
    lagBytes: Math.max(0, Number(row.lag ?? 0)),
  }
}

/** How long creating a slot waits for transactions that are already running, each try. */
const CREATE_TIMEOUT_MS = 10_000

/** SQLSTATE of a statement that ran out of time. */
const QUERY_CANCELED = '57014'
const TOO_MANY_SLOTS = '53400'

const READ_OLDEST_WRITER = `
  SELECT pid::text AS pid,
         coalesce(application_name, '') AS application,
         round(extract(epoch FROM now() - xact_start))::text AS seconds
  FROM pg_stat_activity
  WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
  ORDER BY xact_start
  LIMIT 1`

/**
 * Makes a permanent slot; waits for running transactions that write, as Postgres does.
 * Throws `source-unreachable` when those take too long (try again), `source-not-ready` when there is no slot left.
 */
export async function createSlot(session: Session, slot: string): Promise<void> {
  await session.query(`SET statement_timeout = ${CREATE_TIMEOUT_MS}`)
  try {
    const create = "SELECT pg_create_logical_replication_slot($1, 'pgoutput')"
    await session.query(create, [slot], CREATE_TIMEOUT_MS + QUERY_TIMEOUT_MS)
  } catch (error) {
    const state = error instanceof Error ? findSqlState(error.cause) : undefined
    if (state === QUERY_CANCELED) throw await describeBlocker(session, slot, error)
    if (state === TOO_MANY_SLOTS) {
      throw new HeadwaterError(
        'source-not-ready',
        `Cannot create the replication slot "${slot}": all slots are in use. ` +
          "Drop one that nobody needs with SELECT pg_drop_replication_slot('…'); " +
          'or run ALTER SYSTEM SET max_replication_slots = 20; and restart Postgres.',
        { cause: error },
      )
    }
    throw error
  } finally {
    await session.query('SET statement_timeout = 0').catch(() => undefined)
  }
}

/** Does nothing when there is none. Fails while a walsender reads it. */
export async function dropSlot(session: Session, slot: string): Promise<void> {
  await session.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
    slot,
  ])
}

/** Who reads the slot now. */
export type SlotReader = { readonly pid: number; readonly applicationName: string; readonly address: string }

const READ_READER = `
  SELECT s.active_pid::text AS pid,
         coalesce(a.application_name, '') AS application,
         coalesce(host(a.client_addr), 'a local socket') AS address
  FROM pg_replication_slots s
  JOIN pg_stat_activity a ON a.pid = s.active_pid
  WHERE s.slot_name = $1`

export async function findSlotReader(session: Session, slot: string): Promise<SlotReader | undefined> {
  const [row] = await session.query(READ_READER, [slot])
  if (row === undefined) return undefined
  return { pid: Number(row.pid), applicationName: row.application ?? '', address: row.address ?? '' }
}

/** Ends a walsender of the same role, left over from a connection that died without a word. */
export async function terminateReader(session: Session, pid: number): Promise<void> {
  await session.query('SELECT pg_terminate_backend($1::int)', [String(pid)])
}

async function describeBlocker(session: Session, slot: string, cause: unknown): Promise<HeadwaterError> {
  const [blocker] = await session.query(READ_OLDEST_WRITER)
  const who =
    blocker === undefined
      ? 'a running transaction'
      : `the transaction of process ${blocker.pid} ("${blocker.application}"), open for ${blocker.seconds} s,`
  return new HeadwaterError(
    'source-unreachable',
    `Cannot create the replication slot "${slot}" yet: Postgres waits for ${who} to end. Headwater tries again.`,
    { cause },
  )
}
