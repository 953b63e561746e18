import type { TextRow } from '@headwater/sync-config'
import type { RowMessage } from '../postgres/pgoutput.ts'
import type { RowKey } from '../storage/delta.ts'
import type { ReplicatedTable } from './replicated-table.ts'
import { toRowKey } from './row-key.ts'

/** Where one source row stands after a batch. In between only the last state counts: a batch is shown whole. */
export type RowChange = {
  readonly table: ReplicatedTable
  /** Undefined when the row is gone. Values may be missing where the stream left them out. */
  readonly after: TextRow | undefined
  /** Bytes of text of the whole row, at least; decides whether values may be stored out of line. */
  readonly rowBytes: number
  /** The row whose stored values fill in what is missing: itself, or what it was called before its key changed. */
  readonly fillFrom: RowKey
}

/** In the order of the last change of each row. */
export type RowChanges = Map<RowKey, RowChange>

/** Rows whose identity the stream left out, which no current Postgres does. By table oid. */
export type Unidentified = Set<number>

/** Adds one message of the log to what is known of the rows it concerns. */
export function addMessage(
  changes: RowChanges,
  unidentified: Unidentified,
  table: ReplicatedTable,
  message: RowMessage,
): readonly RowKey[] {
  switch (message.kind) {
    case 'insert': {
      const key = toRowKey(table.key, message.row)
      if (key === undefined) return refuse(unidentified, table)
      put(changes, key, { table, after: message.row, rowBytes: message.rowBytes, fillFrom: key })
      return [key]
    }
    case 'delete': {
      const key = toRowKey(table.key, message.old)
      if (key === undefined) return refuse(unidentified, table)
      put(changes, key, { table, after: undefined, rowBytes: 0, fillFrom: key })
      return [key]
    }
    case 'update':
      return addUpdate(changes, unidentified, table, message)
  }
}

function addUpdate(
  changes: RowChanges,
  unidentified: Unidentified,
  table: ReplicatedTable,
  message: Extract<RowMessage, { kind: 'update' }>,
): readonly RowKey[] {
  const row = message.oldKind === 'full' && message.old !== undefined ? fillRow(message.row, message.old) : message.row
  const key = toRowKey(table.key, row)
  const oldKey = message.old === undefined ? key : toRowKey(table.key, message.old)
  if (key === undefined || oldKey === undefined) return refuse(unidentified, table)

  const before = changes.get(oldKey)
  const after = before?.after === undefined ? row : fillRow(row, before.after)
  const fillFrom = before === undefined ? oldKey : before.fillFrom
  // What was filled in from the older row counts as that row did: it may still be out of line.
  const rowBytes = Math.max(message.rowBytes, before?.rowBytes ?? 0)
  if (key === oldKey) {
    put(changes, key, { table, after, rowBytes, fillFrom })
    return [key]
  }
  put(changes, oldKey, { table, after: undefined, rowBytes: 0, fillFrom: oldKey })
  put(changes, key, { table, after, rowBytes, fillFrom })
  return [oldKey, key]
}

/** Takes from `older` what `row` does not carry. */
export function fillRow(row: TextRow, older: TextRow): TextRow {
  if (!row.includes(undefined)) return row
  return row.map((value, position) => (value === undefined ? older[position] : value))
}

/** Puts the change last. */
function put(changes: RowChanges, key: RowKey, change: RowChange): void {
  changes.delete(key)
  changes.set(key, change)
}

function refuse(unidentified: Unidentified, table: ReplicatedTable): readonly RowKey[] {
  unidentified.add(table.oid)
  return []
}

/** Every key whose state must be read before `applyRowChanges`. */
export function keysToRead(changes: RowChanges): readonly RowKey[] {
  const keys = [...changes.keys()]
  for (const [key, { fillFrom }] of changes) {
    if (fillFrom !== key && !changes.has(fillFrom)) keys.push(fillFrom)
  }
  return keys
}
