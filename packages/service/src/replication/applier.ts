import type { Lsn } from '../postgres/lsn.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Marker } from '../postgres/marker.ts'
import type { Delta, RowKey, WriteCheckpoint } from '../storage/delta.ts'
import type { ReplicationStorage } from '../storage/storage.ts'
import { applyRowChanges, type RowEffects, removeRows } from './apply-batch.ts'
import { applyChunk } from './apply-chunk.ts'
import type { ChangeBatch } from './batches.ts'
import { mayShow } from './checkpoint-rule.ts'
import { type CopyBoard, noteIncomplete, touchRow } from './copy-board.ts'
import { readCheckpointRows, type ToldRow } from './checkpoint-rows.ts'
import type { ReplicationCounts } from './counts.ts'
import type { Step } from './read-steps.ts'
import { addMessage, keysToRead, type RowChanges } from './row-changes.ts'
import { rowKeyPrefix } from './row-key.ts'
import { emptyDelta, type Storing } from './storing.ts'
import type { TableRegistry } from './table-registry.ts'

export type ApplierParts = {
  readonly storage: ReplicationStorage
  readonly storing: Storing
  readonly registry: TableRegistry
  readonly board: CopyBoard
  readonly counts: ReplicationCounts
  readonly metrics: Metrics
  readonly nowMs: () => number
}

/** Applies steps of the stream in order. */
export type Applier = {
  readonly apply: (step: ApplyStep) => Promise<void>
}

/** Relations are learnt elsewhere: that takes a question to the source. */
export type ApplyStep = Exclude<Step, { kind: 'relation' }>

/** Read, decide, store: each step of the stream becomes one delta, or is passed over. */
export function createApplier(parts: ApplierParts, acknowledge: (durable: Lsn) => void): Applier {
  const { storage, storing, registry, board, counts, metrics } = parts
  /** Slices of a transaction were stored whose end has not come. */
  let hasSlices = false
  let notBefore = 0n as Lsn
  let lastShown = 0n as Lsn

  const store = async (delta: Delta): Promise<void> => {
    hasSlices = delta.resume === undefined
    counts.operations += delta.operations.length
    metrics.add('headwater_replication_operations_total', delta.operations.length)
    metrics.add('headwater_replication_row_errors_total', delta.rowErrors.length)
    await storing.store(delta)
  }

  /** Positions move on without a commit of their own. */
  const skipTo = async (resume: Lsn): Promise<void> => {
    await storing.drain()
    acknowledge(await storage.skipTo(resume))
  }

  /** In slices: a table may have more rows than memory. */
  const removeTable = async (relationOid: number): Promise<void> => {
    await storing.drain()
    for await (const states of storage.readRowStatesOf(rowKeyPrefix(relationOid))) {
      await store({ ...emptyDelta(undefined), ...toDelta(removeRows(states)) })
      await storing.drain()
    }
  }

  const applyBatch = async (batch: ChangeBatch): Promise<void> => {
    const { changes, told } = collectChanges(parts, batch)
    const before = await storing.readStates(keysToRead(changes))
    const incomplete = board.listIncomplete()
    const checkpoints = readCheckpointRows(told, before, incomplete, parts.nowMs())
    const effects = applyRowChanges(changes, before, incomplete, parts.nowMs())
    noteOutcome(board, changes, effects)
    counts.rows += batch.messages.length
    counts.transactions += batch.transactions.length
    metrics.add('headwater_replication_rows_total', batch.messages.length)
    metrics.add('headwater_replication_transactions_total', batch.transactions.length)

    let delta = joinEffects({ ...emptyDelta(batch.resume), ...toDelta(effects) }, checkpoints)
    for (const marker of batch.markers) delta = await applyMarker(delta, marker)
    if (batch.resume === undefined) {
      await store({ ...delta, copies: board.takeChanged() })
      return
    }
    await finish(delta, batch.resume, batch.markers)
  }

  const applyMarker = async (delta: Delta, marker: Marker): Promise<Delta> => {
    switch (marker.kind) {
      case 'canary':
        return delta
      case 'write-checkpoints':
        return { ...delta, writeCheckpoints: [...delta.writeCheckpoints, ...marker.entries.map(toWriteCheckpoint)] }
      case 'chunk': {
        const chunk = board.takeChunk(marker.chunk)
        if (chunk === undefined) return delta
        const brought = await applyChunk({ ...parts, after: delta.rowStates }, chunk)
        chunk.resolve(brought === undefined ? 'discarded' : 'applied')
        if (brought === undefined) return delta
        counts.rowsCopied += chunk.rows.length
        metrics.add('headwater_snapshot_rows_total', chunk.rows.length)
        return joinEffects(delta, brought)
      }
      case 'remove-table': {
        if (!hasEffects(delta)) await removeTable(marker.relationOid)
        else {
          await store({ ...delta, resume: undefined })
          await removeTable(marker.relationOid)
        }
        const copy = board.find(marker.relationOid)
        copy?.incomplete.clear()
        copy?.touched.requireAll()
        if (copy !== undefined) {
          const isGone = copy.state.mode === 'removed'
          board.update(copy, { ...copy.state, waitsForRemoval: false, isDone: isGone || copy.state.isDone })
        }
        return emptyDelta(delta.resume)
      }
    }
  }

  const finish = async (delta: Delta, resume: Lsn, markers: readonly Marker[]): Promise<void> => {
    const wasHeld = counts.copiesHolding > 0
    counts.copiesHolding = board.countHolding()
    if (wasHeld && counts.copiesHolding === 0) notBefore = resume
    const copies = board.takeChanged()
    const show = mayShow({ openCopies: counts.copiesHolding, notBefore, lastShown }, resume)
    const mustStore =
      hasSlices || hasEffects(delta) || copies.length > 0 || markers.some(({ kind }) => kind === 'canary')
    if (!mustStore) {
      await skipTo(resume)
      return
    }
    if (show) lastShown = resume
    await store({ ...delta, copies, show, soleSources: registry.soleSources() })
  }

  const truncate = async (relationOids: readonly number[], xid: number): Promise<void> => {
    for (const oid of relationOids) {
      if (registry.find(oid) === undefined) continue
      const copy = board.find(oid)
      if (copy !== undefined && !copy.state.isDone) {
        copy.touched.touchAll(xid)
        copy.incomplete.clear()
      }
      await removeTable(oid)
    }
  }

  return {
    apply: async (step) => {
      switch (step.kind) {
        case 'batch':
          return applyBatch(step.batch)
        case 'truncate':
          return truncate(step.relationOids, step.xid)
        case 'idle':
          return hasSlices ? undefined : skipTo(step.sentUpTo)
      }
    },
  }
}

/**
 * Where each row of the batch ends up, and the states of those that tell of write checkpoints; rows of tables that are
 * being copied are noted as touched.
 */
function collectChanges(
  { registry, board, counts }: ApplierParts,
  batch: ChangeBatch,
): { readonly changes: RowChanges; readonly told: readonly ToldRow[] } {
  const changes: RowChanges = new Map()
  const told: ToldRow[] = []
  const unidentified = new Set<number>()
  for (const [index, { xid, firstMessage }] of batch.transactions.entries()) {
    const end = batch.transactions[index + 1]?.firstMessage ?? batch.messages.length
    for (let at = firstMessage; at < end; at += 1) {
      const message = batch.messages[at]
      const table = message === undefined ? undefined : registry.find(message.relationOid)
      if (message === undefined || table === undefined) continue
      const keys = addMessage(changes, unidentified, table, message)
      if (table.checkpoints.length > 0) told.push(...toldBy(changes, keys.at(-1)))
      const copy = board.find(table.oid)
      if (copy === undefined || copy.state.isDone) continue
      for (const key of keys) touchRow(board, copy, key, xid)
    }
  }
  // No current Postgres leaves out a key; should one, the table is copied again.
  for (const oid of unidentified) {
    const copy = board.find(oid)
    counts.rowsUnidentified += 1
    if (copy !== undefined) board.startRefresh(copy.state, true)
  }
  return { changes, told }
}

/** The row as the last message left it; nothing when that deleted it. */
function toldBy(changes: RowChanges, key: RowKey | undefined): readonly ToldRow[] {
  const change = key === undefined ? undefined : changes.get(key)
  return key === undefined || change?.after === undefined ? [] : [{ key, change }]
}

function noteOutcome(board: CopyBoard, changes: RowChanges, effects: RowEffects): void {
  if (board.listIncomplete().size > 0) {
    for (const [key, { table }] of changes) board.find(table.oid)?.incomplete.delete(key)
  }
  for (const { key, table, row } of effects.incomplete) noteIncomplete(board, table, key, row)
}

type EffectsOfDelta = Pick<Delta, 'operations' | 'lookups' | 'rowStates' | 'rowErrors'>
type MoreEffects = Partial<EffectsOfDelta & Pick<Delta, 'customWriteCheckpoints'>>

function toDelta({ operations, lookups, rowStates, rowErrors }: RowEffects): EffectsOfDelta {
  return { operations, lookups, rowStates, rowErrors }
}

const NONE: readonly never[] = []

function joinEffects(delta: Delta, effects: MoreEffects): Delta {
  return {
    ...delta,
    operations: delta.operations.concat(effects.operations ?? NONE),
    lookups: delta.lookups.concat(effects.lookups ?? NONE),
    rowStates: delta.rowStates.concat(effects.rowStates ?? NONE),
    rowErrors: delta.rowErrors.concat(effects.rowErrors ?? NONE),
    customWriteCheckpoints: delta.customWriteCheckpoints.concat(effects.customWriteCheckpoints ?? NONE),
  }
}

function hasEffects(delta: Delta): boolean {
  return (
    delta.operations.length > 0 ||
    delta.lookups.length > 0 ||
    delta.rowStates.length > 0 ||
    delta.rowErrors.length > 0 ||
    delta.writeCheckpoints.length > 0 ||
    delta.customWriteCheckpoints.length > 0
  )
}

function toWriteCheckpoint([key, number]: readonly [string, string]): WriteCheckpoint {
  return { key, number: BigInt(number) }
}
