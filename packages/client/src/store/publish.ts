import type { SqliteConnection } from '../sqlite/driver.ts'
import { SqliteError } from '../sqlite/sqlite-error.ts'
import { valueFromJson } from '../schema/ddl.ts'
import { quoteName, quoteText } from '../schema/quote.ts'
import type { Schema } from '../schema/schema.ts'
import { balanced } from '../schema/sql-expression.ts'
import type { ResolvedTable } from '../schema/table.ts'
import { CREATE_ROW_INDEX, dropDead } from './data.ts'

const SQLITE_CONSTRAINT = 19

/** What follows in this transaction is not captured. Whoever completes the checkpoint sets it back. */
const START_APPLYING = 'UPDATE ps_control SET applying = 1 WHERE id = 1'

/** Rows are read from buckets with a priority up to this. */
type Covered = { readonly priority: number | undefined }

function isCovered({ priority }: Covered): string {
  return priority === undefined ? 'true' : `b.priority <= ${Math.trunc(priority)}`
}

/** In buckets that were only appended to: keeps the newest operation of each row, and drops removals. */
export async function compactAppended(connection: SqliteConnection, covered: Covered): Promise<void> {
  const { rows } = await connection.run(`SELECT b.id FROM ps_buckets b WHERE b.appended = 1 AND ${isCovered(covered)}`)
  if (rows.length === 0) return
  const buckets = rows.map(([id]) => String(id))
  await connection.exec(`${CREATE_ROW_INDEX}
    INSERT OR IGNORE INTO ps_dead(bucket, op_id)
      SELECT o.bucket, o.op_id FROM ps_buckets b CROSS JOIN ps_oplog o ON o.bucket = b.id
      WHERE b.id IN (${buckets.join(', ')}) AND (o.data IS NULL OR EXISTS (
        SELECT 1 FROM ps_oplog n WHERE n.row_id = o.row_id AND n.row_type = o.row_type AND n.bucket = o.bucket
          AND n.op_id > o.op_id AND n.subkey IS o.subkey));
    ${dropDead(buckets)};
    UPDATE ps_buckets SET appended = 0 WHERE id IN (${buckets.join(', ')})`)
}

/**
 * Shows everything for the first time: when nothing was shown before and no operation replaces another, rows go
 * straight from the op log into the tables. Returns the tables, or undefined when this is not such a case (found out
 * at the latest by a row that comes twice; nothing is changed then).
 */
export async function publishFirst(connection: SqliteConnection, schema: Schema): Promise<string[] | undefined> {
  const { rows } = await connection.run(`
    SELECT NOT EXISTS (SELECT 1 FROM ps_updated_rows)
      AND NOT EXISTS (SELECT 1 FROM ps_buckets WHERE appended = 0 OR last_applied_op <> 0 OR removals <> 0)`)
  if (rows[0]?.[0] !== 1) return undefined
  const { rows: types } = await connection.run('SELECT DISTINCT row_type FROM ps_oplog')
  const tables = types.flatMap(([type]) => schema.tables.filter((table) => table.name === type && isShown(table)))
  for (const table of tables) {
    const found = await connection.run(`SELECT EXISTS (SELECT 1 FROM ${quoteName(table.internalName)})`)
    if (found.rows[0]?.[0] !== 0) return undefined
  }
  await connection.exec(`SAVEPOINT ps_first; ${START_APPLYING}`)
  try {
    for (const table of tables) {
      await connection.run(
        `INSERT INTO ${target(table)} SELECT row_id${values(table)}
         FROM (SELECT row_id, jsonb(data) AS json FROM ps_oplog WHERE row_type = ${quoteText(table.name)} LIMIT -1)`,
      )
    }
  } catch (error) {
    if (!(error instanceof SqliteError && (error.resultCode & 0xff) === SQLITE_CONSTRAINT)) throw error
    await connection.exec('ROLLBACK TO ps_first; RELEASE ps_first')
    return undefined
  }
  await connection.exec('RELEASE ps_first; UPDATE ps_buckets SET appended = 0')
  return tables.map((table) => table.internalName)
}

/**
 * Writes what changed since the last time into the tables: of each row the newest operation over all covered buckets.
 * Rows that are left out in all of them go, but only in a full publish. Returns the tables that changed. Leaves the
 * rows it looked at in `ps_changed`.
 */
export async function publishChanged(
  connection: SqliteConnection,
  schema: Schema,
  covered: Covered,
): Promise<string[]> {
  const isFull = covered.priority === undefined
  await connection.exec(`${START_APPLYING};
    DELETE FROM ps_changed;
    INSERT OR IGNORE INTO ps_changed(row_type, row_id)
      SELECT o.row_type, o.row_id
      FROM ps_buckets b CROSS JOIN ps_oplog o ON o.bucket = b.id AND o.op_id > b.last_applied_op
      WHERE b.last_op > b.last_applied_op AND o.row_type IS NOT NULL AND ${isCovered(covered)};
    ${isFull ? 'INSERT OR IGNORE INTO ps_changed(row_type, row_id) SELECT row_type, row_id FROM ps_updated_rows;' : ''}`)
  if (!isFull) await connection.exec(markShadowed(covered))
  const { rows } = await connection.run(
    'SELECT DISTINCT row_type, (SELECT needs_index FROM ps_control WHERE id = 1) FROM ps_changed',
  )
  if (rows.length === 0) return []
  if (rows[0]?.[1] !== 0) await connection.exec(CREATE_ROW_INDEX)
  const changed: string[] = []
  for (const [type] of rows) {
    const table = schema.tables.find((table) => table.name === type && isShown(table))
    if (table === undefined) continue
    let changes = (await connection.run(upsert(table, covered))).changes
    if (isFull) changes += (await connection.run(removeVanished(table))).changes
    if (changes > 0) changed.push(table.internalName)
  }
  return changed
}

/**
 * Rows that other buckets have, too: what they hold may be newer, and was perhaps shown before, so the next full
 * publish looks again.
 */
function markShadowed(covered: Covered): string {
  return `INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id)
    SELECT c.row_type, c.row_id FROM ps_changed c WHERE EXISTS (
      SELECT 1 FROM ps_oplog o JOIN ps_buckets b ON b.id = o.bucket
      WHERE o.row_id = c.row_id AND o.row_type = c.row_type AND NOT (${isCovered(covered)}));`
}

function isShown(table: ResolvedTable): boolean {
  return !table.insertOnly && !table.localOnly
}

function target(table: ResolvedTable): string {
  return `${quoteName(table.internalName)}(id${table.columns.map(({ name }) => `, ${quoteName(name)}`).join('')})`
}

function values(table: ResolvedTable): string {
  return table.columns.map((column) => `, ${valueFromJson('json', column)}`).join('')
}

/** Rows that are right already are not written, so that no one is told of a change that is none. */
function upsert(table: ResolvedTable, covered: Covered): string {
  const buckets = covered.priority === undefined ? '' : `JOIN ps_buckets b ON b.id = o.bucket AND ${isCovered(covered)}`
  const names = table.columns.map(({ name }) => quoteName(name))
  const update =
    names.length === 0
      ? 'NOTHING'
      : `UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')}
         WHERE ${balanced(
           names.map((name) => `${quoteName(table.internalName)}.${name} IS NOT excluded.${name}`),
           'OR',
         )}`
  return `INSERT INTO ${target(table)} SELECT row_id${values(table)} FROM (
      SELECT c.row_id AS row_id, jsonb(o.data) AS json, max(o.op_id)
      FROM ps_changed c CROSS JOIN ps_oplog o ON o.row_id = c.row_id AND o.row_type = c.row_type ${buckets}
      WHERE c.row_type = ${quoteText(table.name)} AND o.data IS NOT NULL
      GROUP BY c.row_id
    ) WHERE true ON CONFLICT (id) DO ${update}`
}

function removeVanished(table: ResolvedTable): string {
  return `DELETE FROM ${quoteName(table.internalName)} WHERE id IN (
      SELECT c.row_id FROM ps_changed c WHERE c.row_type = ${quoteText(table.name)} AND NOT EXISTS (
        SELECT 1 FROM ps_oplog o WHERE o.row_id = c.row_id AND o.row_type = c.row_type AND o.data IS NOT NULL))`
}
