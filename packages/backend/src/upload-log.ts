import type { Pool, PoolClient } from 'pg'

import type { UploadMark } from './upload-mark.ts'
import type { Rejection } from './write-rules.ts'

/**
 * `user_id` is part of the key, so that nobody who learns another's client id can make that client's writes look
 * applied. `recent` maps positions to fingerprints; `rejections`
 * is a list of {opId, code, message}.
 */
const CREATE_LOG = `
CREATE SCHEMA IF NOT EXISTS headwater;
CREATE TABLE IF NOT EXISTS headwater.uploads (
  user_id text NOT NULL,
  client_id text NOT NULL,
  last_op_id bigint NOT NULL,
  recent jsonb NOT NULL DEFAULT '{}',
  rejections jsonb NOT NULL DEFAULT '[]',
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, client_id)
)`

const FIND_LOG = `SELECT to_regclass('headwater.uploads') IS NOT NULL AS found`

/** Only one process at a time makes the table: IF NOT EXISTS alone fails when two try at once. */
const LOCK_CREATION = `SELECT pg_advisory_xact_lock(hashtext('headwater.uploads'))`

/**
 * Reads the mark and locks it until the transaction ends. A second request of the same client waits here and then
 * reads what the first one wrote; so READ COMMITTED is enough.
 */
const LOCK_MARK = `
INSERT INTO headwater.uploads AS mark (user_id, client_id, last_op_id)
VALUES ($1, $2, -1)
ON CONFLICT (user_id, client_id) DO UPDATE SET last_op_id = mark.last_op_id
RETURNING last_op_id AS "lastOpId", recent, rejections,
          extract(epoch FROM clock_timestamp() - updated_at)::float8 * 1000 AS "ageMs"`

const WRITE_MARK = `
UPDATE headwater.uploads
SET last_op_id = $3, recent = $4::jsonb, rejections = $5::jsonb, updated_at = clock_timestamp()
WHERE user_id = $1 AND client_id = $2`

/** Makes the table where it is missing; a role that may not create it only has to find it there. */
export async function ensureUploadLog(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ found: boolean }>(FIND_LOG)
  if (rows[0]?.found === true) return
  await pool.query(`BEGIN; ${LOCK_CREATION}; ${CREATE_LOG}; COMMIT`)
}

export type ClientKey = { readonly userId: string; readonly clientId: string }

type MarkRow = { lastOpId: string; recent: Record<string, string>; rejections: Rejection[]; ageMs: number }

export async function lockMark(client: PoolClient, key: ClientKey): Promise<UploadMark> {
  const { rows } = await client.query<MarkRow>(LOCK_MARK, [key.userId, key.clientId])
  const [row] = rows
  if (row === undefined) throw new Error('Cannot read the mark of an upload: Postgres returned no row')
  return { ...row, lastOpId: Number(row.lastOpId) }
}

export async function writeMark(client: PoolClient, key: ClientKey, mark: UploadMark): Promise<void> {
  const { lastOpId, recent, rejections } = mark
  await client.query(WRITE_MARK, [
    key.userId,
    key.clientId,
    lastOpId,
    JSON.stringify(recent),
    JSON.stringify(rejections),
  ])
}
