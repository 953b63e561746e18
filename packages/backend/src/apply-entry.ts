import type { PoolClient } from 'pg'

import type { WritableTable } from './catalog.ts'
import { isUniqueViolation } from './database-fault.ts'
import type { Statement } from './statements.ts'
import { deleteRow, insertRow, selectForUpdate, updateRow, upsertRow } from './statements.ts'
import type { UploadEntry } from './upload-request.ts'
import type { MayWrite, Rejection, Row, Uploader } from './write-rules.ts'
import { findFormalFault } from './write-rules.ts'

export type EntryParts = {
  readonly client: PoolClient
  readonly tables: ReadonlyMap<string, WritableTable>
  readonly uploader: Uploader
}

/**
 * Writes one entry inside the open transaction. Returns the reason when a rule refuses it; throws what Postgres says.
 * A PATCH or DELETE of a row that is gone does nothing: whoever deleted it came first.
 */
export async function applyEntry(parts: EntryParts, entry: UploadEntry): Promise<Rejection | undefined> {
  const table = parts.tables.get(entry.type)
  const fault = findFormalFault(entry, table?.rule, table?.writable ?? new Set())
  if (fault !== undefined || table === undefined) return fault
  const { mayWrite } = table.rule
  if (mayWrite === 'everyone') {
    await run(parts.client, unguardedWrite(table, entry))
    return undefined
  }
  return applyGuarded(parts, table, mayWrite, entry)
}

/** Somebody may insert the same id between our look and our insert; then we look again, and the rule sees their row. */
const LOOKS_MAX = 3

async function applyGuarded(
  parts: EntryParts,
  table: WritableTable,
  mayWrite: MayWrite,
  entry: UploadEntry,
): Promise<Rejection | undefined> {
  const { client } = parts
  for (let looks = 1; ; looks += 1) {
    const [existingRow] = await run(client, selectForUpdate(table, entry.id))
    if (existingRow === undefined && entry.op !== 'PUT') return undefined
    const refusal = await judge(parts, mayWrite, entry, existingRow)
    if (refusal !== undefined) return refusal
    if (existingRow !== undefined) {
      await run(client, entry.op === 'DELETE' ? deleteRow(table, entry.id) : updateRow(table, entry.id, entry.data))
      return undefined
    }
    if (await insertUnlessTaken(client, table, entry, looks)) return undefined
  }
}

/** False when another transaction took the id meanwhile. */
async function insertUnlessTaken(
  client: PoolClient,
  table: WritableTable,
  entry: UploadEntry,
  looks: number,
): Promise<boolean> {
  await client.query('SAVEPOINT headwater_insert')
  try {
    await run(client, insertRow(table, entry.id, entry.data))
    await client.query('RELEASE SAVEPOINT headwater_insert')
    return true
  } catch (error) {
    if (!isUniqueViolation(error) || looks === LOOKS_MAX) throw error
    await client.query('ROLLBACK TO SAVEPOINT headwater_insert')
    return false
  }
}

async function judge(
  { client, uploader }: EntryParts,
  mayWrite: MayWrite,
  entry: UploadEntry,
  existingRow: Row | undefined,
): Promise<Rejection | undefined> {
  const { op, id, data } = entry
  const query = async (text: string, parameters: readonly unknown[] = []) => {
    const { rows } = await client.query<Row>(text, [...parameters])
    return rows
  }
  const verdict = await mayWrite({ ...uploader, op, id, data, existingRow, query })
  if (verdict === true) return undefined
  return { opId: entry.opId, code: 'refused-by-rule', message: verdict }
}

function unguardedWrite(table: WritableTable, entry: UploadEntry): Statement | undefined {
  switch (entry.op) {
    case 'PUT':
      return upsertRow(table, entry.id, entry.data)
    case 'PATCH':
      return updateRow(table, entry.id, entry.data)
    case 'DELETE':
      return deleteRow(table, entry.id)
  }
}

async function run(client: PoolClient, statement: Statement | undefined): Promise<readonly Row[]> {
  if (statement === undefined) return []
  const { rows } = await client.query<Row>(statement.text, [...statement.values])
  return rows
}
