import type { Pool, PoolClient } from 'pg'

import type { SettledEntry, UploadMark } from './upload-mark.ts'
import type { RejectionCode } from './write-rules.ts'

/**
 * `uploads`: one row a client, its mark. `user_id` is part of the key, so that nobody who learns another's client id
 * can make that client's writes look applied.
 * `upload_entries`: what each client may still send again; `code` and `message` are null where the entry was applied.
 */
const CREATE_LOG = `
CREATE SCHEMA IF NOT EXISTS headwater;
CREATE TABLE IF NOT EXISTS headwater.uploads (
  user_id text NOT NULL,
  client_id text NOT NULL,
  last_op_id bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, client_id)
);
CREATE TABLE IF NOT EXISTS headwater.upload_entries (
  user_id text NOT NULL,
  client_id text NOT NULL,
  op_id bigint NOT NULL,
  fingerprint text NOT NULL,
  code text,
  message text,
  PRIMARY KEY (user_id, client_id, op_id)
)`

const FIND_LOG = `SELECT to_regclass('headwater.upload_entries') IS NOT NULL AS found`

/** Only one process at a time makes the tables: IF NOT EXISTS alone fails when two try at once. */
const LOCK_CREATION = `SELECT pg_advisory_xact_lock(hashtext('headwater.uploads'))`

/**
 * Reads the mark and locks it until the transaction ends. A second request of the same client waits here and then
 * reads what the first one wrote; so READ COMMITTED is enough.
 */
const LOCK_MARK = `
INSERT INTO headwater.uploads AS mark (user_id, client_id, last_op_id)
VALUES ($1, $2, -1)
ON CONFLICT (user_id, client_id) DO UPDATE SET last_op_id = mark.last_op_id
RETURNING last_op_id AS "lastOpId",
          extract(epoch FROM clock_timestamp() - updated_at)::float8 * 1000 AS "ageMs"`

const READ_SETTLED = `
SELECT op_id AS "opId", fingerprint, code, message
FROM headwater.upload_entries
WHERE user_id = $1
  AND client_id = $2
  AND op_id BETWEEN $3 AND $4
ORDER BY op_id`

/** That the client goes on from position $4 means that it has the answers to everything before. */
const WRITE_MARK = `
WITH forgotten AS (
  DELETE FROM headwater.upload_entries
  WHERE user_id = $1
    AND client_id = $2
    AND op_id < $4
), remembered AS (
  INSERT INTO headwater.upload_entries (user_id, client_id, op_id, fingerprint, code, message)
  SELECT $1, $2, entry.op_id, entry.fingerprint, entry.code, entry.message
  FROM jsonb_to_recordset($5::jsonb) AS entry (op_id bigint, fingerprint text, code text, message text)
  ON CONFLICT (user_id, client_id, op_id)
  DO UPDATE SET fingerprint = EXCLUDED.fingerprint, code = EXCLUDED.code, message = EXCLUDED.message
)
UPDATE headwater.uploads
SET last_op_id = $3, updated_at = clock_timestamp()
WHERE user_id = $1
  AND client_id = $2`

/** Makes the tables where they are missing; a role that may not create them only has to find them there. */
export async function ensureUploadLog(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ found: boolean }>(FIND_LOG)
  if (rows[0]?.found === true) return
  await pool.query(`BEGIN; ${LOCK_CREATION}; ${CREATE_LOG}; COMMIT`)
}

export type ClientKey = { readonly userId: string; readonly clientId: string }

export async function lockMark(client: PoolClient, { userId, clientId }: ClientKey): Promise<UploadMark> {
  const { rows } = await client.query<{ lastOpId: string; ageMs: number }>(LOCK_MARK, [userId, clientId])
  const [row] = rows
  if (row === undefined) throw new Error('Cannot read the mark of an upload: Postgres returned no row')
  return { lastOpId: Number(row.lastOpId), ageMs: row.ageMs }
}

type SettledRow = { opId: string; fingerprint: string; code: RejectionCode | null; message: string | null }

/** What is remembered of the positions from `first` to `last`. */
export async function readSettled(
  client: PoolClient,
  { userId, clientId }: ClientKey,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<readonly SettledEntry[]> {
  const { rows } = await client.query<SettledRow>(READ_SETTLED, [userId, clientId, first, last])
  return rows.map(({ fingerprint, code, message, ...row }) => {
    const opId = Number(row.opId)
    return { opId, fingerprint, rejection: code === null ? undefined : { opId, code, message: message ?? '' } }
  })
}

export type MarkMove = {
  readonly lastOpId: number
  /** Start of the client's request. */
  readonly firstOpId: number
  readonly settled: readonly SettledEntry[]
}

export async function writeMark(client: PoolClient, { userId, clientId }: ClientKey, move: MarkMove): Promise<void> {
  const entries = move.settled.map(({ opId, fingerprint, rejection }) => ({
    op_id: opId,
    fingerprint,
    code: rejection?.code,
    message: rejection?.message,
  }))
  await client.query(WRITE_MARK, [userId, clientId, move.lastOpId, move.firstOpId, JSON.stringify(entries)])
}
