import { HeadwaterError } from '@headwater/protocol'
import type { SqliteConnection } from '../sqlite/driver.ts'

/**
 * Layout of our own tables, as stored in `ps_control.layout_version`.
 *
 *     1  first
 */
export const LAYOUT_VERSION = 1

/**
 * The device's own bookkeeping.
 *
 * - `ps_control`: one row. `applying` = 1 while downloaded rows are written, so that they are not captured.
 *   `target_write_checkpoint`: what downloaded data must include to be shown; NULL when no write is outstanding.
 *   `seen_write_checkpoint`: the newest one of a completed checkpoint. `checkpoint_op`: op id of the last checkpoint
 *   whose sums were right; every bucket with `verified` = 1 holds everything up to it. `needs_index` = 1 while the op
 *   log has no index on its rows, as during a first download.
 * - `ps_buckets`: `last_op` = id of the newest operation held, `last_applied_op` = shown up to here. The sum of a bucket
 *   is `add_checksum` (operations no longer held one by one) + `op_checksum` (those in `ps_oplog`), modulo 2^32.
 *   `appended` = 1: operations were only appended so far; superseded ones are still among them, and `removals` that
 *   have no row data.
 * - `ps_oplog`: operations in force, per bucket. While a bucket is `appended`, also removals (data NULL) and moves
 *   (row_type NULL).
 * - `ps_updated_rows`: rows whose shown value must be found anew at the next full publish.
 * - `ps_untyped`: rows of tables that left the schema and that no operation could bring back.
 * - `ps_crud`: the upload queue. `ps_tx`: numbers of local transactions.
 * - `ps_sync_state`: microseconds of the last sync for each priority; 2147483647 stands for all of them.
 */
const CREATE_LAYOUT = `
  CREATE TABLE ps_control(
    id INTEGER PRIMARY KEY CHECK (id = 1),
    layout_version INTEGER NOT NULL,
    applying INTEGER NOT NULL DEFAULT 0,
    schema_text TEXT,
    target_write_checkpoint INTEGER,
    seen_write_checkpoint INTEGER,
    checkpoint_op INTEGER NOT NULL DEFAULT 0,
    needs_index INTEGER NOT NULL DEFAULT 1
  );
  CREATE TABLE ps_buckets(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    priority INTEGER NOT NULL DEFAULT 3,
    last_applied_op INTEGER NOT NULL DEFAULT 0,
    last_op INTEGER NOT NULL DEFAULT 0,
    add_checksum INTEGER NOT NULL DEFAULT 0,
    op_checksum INTEGER NOT NULL DEFAULT 0,
    target_checksum INTEGER NOT NULL DEFAULT 0,
    target_count INTEGER NOT NULL DEFAULT 0,
    count_at_last INTEGER NOT NULL DEFAULT 0,
    count_since_last INTEGER NOT NULL DEFAULT 0,
    removals INTEGER NOT NULL DEFAULT 0,
    pending_delete INTEGER NOT NULL DEFAULT 0,
    verified INTEGER NOT NULL DEFAULT 0,
    appended INTEGER NOT NULL DEFAULT 1
  );
  CREATE TABLE ps_oplog(
    bucket INTEGER NOT NULL,
    op_id INTEGER NOT NULL,
    row_type TEXT,
    row_id TEXT,
    subkey TEXT,
    data TEXT,
    hash INTEGER NOT NULL,
    PRIMARY KEY (bucket, op_id)
  ) WITHOUT ROWID;
  CREATE TABLE ps_updated_rows(
    row_type TEXT NOT NULL,
    row_id TEXT NOT NULL,
    PRIMARY KEY (row_type, row_id)
  ) WITHOUT ROWID;
  CREATE TABLE ps_untyped(type TEXT NOT NULL, id TEXT NOT NULL, data TEXT, PRIMARY KEY (type, id));
  CREATE TABLE ps_crud(id INTEGER PRIMARY KEY AUTOINCREMENT, data TEXT NOT NULL, tx_id INTEGER);
  CREATE TABLE ps_tx(id INTEGER PRIMARY KEY CHECK (id = 1), current_tx INTEGER, next_tx INTEGER NOT NULL);
  CREATE TABLE ps_kv(key TEXT PRIMARY KEY NOT NULL, value ANY) WITHOUT ROWID;
  CREATE TABLE ps_sync_state(priority INTEGER PRIMARY KEY NOT NULL, last_synced_at INTEGER NOT NULL);
  CREATE TABLE ps_stream_subscriptions(
    id INTEGER PRIMARY KEY,
    stream_name TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 0,
    is_default INTEGER NOT NULL DEFAULT 0,
    local_priority INTEGER,
    local_params TEXT NOT NULL DEFAULT 'null',
    ttl INTEGER,
    expires_at INTEGER,
    last_synced_at INTEGER,
    UNIQUE (stream_name, local_params)
  );
  INSERT INTO ps_tx(id, current_tx, next_tx) VALUES (1, NULL, 1);
  INSERT INTO ps_control(id, layout_version) VALUES (1, ${LAYOUT_VERSION});
`

/** Rows that a publish looks at, and operations about to go; private to the writer's connection. */
const CREATE_SCRATCH = `
  CREATE TEMP TABLE IF NOT EXISTS ps_dead(
    bucket INTEGER NOT NULL,
    op_id INTEGER NOT NULL,
    PRIMARY KEY (bucket, op_id)
  ) WITHOUT ROWID;
  CREATE TEMP TABLE IF NOT EXISTS ps_changed(
    row_type TEXT NOT NULL,
    row_id TEXT NOT NULL,
    PRIMARY KEY (row_type, row_id)
  ) WITHOUT ROWID;
`

/**
 * Creates our tables in a new file; in one that has them, writes nothing. Throws `layout-unknown` for a file that a
 * newer version of this package, or another one, has written.
 */
export async function prepareLayout(connection: SqliteConnection): Promise<void> {
  const { rows } = await connection.run(
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('ps_control', 'ps_migration')`,
  )
  const tables = rows.map(([name]) => name)
  if (tables.includes('ps_control')) {
    const version = (await connection.run('SELECT layout_version FROM ps_control WHERE id = 1')).rows[0]?.[0]
    if (version !== LAYOUT_VERSION) {
      throw new HeadwaterError(
        'layout-unknown',
        `Cannot open this database: its layout is version ${String(version)}, this package knows ${LAYOUT_VERSION}. Update the package.`,
      )
    }
  } else if (tables.includes('ps_migration')) {
    throw new HeadwaterError(
      'layout-unknown',
      'Cannot open this database: another sync client has made it. Upload its queue there, then use a new file name.',
    )
  } else {
    await connection.exec(`BEGIN IMMEDIATE; ${CREATE_LAYOUT} COMMIT`)
  }
  await connection.exec(CREATE_SCRATCH)
}
