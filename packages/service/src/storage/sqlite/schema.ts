import type { DatabaseSync } from 'node:sqlite'
import { HeadwaterError } from '@headwater/protocol'

export const PAGE_BYTES = 8192

/**
 * The stored format, as steps forward; a database has done the first `user_version` of them.
 *
 * History: 1, the first layout; 2, a log in front of the row states; 3, compaction; 4, write checkpoints of the app's
 * backend, and when each was used last.
 */
const MIGRATIONS: readonly string[] = [
  `
  -- What the data was replicated from. One row; none in the empty storage before the first generation.
  CREATE TABLE generation (
    number INTEGER PRIMARY KEY,
    system_id TEXT NOT NULL,
    slot TEXT NOT NULL,
    -- JSON of the plan.
    plan TEXT NOT NULL
  );

  -- How far everything is. One row, changed by every commit.
  CREATE TABLE position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Log position up to which whole transactions are stored, as a signed 64-bit integer; NULL before the first.
    resume INTEGER,
    -- Last op id given out. Never goes back: a new generation goes on from it.
    head_op INTEGER NOT NULL,
    -- Operations stored in this generation.
    operation_count INTEGER NOT NULL,
    -- The newest state that clients may see; NULL until there is one.
    shown_op INTEGER,
    shown_lsn INTEGER
  );
  INSERT INTO position (id, resume, head_op, operation_count) VALUES (1, NULL, 0, 0);

  -- Names of buckets by number, and the totals of what is packed into chunks. What is still in the tail comes on top.
  CREATE TABLE bucket (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    packed_op INTEGER NOT NULL,
    packed_count INTEGER NOT NULL,
    packed_sum INTEGER NOT NULL
  );

  -- Table names on clients by number.
  CREATE TABLE object_type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

  -- Operations that are not packed yet, one row a commit: runs of several buckets back to back.
  CREATE TABLE tail (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);

  -- Packed operations: one run of one bucket each. cum_count and cum_sum are the totals of the bucket before the chunk.
  -- body: a byte 0 and the run, or a byte 1 and the run compressed with zstd. bytes: size of the run.
  CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL,
    first_op INTEGER NOT NULL,
    last_op INTEGER NOT NULL,
    count INTEGER NOT NULL,
    cum_count INTEGER NOT NULL,
    cum_sum INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
  );
  CREATE UNIQUE INDEX chunk_by_bucket ON chunk (bucket, last_op, first_op, count, cum_count, cum_sum, bytes);

  -- What is remembered of a source row.
  CREATE TABLE row_state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

  -- Lookup entries and the op ids from and until which they hold; until is NULL for those that hold now.
  CREATE TABLE lookup (
    key TEXT NOT NULL,
    row TEXT NOT NULL,
    outputs TEXT NOT NULL,
    since_op INTEGER NOT NULL,
    until_op INTEGER,
    PRIMARY KEY (key, row, outputs, since_op)
  ) WITHOUT ROWID;
  CREATE INDEX lookup_closed ON lookup (until_op) WHERE until_op IS NOT NULL;

  -- Progress of first copies.
  CREATE TABLE copy_progress (
    relation_oid INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,
    cursor TEXT NOT NULL,
    done INTEGER NOT NULL,
    rows_copied INTEGER NOT NULL,
    rows_estimated INTEGER NOT NULL
  );

  -- The newest rows that could not be evaluated.
  CREATE TABLE row_error (
    id INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,
    row TEXT NOT NULL,
    definition TEXT NOT NULL,
    message TEXT NOT NULL,
    at_ms INTEGER NOT NULL
  );

  -- Write checkpoints by client: the one that clients may see, and one that waits for the next state to be shown.
  -- Taken over by the next generation, so that no client waits for a number that is forgotten.
  CREATE TABLE write_checkpoint (key TEXT PRIMARY KEY, shown INTEGER, pending INTEGER) WITHOUT ROWID;
  CREATE INDEX write_checkpoint_pending ON write_checkpoint (key) WHERE pending IS NOT NULL;
  `,
  `
  -- Changes of row states that are not merged into row_state yet, one row a delta.
  CREATE TABLE row_state_log (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
  `,
  `
  -- Counts that include operations, as packed_count and cum_count do, are of all that were ever packed.
  -- The id of the CLEAR that a bucket begins with: what it was before that is not known any more. 0 without one.
  ALTER TABLE bucket ADD COLUMN floor_op INTEGER NOT NULL DEFAULT 0;
  -- So many operations fewer than were ever packed are stored.
  ALTER TABLE bucket ADD COLUMN cleared_count INTEGER NOT NULL DEFAULT 0;
  -- How many operations the last compaction has looked at, counted from the bucket's beginning; PUTs that it left.
  ALTER TABLE bucket ADD COLUMN compacted_count INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE bucket ADD COLUMN live_count INTEGER NOT NULL DEFAULT 0;
  -- Lookup entries that ended up to this op id are gone.
  ALTER TABLE position ADD COLUMN lookup_floor INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- Hours since 1970, when the client asked last.
  ALTER TABLE write_checkpoint ADD COLUMN used_hour INTEGER NOT NULL DEFAULT 0;
  UPDATE write_checkpoint SET used_hour = unixepoch() / 3600;
  CREATE INDEX write_checkpoint_used ON write_checkpoint (used_hour);

  -- The same for numbers that the app's backend wrote into a table of the source. Clients see these where the plan has
  -- an event for them, else those of the service. used_hour: when the number was replicated.
  CREATE TABLE custom_write_checkpoint (
    key TEXT PRIMARY KEY,
    shown INTEGER,
    pending INTEGER,
    used_hour INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX custom_write_checkpoint_pending ON custom_write_checkpoint (key) WHERE pending IS NOT NULL;
  CREATE INDEX custom_write_checkpoint_used ON custom_write_checkpoint (used_hour);
  `,
]

/** Brings the database to the present layout. Throws `storage-failed` when a newer version of Headwater wrote it. */
export function migrate(database: DatabaseSync): void {
  const done = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
  if (done > MIGRATIONS.length) {
    throw new HeadwaterError(
      'storage-failed',
      `Cannot open the storage: its layout is version ${done}, this Headwater knows versions up to ${MIGRATIONS.length}. Run the newer Headwater, or choose an empty directory`,
    )
  }
  for (const [number, script] of MIGRATIONS.entries()) {
    if (number < done) continue
    database.exec(`BEGIN IMMEDIATE; ${script}; PRAGMA user_version = ${number + 1}; COMMIT`)
  }
}
