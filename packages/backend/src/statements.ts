import type { JsonObject, JsonValue } from '@headwater/protocol'

import type { WritableTable } from './catalog.ts'

export type Statement = { readonly text: string; readonly values: readonly (string | null)[] }

/** The row with this id, locked until the transaction ends, so that a rule judges what is then written. */
export function selectForUpdate(table: WritableTable, id: string): Statement {
  const list = [...table.columns.keys()].map(quoteName).join(', ')
  return { text: `SELECT ${list} FROM ${table.qualifiedName} WHERE ${idEquals(table, 1)} FOR UPDATE`, values: [id] }
}

export function insertRow(table: WritableTable, id: string, data: JsonObject): Statement {
  const { names, expressions, values } = bindColumns(table, id, data)
  const text = `INSERT INTO ${table.qualifiedName} (${names.join(', ')}) VALUES (${expressions.join(', ')})`
  return { text, values }
}

/** Inserts the row, or sets these columns of the one that is there. */
export function upsertRow(table: WritableTable, id: string, data: JsonObject): Statement {
  const { text, values } = insertRow(table, id, data)
  const sets = Object.keys(data).map((name) => `${quoteName(name)} = EXCLUDED.${quoteName(name)}`)
  const action = sets.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${sets.join(', ')}`
  return { text: `${text} ON CONFLICT (${quoteName(table.idColumn)}) ${action}`, values }
}

/** Undefined when there is nothing to set. */
export function updateRow(table: WritableTable, id: string, data: JsonObject): Statement | undefined {
  const { names, expressions, values } = bindColumns(table, id, data)
  const sets = names.map((name, index) => `${name} = ${expressions[index]}`).slice(1)
  if (sets.length === 0) return undefined
  return { text: `UPDATE ${table.qualifiedName} SET ${sets.join(', ')} WHERE ${idEquals(table, 1)}`, values }
}

export function deleteRow(table: WritableTable, id: string): Statement {
  return { text: `DELETE FROM ${table.qualifiedName} WHERE ${idEquals(table, 1)}`, values: [id] }
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The id comes first. Every value goes to Postgres as text, which its own input functions read. */
function bindColumns(table: WritableTable, id: string, data: JsonObject) {
  const entries: readonly (readonly [string, JsonValue])[] = [[table.idColumn, id], ...Object.entries(data)]
  return {
    names: entries.map(([name]) => quoteName(name)),
    expressions: entries.map(([name, value], index) => parameter(table, name, index + 1, value)),
    values: entries.map(([, value]) => toText(value)),
  }
}

/** On a device an array is a text with a JSON list; Postgres writes arrays in another way. */
function parameter(table: WritableTable, name: string, position: number, value: JsonValue): string {
  const column = table.columns.get(name)
  if (column === undefined) throw new Error(`Cannot bind column "${name}": it is not in ${table.qualifiedName}`)
  const isJsonList = column.isArray && toText(value)?.trimStart().startsWith('[') === true
  if (!isJsonList) return `$${position}::${column.type}`
  return `ARRAY(SELECT jsonb_array_elements_text($${position}::jsonb))::${column.type}`
}

function idEquals(table: WritableTable, position: number): string {
  return `${quoteName(table.idColumn)} = ${parameter(table, table.idColumn, position, '')}`
}

function toText(value: JsonValue): string | null {
  if (value === null || typeof value === 'string') return value
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
