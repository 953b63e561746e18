import type { BucketEntry, BucketName, OpId } from '@headwater/protocol'
import { toBucketName, toOpId } from '@headwater/protocol'
import type { SqliteConnection } from '../sqlite/driver.ts'

/** What a bucket must add up to, as a checkpoint announced it. A bucket we do not know yet starts empty. */
const ANNOUNCE = `
  INSERT INTO ps_buckets(name, target_checksum, target_count, priority)
  SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
  ON CONFLICT (name) DO UPDATE SET
    target_checksum = excluded.target_checksum, target_count = excluded.target_count, priority = excluded.priority
  WHERE target_checksum <> excluded.target_checksum OR target_count <> excluded.target_count
    OR priority <> excluded.priority`

const MISSING = 'SELECT id FROM ps_buckets WHERE name NOT IN (SELECT value FROM json_each(?1))'
const NAMED = 'SELECT id FROM ps_buckets WHERE name IN (SELECT value FROM json_each(?1))'

/**
 * Compaction on the service can leave fewer operations than we counted. Then counting starts again everywhere: a bar
 * that runs backwards in one bucket and forwards in another says nothing.
 */
const RESET_COUNTERS = `
  UPDATE ps_buckets SET count_at_last = 0, count_since_last = 0 WHERE count_at_last <> 0 OR count_since_last <> 0`

const PROGRESS = `
  SELECT priority, sum(count_at_last), sum(count_since_last), sum(target_count),
    max(target_count < count_at_last + count_since_last)
  FROM ps_buckets GROUP BY priority`

const POSITIONS = `
  SELECT name, max(last_op, CASE WHEN verified = 1 THEN (SELECT checkpoint_op FROM ps_control WHERE id = 1) ELSE 0 END)
  FROM ps_buckets WHERE pending_delete = 0 AND (last_op > 0 OR verified = 1)`

/** Takes a full checkpoint over: buckets that it does not list go. */
export async function announceAll(connection: SqliteConnection, entries: readonly BucketEntry[]): Promise<void> {
  const missing = await connection.run(MISSING, [JSON.stringify(entries.map(({ bucket }) => bucket))])
  await dropBuckets(
    connection,
    missing.rows.map(([id]) => String(id)),
  )
  await announce(connection, entries)
}

export async function announceChanged(
  connection: SqliteConnection,
  updated: readonly BucketEntry[],
  removed: readonly BucketName[],
): Promise<void> {
  if (removed.length > 0) {
    const { rows } = await connection.run(NAMED, [JSON.stringify(removed)])
    await dropBuckets(
      connection,
      rows.map(([id]) => String(id)),
    )
  }
  await announce(connection, updated)
}

async function announce(connection: SqliteConnection, entries: readonly BucketEntry[]): Promise<void> {
  if (entries.length === 0) return
  const json = JSON.stringify(entries.map((entry) => [entry.bucket, entry.checksum, entry.count, entry.priority]))
  await connection.run(ANNOUNCE, [json])
}

/** Forgets buckets; what was shown of them is found anew at the next full publish. `ids` are whole numbers. */
export async function dropBuckets(connection: SqliteConnection, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  const list = ids.join(', ')
  await connection.exec(`
    INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id)
      SELECT o.row_type, o.row_id FROM ps_buckets b CROSS JOIN ps_oplog o ON o.bucket = b.id
      WHERE b.id IN (${list}) AND b.last_applied_op <> 0 AND o.row_type IS NOT NULL AND o.row_id IS NOT NULL;
    DELETE FROM ps_oplog WHERE bucket IN (${list});
    DELETE FROM ps_buckets WHERE id IN (${list});`)
}

/** Download counters after an announcement, summed up for each priority. */
export async function readProgress(
  connection: SqliteConnection,
): Promise<{ priority: number; atLast: number; sinceLast: number; target: number }[]> {
  let { rows } = await connection.run(PROGRESS)
  if (rows.some(([, , , , isTooMuch]) => isTooMuch === 1)) {
    await connection.exec(RESET_COUNTERS)
    rows = (await connection.run(PROGRESS)).rows
  }
  return rows.map(([priority, atLast, sinceLast, target]) => ({
    priority: Number(priority),
    atLast: Number(atLast),
    sinceLast: Number(sinceLast),
    target: Number(target),
  }))
}

/** What to ask the service to go on from. */
export async function readPositions(connection: SqliteConnection): Promise<{ name: BucketName; after: OpId }[]> {
  const { rows } = await connection.run(POSITIONS)
  return rows.map(([name, after]) => ({ name: toBucketName(String(name)), after: toOpId(BigInt(String(after))) }))
}
