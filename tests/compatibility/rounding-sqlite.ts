/**
 * Loaded into the database workers of older releases. They were made for better-sqlite3, which reads integers above
 * 2^53 as the nearest number, while `node:sqlite` throws; they read such an integer when they upload.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'

// oxlint-disable-next-line typescript/unbound-method -- it is called with the database it was called on
const prepare = DatabaseSync.prototype.prepare

DatabaseSync.prototype.prepare = function prepareRounding(this: DatabaseSync, sql: string): StatementSync {
  const statement = prepare.call(this, sql)
  statement.setReadBigInts(true)
  const all = statement.all.bind(statement) as (...parameters: readonly unknown[]) => object[]
  const get = statement.get.bind(statement) as (...parameters: readonly unknown[]) => object | undefined
  return Object.assign(statement, {
    all: (...parameters: readonly unknown[]) => all(...parameters).map(roundRow),
    get: (...parameters: readonly unknown[]) => roundRow(get(...parameters)),
  })
}

/** A row is an object, or an array where the statement was told so; undefined when there is none. */
function roundRow<Row extends object | undefined>(row: Row): Row {
  if (row === undefined) return row
  if (Array.isArray(row)) return row.map(round) as unknown as Row
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, round(value)])) as Row
}

function round(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}
