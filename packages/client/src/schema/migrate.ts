import type { SqliteConnection } from '../sqlite/driver.ts'
import { SCHEMA_TABLE } from '../sqlite/session.ts'
import type { WriteSession } from '../sqlite/session.ts'
import { CAPTURE_PREFIX, captureTriggers } from './capture.ts'
import { createIndex, createInsertOnlyView, createTable, INDEX_PREFIX, indexName, valueFromJson } from './ddl.ts'
import { planMigration } from './plan-migration.ts'
import type { StoredTable, TableChange } from './plan-migration.ts'
import { quoteName, quoteText } from './quote.ts'
import type { Schema } from './schema.ts'
import type { ResolvedTable } from './table.ts'

/** Goes up when triggers or tables are generated in another way, so that existing files get the new ones. */
const GENERATION = 1

/** Makes the tables, indexes and triggers of the file those of `schema`. Writes nothing when they are already. */
export async function applySchema(session: WriteSession, schema: Schema): Promise<void> {
  const { connection } = session
  const wanted = JSON.stringify({ generation: GENERATION, ...schema.toJSON() })
  const stored = (await connection.run('SELECT schema_text FROM ps_control WHERE id = 1')).rows[0]?.[0]
  if (stored === wanted) return
  const before = typeof stored === 'string' ? readTables(stored) : []
  await session.transaction(async () => {
    await connection.exec('UPDATE ps_control SET applying = 1 WHERE id = 1')
    await dropNamed(connection, 'trigger', CAPTURE_PREFIX)
    for (const change of planMigration(before, schema)) {
      await applyChange(connection, change)
      session.note([change.kind === 'drop' ? change.table.view_name : change.table.internalName])
    }
    session.note([SCHEMA_TABLE])
    await applyIndexes(connection, schema)
    await connection.exec(schema.tables.flatMap(captureTriggers).join(';\n'))
    await connection.run('UPDATE ps_control SET applying = 0, schema_text = ? WHERE id = 1', [wanted])
  })
}

function readTables(stored: string): readonly StoredTable[] {
  const { tables }: { tables: readonly StoredTable[] } = JSON.parse(stored)
  return tables
}

async function applyChange(connection: SqliteConnection, change: TableChange): Promise<void> {
  switch (change.kind) {
    case 'create':
      return create(connection, change.table)
    case 'drop':
      return drop(connection, change.table)
    case 'add-columns':
      return connection.exec(
        [
          ...change.columns.map(
            ({ name, type }) =>
              `ALTER TABLE ${quoteName(change.table.internalName)} ADD COLUMN ${quoteName(name)} ${type}`,
          ),
          backfill(change.table, change.columns),
        ].join(';\n'),
      )
    case 'rebuild':
      return rebuild(connection, change.table, change.before)
  }
}

async function create(connection: SqliteConnection, table: ResolvedTable): Promise<void> {
  if (table.insertOnly) return connection.exec(createInsertOnlyView(table))
  const target = quoteName(table.internalName)
  const type = quoteText(table.name)
  const statements = [createTable(table)]
  if (!table.localOnly) {
    const columns = table.columns.map(({ name }) => `, ${quoteName(name)}`).join('')
    const values = (json: string) => table.columns.map((column) => `, ${valueFromJson(json, column)}`).join('')
    statements.push(
      `INSERT INTO ${target}(id${columns}) SELECT row_id${values('data')} FROM (${newestShown(table)})`,
      `INSERT OR REPLACE INTO ${target}(id${columns})
         SELECT id${values('data')} FROM ps_untyped WHERE type = ${type} AND data IS NOT NULL`,
      `DELETE FROM ${target} WHERE id IN (SELECT id FROM ps_untyped WHERE type = ${type} AND data IS NULL)`,
      `DELETE FROM ps_untyped WHERE type = ${type}`,
    )
  }
  await connection.exec(statements.join(';\n'))
}

/** Rows that only the device has, edited or deleted here, are put aside: the op log cannot bring them back. */
async function drop(connection: SqliteConnection, table: StoredTable): Promise<void> {
  const target = quoteName(table.view_name)
  if (table.insert_only) return connection.exec(`DROP VIEW IF EXISTS ${target}`)
  const statements: string[] = []
  if (!table.local_only) {
    const type = quoteText(table.name)
    const members = table.columns.map(({ name }) => `${quoteText(name)}, t.${quoteName(name)}`)
    statements.push(
      `INSERT OR REPLACE INTO ps_untyped(type, id, data)
         SELECT u.row_type, u.row_id, CASE WHEN t.id IS NULL THEN NULL ELSE ${jsonObject(members)} END
         FROM ps_updated_rows u LEFT JOIN ${target} t ON t.id = u.row_id WHERE u.row_type = ${type}`,
    )
  }
  statements.push(`DROP TABLE IF EXISTS ${target}`)
  await connection.exec(statements.join(';\n'))
}

/** Builds the table anew beside the old one; triggers, indexes and views of the app are made again. */
async function rebuild(connection: SqliteConnection, table: ResolvedTable, before: StoredTable): Promise<void> {
  const name = table.internalName
  const { rows } = await connection.run(
    `SELECT sql FROM sqlite_schema
     WHERE tbl_name = ? AND type IN ('trigger', 'index') AND sql IS NOT NULL AND substr(name, 1, 4) <> '${INDEX_PREFIX}'`,
    [name],
  )
  const kept = table.columns.filter((column) => before.columns.some((old) => old.name === column.name))
  const names = kept.map((column) => `, ${quoteName(column.name)}`).join('')
  const values = kept.map((column) => `, ${castOld(column, before)}`).join('')
  const changed = table.columns.filter((column) => before.columns.every((old) => !sameColumn(old, column)))
  const scratch = `ps_rebuild__${name}`
  await connection.exec(
    [
      createTable(table, scratch),
      `INSERT INTO ${quoteName(scratch)}(id${names}) SELECT id${values} FROM ${quoteName(name)} ORDER BY rowid`,
      'PRAGMA legacy_alter_table = ON',
      `DROP TABLE ${quoteName(name)}`,
      `ALTER TABLE ${quoteName(scratch)} RENAME TO ${quoteName(name)}`,
      'PRAGMA legacy_alter_table = OFF',
      ...(changed.length === 0 ? [] : [backfill(table, changed)]),
      ...rows.map(([sql]) => String(sql)),
    ].join(';\n'),
  )
}

type StoredColumn = StoredTable['columns'][number]

function sameColumn(a: StoredColumn, b: StoredColumn): boolean {
  return a.name === b.name && a.type === b.type
}

function castOld(column: StoredColumn, before: StoredTable): string {
  const name = quoteName(column.name)
  return before.columns.some((old) => sameColumn(old, column)) ? name : `CAST(${name} AS ${column.type})`
}

/** Values that were downloaded before the column was declared. Rows edited here keep what they have. */
function backfill(table: ResolvedTable, columns: ResolvedTable['columns']): string {
  if (table.localOnly) return ''
  const target = quoteName(table.internalName)
  const assignments = columns.map((column) => `${quoteName(column.name)} = ${valueFromJson('newest.data', column)}`)
  return `UPDATE ${target} SET ${assignments.join(', ')} FROM (${newestShown(table)}) AS newest
    WHERE ${target}.id = newest.row_id AND NOT EXISTS
      (SELECT 1 FROM ps_updated_rows u WHERE u.row_type = ${quoteText(table.name)} AND u.row_id = newest.row_id)`
}

/** Of each row, the newest operation that has been shown. */
function newestShown(table: ResolvedTable): string {
  return `SELECT o.row_id AS row_id, o.data AS data, max(o.op_id) AS op_id
    FROM ps_oplog o JOIN ps_buckets b ON b.id = o.bucket AND o.op_id <= b.last_applied_op
    WHERE o.row_type = ${quoteText(table.name)} AND o.data IS NOT NULL GROUP BY o.row_id`
}

/** Members in pairs; in parts, since a function takes at most 127 arguments in some builds. */
function jsonObject(members: readonly string[]): string {
  const parts: string[] = []
  for (let index = 0; index < members.length; index += 50) {
    parts.push(`json_object(${members.slice(index, index + 50).join(', ')})`)
  }
  return parts.length === 0 ? `'{}'` : parts.reduce((merged, part) => `json_patch(${merged}, ${part})`)
}

async function applyIndexes(connection: SqliteConnection, schema: Schema): Promise<void> {
  const wanted = new Map(
    schema.tables
      .filter((table) => !table.insertOnly)
      .flatMap((table) => table.indexes.map((index) => [indexName(table, index), createIndex(table, index)])),
  )
  const { rows } = await connection.run(
    `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND substr(name, 1, 4) = '${INDEX_PREFIX}'`,
  )
  const statements: string[] = []
  for (const [name, sql] of rows) {
    if (wanted.get(String(name)) === sql) wanted.delete(String(name))
    else statements.push(`DROP INDEX ${quoteName(String(name))}`)
  }
  await connection.exec([...statements, ...wanted.values()].join(';\n'))
}

async function dropNamed(connection: SqliteConnection, type: 'trigger', prefix: string): Promise<void> {
  const { rows } = await connection.run('SELECT name FROM sqlite_schema WHERE type = ? AND substr(name, 1, ?) = ?', [
    type,
    prefix.length,
    prefix,
  ])
  await connection.exec(rows.map(([name]) => `DROP TRIGGER ${quoteName(String(name))}`).join(';\n'))
}
