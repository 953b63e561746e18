import type { Session } from './connection.ts'

/** What the server says of itself; read once a session. */
export type ServerState = {
  /** server_version_num: 140005 for 14.5. */
  readonly version: number
  readonly walLevel: string
  readonly isStandby: boolean
  readonly slotsMax: number
  readonly slotsUsed: number
  readonly sendersMax: number
  readonly sendersUsed: number
  /** wal_sender_timeout; 0 when switched off. */
  readonly senderTimeoutMs: number
  readonly slotWalKeepSize: string
  readonly role: RoleState
}

export type RoleState = {
  readonly name: string
  readonly isSuperuser: boolean
  readonly mayReplicate: boolean
  readonly mayCreateInDatabase: boolean
  readonly mayEmitMessages: boolean
}

/** Messages of version 14 and later carry our markers. */
export const SERVER_VERSION_MIN = 140_000

const READ_SERVER = `
  SELECT current_setting('server_version_num') AS version,
         current_setting('wal_level') AS wal_level,
         pg_is_in_recovery()::text AS is_standby,
         current_setting('max_replication_slots') AS slots_max,
         (SELECT count(*)::text FROM pg_replication_slots) AS slots_used,
         current_setting('max_wal_senders') AS senders_max,
         (SELECT count(*)::text FROM pg_stat_replication) AS senders_used,
         (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout') AS sender_timeout,
         current_setting('max_slot_wal_keep_size') AS keep_size,
         current_user::text AS role,
         r.rolsuper::text AS is_superuser,
         (r.rolsuper OR r.rolreplication OR EXISTS (
            SELECT FROM pg_roles g
            WHERE g.rolname = 'rds_replication' AND pg_has_role(r.oid, g.oid, 'USAGE')))::text AS may_replicate,
         has_database_privilege(current_database(), 'CREATE')::text AS may_create,
         (SELECT bool_or(has_function_privilege(p.oid, 'EXECUTE'))
          FROM pg_proc p WHERE p.proname = 'pg_logical_emit_message')::text AS may_emit
  FROM pg_roles r
  WHERE r.rolname = current_user`

/** Everything about server and role that replication depends on. */
export async function readServerState(session: Session): Promise<ServerState> {
  const [row] = await session.query(READ_SERVER)
  return {
    version: Number(row?.version),
    walLevel: row?.wal_level ?? '',
    isStandby: row?.is_standby === 'true',
    slotsMax: Number(row?.slots_max),
    slotsUsed: Number(row?.slots_used),
    sendersMax: Number(row?.senders_max),
    sendersUsed: Number(row?.senders_used),
    senderTimeoutMs: Number(row?.sender_timeout),
    slotWalKeepSize: row?.keep_size ?? '',
    role: {
      name: row?.role ?? '',
      isSuperuser: row?.is_superuser === 'true',
      mayReplicate: row?.may_replicate === 'true',
      mayCreateInDatabase: row?.may_create === 'true',
      mayEmitMessages: row?.may_emit === 'true',
    },
  }
}

/** Differs between any two clusters that were initialised apart. Wants a replication session. */
export async function readSystemId(session: Session): Promise<string> {
  const [row] = await session.query('IDENTIFY_SYSTEM')
  return row?.systemid ?? ''
}
