import type { OpId } from '@headwater/protocol'
import type { Schema } from '../schema/schema.ts'
import { quoteText } from '../schema/quote.ts'
import type { SqliteConnection, SqliteValue } from '../sqlite/driver.ts'
import { FULL_SYNC_PRIORITY } from '../sync/status.ts'
import { mayPublish } from '../upload/hold.ts'
import type { HoldRule } from '../upload/hold.ts'
import { dropBuckets } from './buckets.ts'
import { CREATE_ROW_INDEX } from './data.ts'
import { compactAppended, publishChanged, publishFirst } from './publish.ts'

export type Completion = {
  readonly lastOpId: OpId
  readonly writeCheckpoint: bigint | undefined
  /** Of a partial completion; undefined for a full one. */
  readonly priority: number | undefined
}

export type BucketMismatch = { readonly bucket: string; readonly expected: number; readonly actual: number }

export type CompletionOutcome =
  | { readonly kind: 'published'; readonly tables: readonly string[]; readonly indexMissing: boolean }
  /** Sums are right, but local writes are not in it yet. */
  | { readonly kind: 'held' }
  /** These buckets have been dropped, to be downloaded again. */
  | { readonly kind: 'mismatch'; readonly buckets: readonly BucketMismatch[] }

const MISMATCHES = `
  SELECT id, name, target_checksum, (add_checksum + op_checksum) & 4294967295 FROM ps_buckets
  WHERE (add_checksum + op_checksum) & 4294967295 <> target_checksum AND priority <= ?1`

/** Checks the sums of the buckets that a completion line covers, then shows them if it may. Runs in a transaction. */
export async function complete(
  connection: SqliteConnection,
  parts: { readonly schema: Schema; readonly completion: Completion; readonly nowMs: number },
): Promise<CompletionOutcome> {
  const { schema, completion, nowMs } = parts
  const { priority } = completion
  const { rows } = await connection.run(MISMATCHES, [priority ?? FULL_SYNC_PRIORITY])
  if (rows.length > 0) {
    await dropBuckets(
      connection,
      rows.map(([id]) => String(id)),
    )
    return { kind: 'mismatch', buckets: rows.map(toMismatch) }
  }
  if (priority === undefined) await noteVerified(connection, completion)
  if (!mayPublish(await readHold(connection, schema), priority)) return { kind: 'held' }
  const { tables, indexMissing } = await publish(connection, schema, priority)
  await connection.exec(`UPDATE ps_control SET applying = 0 WHERE id = 1;
    DELETE FROM ps_changed;
    ${notePublished(priority, nowMs)}`)
  return { kind: 'published', tables, indexMissing }
}

async function publish(
  connection: SqliteConnection,
  schema: Schema,
  priority: number | undefined,
): Promise<{ readonly tables: string[]; readonly indexMissing: boolean }> {
  if (priority === undefined) {
    const first = await publishFirst(connection, schema)
    if (first !== undefined) return { tables: first, indexMissing: true }
  }
  await compactAppended(connection, { priority })
  return { tables: await publishChanged(connection, schema, { priority }), indexMissing: false }
}

/** Every bucket holds all operations up to here, so this is where an idle one goes on from, too. */
async function noteVerified(connection: SqliteConnection, { lastOpId, writeCheckpoint }: Completion): Promise<void> {
  const seen =
    writeCheckpoint === undefined
      ? ''
      : `, seen_write_checkpoint = max(coalesce(seen_write_checkpoint, 0), ${writeCheckpoint})`
  await connection.exec(`UPDATE ps_buckets SET verified = 1 WHERE verified = 0;
    UPDATE ps_control SET checkpoint_op = ${lastOpId}${seen} WHERE id = 1`)
}

function notePublished(priority: number | undefined, nowMs: number): string {
  const level = priority ?? FULL_SYNC_PRIORITY
  const nowMicroseconds = Math.trunc(nowMs) * 1000
  const full = `DELETE FROM ps_updated_rows;
    DELETE FROM ps_untyped;
    UPDATE ps_buckets SET count_at_last = target_count, count_since_last = 0
      WHERE count_at_last <> target_count OR count_since_last <> 0;`
  return `UPDATE ps_buckets SET last_applied_op = last_op WHERE last_applied_op <> last_op AND priority <= ${level};
    DELETE FROM ps_sync_state WHERE priority < ${level};
    INSERT INTO ps_sync_state(priority, last_synced_at) VALUES (${level}, ${nowMicroseconds})
      ON CONFLICT (priority) DO UPDATE SET last_synced_at = excluded.last_synced_at;
    ${priority === undefined ? full : ''}`
}

/** May downloaded rows be shown? Entries of insert-only tables overwrite nothing, so they do not count. */
export async function readHold(connection: SqliteConnection, schema: Schema): Promise<HoldRule> {
  const insertOnly = schema.tables.filter((table) => table.insertOnly).map((table) => quoteText(table.name))
  const counts = insertOnly.length === 0 ? '' : `WHERE json_extract(data, '$.type') NOT IN (${insertOnly.join(', ')})`
  const { rows } = await connection.run(
    `SELECT EXISTS (SELECT 1 FROM ps_crud ${counts}), target_write_checkpoint, seen_write_checkpoint
     FROM ps_control WHERE id = 1`,
  )
  const [pending, target, seen] = rows[0] ?? []
  return { writesPending: pending === 1, target: toBigInt(target), seen: toBigInt(seen) }
}

export function toBigInt(value: SqliteValue | undefined): bigint | undefined {
  return typeof value === 'number' || typeof value === 'bigint' ? BigInt(value) : undefined
}

/** The index that a first download went without. */
export async function buildIndex(connection: SqliteConnection): Promise<void> {
  await connection.exec(CREATE_ROW_INDEX)
}

function toMismatch([, bucket, expected, actual]: readonly SqliteValue[]): BucketMismatch {
  return { bucket: String(bucket), expected: Number(expected), actual: Number(actual) }
}
