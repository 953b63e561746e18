import { TARGET_UNKNOWN } from '../upload/hold.ts'
import { quoteName, quoteText } from './quote.ts'
import { balanced, sortedNames } from './sql-expression.ts'
import type { ResolvedTable } from './table.ts'

/** Triggers of ours; whatever else hangs on a table is the app's. */
export const CAPTURE_PREFIX = 'ps_capture_'

/**
 * The triggers of one table, in plain SQL, so that every connection of every driver captures alike.
 *
 * Rules learned the hard way: the outer statement's OR clause overrides those inside triggers, so bodies use
 * `WHERE NOT EXISTS` and never `INSERT OR IGNORE`; with recursive triggers off, REPLACE over an existing row fires the
 * insert trigger alone; only concatenation works for any number of columns.
 */
export function captureTriggers(table: ResolvedTable): string[] {
  if (table.insertOnly) return [insertOnlyTrigger(table)]
  const triggers = idTriggers(table)
  if (table.localOnly) return triggers
  triggers.push(insertTrigger(table), updateTrigger(table), deleteTrigger(table))
  if (table.trackMetadata) triggers.push(deletedFlagTrigger(table))
  return triggers
}

const NOT_APPLYING = '(SELECT applying FROM ps_control WHERE id = 1) = 0'

/** The first capture in a transaction takes a number; the writer gives it back at the start of the next one. */
const TAKE_NUMBER = 'UPDATE ps_tx SET current_tx = next_tx, next_tx = next_tx + 1 WHERE id = 1 AND current_tx IS NULL;'

/** From here on, downloaded data is held back until it includes this write. */
const ARM = `UPDATE ps_control SET target_write_checkpoint = ${TARGET_UNKNOWN}, seen_write_checkpoint = NULL
    WHERE id = 1 AND (target_write_checkpoint IS NOT ${TARGET_UNKNOWN} OR seen_write_checkpoint IS NOT NULL);`

function name(kind: string, table: ResolvedTable): string {
  return quoteName(`${CAPTURE_PREFIX}${kind}__${table.internalName}`)
}

function idTriggers(table: ResolvedTable): string[] {
  const on = quoteName(table.internalName)
  return [
    `CREATE TRIGGER ${name('new_id', table)} BEFORE INSERT ON ${on} WHEN typeof(NEW.id) <> 'text' BEGIN
  ${RAISE_BAD_ID}
END`,
    `CREATE TRIGGER ${name('same_id', table)} BEFORE UPDATE OF id ON ${on} WHEN NEW.id IS NOT OLD.id BEGIN
  SELECT RAISE(ABORT, 'Cannot update id');
END`,
  ]
}

const RAISE_BAD_ID = `SELECT CASE WHEN NEW.id IS NULL THEN RAISE(ABORT, 'id is required') ELSE RAISE(ABORT, 'id should be text') END;`

function insertTrigger(table: ResolvedTable): string {
  return `CREATE TRIGGER ${name('insert', table)} AFTER INSERT ON ${quoteName(table.internalName)} WHEN ${NOT_APPLYING} BEGIN
  ${TAKE_NUMBER}
  ${queue(`'{"op":"PUT",' || ${identity(table, 'NEW')} || ',"data":' || ${putData(table)}${metadata(table, 'NEW')} || '}'`)}
  ${markUpdated(table, 'NEW')}
  ${ARM}
  ${forgetMetadata(table)}
END`
}

function updateTrigger(table: ResolvedTable): string {
  const conditions = [NOT_APPLYING]
  // Ours: dropping the metadata again, and a deletion in disguise.
  if (table.trackMetadata) {
    conditions.push('NOT (OLD._metadata IS NOT NULL AND NEW._metadata IS NULL)', 'NEW._deleted IS NOT 1')
  }
  const columns = columnNames(table)
  if (table.ignoreEmptyUpdates) {
    conditions.push(columns.length === 0 ? '0' : balanced(columns.map(differs), 'OR'))
  }
  return `CREATE TRIGGER ${name('update', table)} AFTER UPDATE ON ${quoteName(table.internalName)} WHEN ${conditions.join(' AND ')} BEGIN
  ${TAKE_NUMBER}
  ${queue(`'{"op":"PATCH",' || ${identity(table, 'NEW')} || ',"data":' || ${patchData(table)}${previous(table, 'update')}${metadata(table, 'NEW')} || '}'`)}
  ${markUpdated(table, 'NEW')}
  ${ARM}
  ${forgetMetadata(table)}
END`
}

function deleteTrigger(table: ResolvedTable): string {
  return `CREATE TRIGGER ${name('delete', table)} AFTER DELETE ON ${quoteName(table.internalName)} WHEN ${NOT_APPLYING} BEGIN
  ${TAKE_NUMBER}
  ${queue(`'{"op":"DELETE",' || ${identity(table, 'OLD')}${previous(table, 'delete')}${metadata(table, 'OLD')} || '}'`)}
  ${markUpdated(table, 'OLD')}
  ${ARM}
END`
}

/** `UPDATE … SET _deleted = 1, _metadata = …` is a DELETE that can say why. */
function deletedFlagTrigger(table: ResolvedTable): string {
  const on = quoteName(table.internalName)
  return `CREATE TRIGGER ${name('deleted_flag', table)} AFTER UPDATE OF _deleted ON ${on} WHEN NEW._deleted = 1 AND ${NOT_APPLYING} BEGIN
  DELETE FROM ${on} WHERE id = NEW.id;
END`
}

/** Nothing is stored, so nothing can be overwritten: downloads are not held back for it. */
function insertOnlyTrigger(table: ResolvedTable): string {
  const queued = table.localOnly
    ? ''
    : `${TAKE_NUMBER}
  ${queue(`'{"op":"PUT","type":' || ${jsonText(table.name)} || ',"id":' || json_quote(NEW.id) || ',"data":' || ${putData(table)}${metadata(table, 'NEW')} || '}'`)}`
  return `CREATE TRIGGER ${name('insert', table)} INSTEAD OF INSERT ON ${quoteName(table.internalName)} BEGIN
  SELECT CASE WHEN NEW.id IS NULL THEN RAISE(ABORT, 'id is required') WHEN typeof(NEW.id) <> 'text' THEN RAISE(ABORT, 'id should be text') END;
  ${queued}
END`
}

function queue(payload: string): string {
  return `INSERT INTO ps_crud(tx_id, data) SELECT current_tx, ${payload} FROM ps_tx WHERE id = 1;`
}

function markUpdated(table: ResolvedTable, row: 'NEW' | 'OLD'): string {
  const type = quoteText(table.name)
  return `INSERT INTO ps_updated_rows(row_type, row_id) SELECT ${type}, ${row}.id
    WHERE NOT EXISTS (SELECT 1 FROM ps_updated_rows WHERE row_type = ${type} AND row_id = ${row}.id);`
}

function identity(table: ResolvedTable, row: 'NEW' | 'OLD'): string {
  return `'"id":' || json_quote(${row}.id) || ',"type":' || ${jsonText(table.name)}`
}

function forgetMetadata(table: ResolvedTable): string {
  if (!table.trackMetadata) return ''
  return `UPDATE ${quoteName(table.internalName)} SET _metadata = NULL WHERE id = NEW.id AND _metadata IS NOT NULL;`
}

function metadata(table: ResolvedTable, row: 'NEW' | 'OLD'): string {
  if (!table.trackMetadata) return ''
  return ` || CASE WHEN ${row}._metadata IS NULL THEN '' ELSE ',"metadata":' || json_quote(CAST(${row}._metadata AS TEXT)) END`
}

function putData(table: ResolvedTable): string {
  return jsonObject(
    columnNames(table).map(
      (column) => `CASE WHEN NEW.${quoteName(column)} IS NULL THEN '' ELSE ${member('NEW', column)} END`,
    ),
  )
}

function patchData(table: ResolvedTable): string {
  return jsonObject(
    columnNames(table).map((column) => `CASE WHEN ${differs(column)} THEN ${member('NEW', column)} ELSE '' END`),
  )
}

function previous(table: ResolvedTable, change: 'update' | 'delete'): string {
  const { trackPrevious } = table
  if (trackPrevious === false) return ''
  const options = trackPrevious === true ? {} : trackPrevious
  const columns = sortedNames(options.columns ?? columnNames(table))
  const members = columns.map((column) =>
    options.onlyWhenChanged && change === 'update'
      ? `CASE WHEN ${differs(column)} THEN ${member('OLD', column)} ELSE '' END`
      : member('OLD', column),
  )
  return ` || ',"old":' || ${jsonObject(members)}`
}

function columnNames(table: ResolvedTable): string[] {
  return sortedNames(table.columns.map(({ name }) => name))
}

function differs(column: string): string {
  return `NEW.${quoteName(column)} IS NOT OLD.${quoteName(column)}`
}

/** Each member starts with a comma, the first of which is cut off. */
function jsonObject(members: readonly string[]): string {
  return members.length === 0 ? `'{}'` : `('{' || substr(${balanced(members, '||')}, 2) || '}')`
}

function member(row: 'NEW' | 'OLD', column: string): string {
  return `${quoteText(`,${JSON.stringify(column)}:`)} || json_quote(${row}.${quoteName(column)})`
}

function jsonText(text: string): string {
  return quoteText(JSON.stringify(text))
}
