import type { SqliteConnection } from '../sqlite/driver.ts'

/** One `data` line as it came: its row data is never decoded here, SQLite reads it. */
export type DataLine = {
  readonly bucket: string
  /** The whole line: `{"data":{"bucket":…,"data":[…]}}`. */
  readonly text: string
}

/**
 * Operations of one line, appended. `LIMIT -1` keeps SQLite from taking each operation out of the line once a column. Those of a bucket that no checkpoint announced, and those held already, are left
 * out. MOVE and CLEAR have no row: their word stands in `row_id`.
 */
const APPEND = `
  INSERT INTO ps_oplog(bucket, op_id, row_type, row_id, subkey, data, hash)
  SELECT
    bucket,
    op_id,
    CASE WHEN op IN ('PUT', 'REMOVE') THEN v ->> 'object_type' END,
    CASE WHEN op IN ('PUT', 'REMOVE') THEN v ->> 'object_id' ELSE op END,
    v ->> 'subkey',
    CASE op WHEN 'PUT' THEN v ->> 'data' END,
    (v ->> 'checksum') & 4294967295
  FROM (
    SELECT b.id AS bucket, b.last_op, o.v, o.v ->> 'op' AS op, CAST(o.v ->> 'op_id' AS INTEGER) AS op_id
    FROM ps_buckets b, (SELECT value AS v FROM jsonb_each(?2, '$.data.data') LIMIT -1) o
    WHERE b.name = ?1 LIMIT -1
  )
  WHERE op_id > last_op`

const TOUCHED = `
  SELECT id, last_op, appended, (SELECT needs_index FROM ps_control WHERE id = 1)
  FROM ps_buckets WHERE name IN (SELECT value FROM json_each(?1))`

const LAST_CLEAR = `
  SELECT max(op_id) FROM ps_oplog WHERE bucket = ?1 AND op_id > ?2 AND row_type IS NULL AND row_id = 'CLEAR'`

/** Finds all operations of a row, over all buckets. Left out while a first download only appends. */
export const CREATE_ROW_INDEX = `
  CREATE INDEX IF NOT EXISTS ps_oplog_row ON ps_oplog(row_id, row_type);
  UPDATE ps_control SET needs_index = 0 WHERE id = 1 AND needs_index <> 0;`

/** How many operations of each line were new. */
export type StoredData = { readonly counts: readonly number[] }

/**
 * Takes lines into the op log; must run in a transaction. A bucket that has never been shown is only appended to;
 * in the others each operation replaces the older ones of its row at once.
 */
export async function storeData(connection: SqliteConnection, lines: readonly DataLine[]): Promise<StoredData> {
  const counts: number[] = []
  for (const { bucket, text } of lines) counts.push((await connection.run(APPEND, [bucket, text])).changes)
  const names = JSON.stringify([...new Set(lines.map(({ bucket }) => bucket))])
  const { rows } = await connection.run(TOUCHED, [names])
  const touched = rows.map(([id, lastOp, appended]) => ({
    id: String(id),
    lastOp: String(lastOp),
    appended: appended === 1,
  }))
  const script: string[] = []
  const mayClear = lines.some(({ text }) => text.includes('"CLEAR"'))
  const appended: string[] = []
  for (const bucket of touched) {
    const cleared = mayClear ? await clearBucket(connection, bucket) : false
    if (cleared || bucket.appended) appended.push(bucket.id)
  }
  const replacing = touched.map(({ id }) => id).filter((id) => !appended.includes(id))
  if (replacing.length > 0) {
    if (rows[0]?.[3] !== 0) script.push(CREATE_ROW_INDEX)
    script.push(markRemoved(replacing), findReplaced(replacing))
  }
  script.push(count(touched.map(({ id }) => id)))
  if (replacing.length > 0) script.push(dropDead(replacing))
  await connection.exec(script.join(';\n'))
  return { counts }
}

/** Everything up to the newest CLEAR goes; its checksum stands for all of it. The bucket is as good as empty then. */
async function clearBucket(
  connection: SqliteConnection,
  bucket: { readonly id: string; readonly lastOp: string },
): Promise<boolean> {
  const at = (await connection.run(LAST_CLEAR, [BigInt(bucket.id), BigInt(bucket.lastOp)])).rows[0]?.[0]
  if (at === null || at === undefined) return false
  const upTo = `bucket = ${bucket.id} AND op_id <= ${String(at)}`
  await connection.exec(`
    INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id)
      SELECT row_type, row_id FROM ps_oplog WHERE ${upTo} AND row_type IS NOT NULL AND row_id IS NOT NULL;
    UPDATE ps_buckets SET
      add_checksum = (SELECT hash FROM ps_oplog WHERE bucket = ${bucket.id} AND op_id = ${String(at)}),
      op_checksum = 0,
      removals = 0,
      last_applied_op = 0,
      appended = 1,
      count_since_last = count_since_last + (SELECT count(*) FROM ps_oplog WHERE ${upTo} AND op_id > ${bucket.lastOp}),
      last_op = ${String(at)}
    WHERE id = ${bucket.id};
    DELETE FROM ps_oplog WHERE ${upTo};`)
  return true
}

/** New operations of these buckets, as `b` and `n`. */
function newOperations(buckets: readonly string[]): string {
  return `ps_buckets b CROSS JOIN ps_oplog n ON n.bucket = b.id AND n.op_id > b.last_op WHERE b.id IN (${buckets.join(', ')})`
}

const SAME_ROW = 'o.row_id = n.row_id AND o.row_type = n.row_type AND o.bucket = n.bucket AND o.subkey IS n.subkey'

/** Rows that were shown and are removed now: whether they go depends on the other buckets. */
function markRemoved(buckets: readonly string[]): string {
  return `INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id)
    SELECT n.row_type, n.row_id FROM ${newOperations(buckets)}
    AND n.data IS NULL AND n.row_type IS NOT NULL AND b.last_applied_op <> 0
    AND EXISTS (SELECT 1 FROM ps_oplog o WHERE ${SAME_ROW} AND o.op_id < n.op_id)`
}

function findReplaced(buckets: readonly string[]): string {
  return `INSERT OR IGNORE INTO ps_dead(bucket, op_id)
    SELECT o.bucket, o.op_id FROM (
      SELECT n.bucket, n.op_id, n.row_type, n.row_id, n.subkey FROM ${newOperations(buckets)} AND n.row_type IS NOT NULL
    ) n CROSS JOIN ps_oplog o ON ${SAME_ROW} AND o.op_id < n.op_id;
    INSERT OR IGNORE INTO ps_dead(bucket, op_id)
    SELECT n.bucket, n.op_id FROM ${newOperations(buckets)} AND n.data IS NULL`
}

/** Moves positions, sums and counters of the buckets past their new operations. */
function count(buckets: readonly string[]): string {
  return `UPDATE ps_buckets SET
      op_checksum = (op_checksum + news.sum) & 4294967295,
      last_op = news.last_op,
      count_since_last = count_since_last + news.count,
      removals = ps_buckets.removals + news.removals
    FROM (
      SELECT n.bucket, sum(n.hash) AS sum, max(n.op_id) AS last_op, count(*) AS count, sum(n.data IS NULL) AS removals
      FROM ${newOperations(buckets)} GROUP BY n.bucket
    ) AS news
    WHERE news.bucket = ps_buckets.id`
}

/** Takes the operations in `ps_dead` out; their checksums move to the part of the sum that has no operations. */
export function dropDead(buckets: readonly string[]): string {
  return `UPDATE ps_buckets SET
      add_checksum = (add_checksum + dead.sum) & 4294967295,
      op_checksum = (op_checksum - dead.sum) & 4294967295,
      removals = 0
    FROM (
      SELECT d.bucket, sum(o.hash) AS sum FROM ps_dead d CROSS JOIN ps_oplog o ON o.bucket = d.bucket AND o.op_id = d.op_id
      GROUP BY d.bucket
    ) AS dead
    WHERE dead.bucket = ps_buckets.id AND ps_buckets.id IN (${buckets.join(', ')});
    DELETE FROM ps_oplog WHERE (bucket, op_id) IN (SELECT bucket, op_id FROM ps_dead);
    DELETE FROM ps_dead`
}
