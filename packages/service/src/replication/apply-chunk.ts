import type { TextRow } from '@headwater/sync-config'
import type { RowState, RowStateChange, RowStates } from '../storage/delta.ts'
import { applyRowChanges, type RowEffects } from './apply-batch.ts'
import { type CheckpointEffects, readCheckpointRows } from './checkpoint-rows.ts'
import { beginNextPass, type CopyBoard, type OpenCopy, type PendingChunk, settlePass } from './copy-board.ts'
import { continuesCopy, isRewritten, restartCopy, stepCopy } from './copy-state.ts'
import type { ReplicatedTable } from './replicated-table.ts'
import { fillRow, keysToRead, type RowChanges } from './row-changes.ts'
import { toRowKey } from './row-key.ts'
import type { Storing } from './storing.ts'
import type { TableRegistry } from './table-registry.ts'

export type ChunkParts = {
  readonly storing: Storing
  readonly registry: TableRegistry
  readonly board: CopyBoard
  readonly nowMs: () => number
  /** Row states that the stream brought in the same delta. */
  readonly after: readonly RowStateChange[]
}

const NO_STATES: RowStates = new Map()
const NO_ROWS = new Map()

/**
 * Applies a chunk where its marker stands in the stream: rows that the stream has changed after the chunk's snapshot
 * are left out, all others are exactly what the source had at this place. Undefined: thrown away, to be read again.
 */
export async function applyChunk(
  parts: ChunkParts,
  chunk: PendingChunk,
): Promise<(RowEffects & CheckpointEffects) | undefined> {
  const { board, registry, storing } = parts
  const { table, outcome, visibility } = chunk
  const copy = board.find(table.oid)
  if (copy === undefined) return undefined
  if (isRewritten(copy.state, outcome)) board.update(copy, restartCopy(copy.state))
  const isUsable =
    registry.find(table.oid) === table && continuesCopy(copy.state, outcome) && copy.touched.mayUse(visibility)
  if (!isUsable) return undefined

  const changes = collectChunk(copy, chunk)
  const isNew = copy.state.isUntouched
  const stored = isNew ? NO_STATES : await storing.readStates(keysToRead(changes))
  const effects = applyRowChanges(changes, isNew ? stored : withChanges(stored, parts.after), NO_ROWS, parts.nowMs())
  const told = table.checkpoints.length === 0 ? [] : Array.from(changes, ([key, change]) => ({ key, change }))
  const checkpoints = readCheckpointRows(told, stored, NO_ROWS, parts.nowMs())
  copy.touched.forget(visibility)
  const next = stepCopy(settlePass(copy), outcome, chunk.parts)
  // Back at the beginning: the pass is over, but not the copy.
  const isNextPass = !next.isDone && next.part === undefined
  board.update(copy, isNextPass ? beginNextPass(copy) : next)
  return { ...effects, ...checkpoints, rowErrors: effects.rowErrors.concat(checkpoints.rowErrors) }
}

function collectChunk(copy: OpenCopy, { table, rows, visibility, hasToast }: PendingChunk): RowChanges {
  const changes: RowChanges = new Map()
  for (const row of rows) {
    const key = toRowKey(table.key, row)
    if (key === undefined) continue
    const partial = copy.incomplete.get(key)
    copy.incomplete.delete(key)
    let after = row
    if (copy.touched.isNewer(key, visibility)) {
      if (partial === undefined) continue
      after = fillRow(partial, row)
    }
    changes.set(key, { table, after, rowBytes: hasToast ? storedBytes(table, after) : 0, fillFrom: key })
  }
  return changes
}

/** At least the bytes of the row's text; unlimited when the chunk did not read every column that may be large. */
function storedBytes(table: ReplicatedTable, row: TextRow): number {
  let bytes = 0
  for (const value of row) {
    if (value === undefined) return Infinity
    if (value !== null) bytes += value.length * UTF8_BYTES_MAX
  }
  return bytes + table.source.columns.length
}

/** Bytes that one UTF-16 unit may take in UTF-8. */
const UTF8_BYTES_MAX = 3

function withChanges(states: RowStates, changes: readonly RowStateChange[]): RowStates {
  if (changes.length === 0) return states
  const merged = new Map<RowStateChange['row'], RowState>(states)
  for (const { row, after } of changes) {
    if (after === undefined) merged.delete(row)
    else merged.set(row, after)
  }
  return merged
}
