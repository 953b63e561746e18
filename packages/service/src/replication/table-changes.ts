import { HeadwaterError } from '@headwater/protocol'
import type { Plan } from '@headwater/sync-config'
import type { Log } from '../observe/log.ts'
import { arrangePublication, readSourceFacts } from '../postgres/check-source.ts'
import type { Session } from '../postgres/connection.ts'
import { emitMarker } from '../postgres/marker.ts'
import type { Relation } from '../postgres/pgoutput.ts'
import type { SlotState } from '../postgres/slot.ts'
import type { Clock } from '../clock.ts'
import { type CopyBoard, toNewCopy } from './copy-board.ts'
import type { NewCopy } from './copy-state.ts'
import { logArranged } from './prepare.ts'
import type { TableRegistry } from './table-registry.ts'

export type TableChangesParts = {
  readonly control: Session
  readonly registry: TableRegistry
  readonly board: CopyBoard
  readonly plan: Plan
  readonly publication: string
  readonly slot: string
  readonly pollMs: number
  readonly noteSlot: (state: SlotState | undefined) => void
  readonly clock: Clock
  readonly log: Log
}

/**
 * Looks at the catalog again and again: tables that were made since are copied, rows of tables that are gone are
 * removed. The stream says nothing of either. Ends when `signal` aborts.
 */
export async function watchCatalog(parts: TableChangesParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    await parts.clock.wait(parts.pollMs, signal)
    if (signal.aborted) return
    const published = await publishNewTables(parts)
    await discoverTables(parts)
    for (const oid of published) await copyAgain(parts, oid)
  }
}

/** Oids of tables that were put into the publication. */
async function publishNewTables(parts: TableChangesParts): Promise<readonly number[]> {
  const { control, publication, slot, plan, log } = parts
  const facts = await readSourceFacts(control, { publication, slot, tables: plan.tables })
  parts.noteSlot(facts.slot)
  if (facts.publication === undefined) {
    // Some versions stream on in silence, without the changes. The next session makes it again and starts anew.
    throw new HeadwaterError('source-not-ready', `Cannot go on: the publication "${publication}" was dropped.`)
  }
  const arranged = await arrangePublication(control, facts)
  logArranged(log, publication, arranged)
  return arranged.added.map(({ oid }) => oid)
}

/** Compares the catalog with what is known, and starts what has to be done. */
export async function discoverTables(parts: TableChangesParts): Promise<void> {
  const { control, registry, board, log } = parts
  const { added, gone } = await registry.discover(control)
  for (const { table, rowsEstimated } of added) {
    const state = board.find(table.oid)?.state
    const shape = { ...toNewCopy(table), rowsEstimated }
    if (state === undefined) board.startFirst(shape, false)
    else if (state.identityText !== table.identityText || state.mode === 'removed') await startAnew(parts, shape)
    else {
      if (state.columnsText !== table.columnsText) board.startRefresh(shape, false)
      // The marker of an earlier run may never have been written.
      if (state.waitsForRemoval) await emitRemoval(parts, table.oid)
    }
  }
  // Also those of an earlier run that the catalog does not have any more.
  const known = new Set(registry.list().map(({ oid }) => oid))
  const left = board.list().filter(({ state }) => !known.has(state.relationOid) || gone.includes(state.relationOid))
  for (const { state } of left) {
    if (state.mode === 'removed' && state.isDone) continue
    registry.forget(state.relationOid)
    log.warn('table-gone', { table: state.label })
    await removeTable(parts, state.relationOid)
  }
}

/** The table was not in the publication for a while, so the stream left out what changed. */
export async function copyAgain(parts: TableChangesParts, relationOid: number): Promise<void> {
  const { registry, board } = parts
  const table = registry.find(relationOid)
  const state = board.find(relationOid)?.state
  const isNew = state?.isDone === false && state.mode === 'first' && state.nextPage === 0
  if (table === undefined || state === undefined || isNew) return
  await startAnew(parts, { ...toNewCopy(table), rowsEstimated: state.rowsEstimated })
}

/** The stream says that a table has another shape from here on. */
export async function learnRelation(parts: TableChangesParts, relation: Relation): Promise<void> {
  const { control, registry, board, log } = parts
  const learnt = await registry.learn(control, relation)
  if (learnt.kind === 'same') return
  log.info('table-changed', { table: `${relation.schema}.${relation.name}`, change: learnt.kind })
  if (learnt.kind === 'removed') return removeTable(parts, relation.oid)
  const shape = { ...toNewCopy(learnt.table), rowsEstimated: learnt.rowsEstimated }
  switch (learnt.kind) {
    case 'added':
      return board.startFirst(shape, false)
    case 'rekeyed':
      return startAnew(parts, shape)
    case 'reshaped':
      return board.reshape(shape, learnt.isStale)
  }
}

/** What is stored of the table is removed where the marker comes by, and copied after that. */
async function startAnew(parts: TableChangesParts, shape: NewCopy): Promise<void> {
  parts.board.startFirst(shape, true)
  await emitRemoval(parts, shape.relationOid)
}

async function removeTable(parts: TableChangesParts, relationOid: number): Promise<void> {
  const copy = parts.board.find(relationOid)
  if (copy === undefined) return
  parts.board.update(copy, { ...copy.state, mode: 'removed', isDone: false, waitsForRemoval: true })
  await emitRemoval(parts, relationOid)
}

async function emitRemoval({ control, slot }: TableChangesParts, relationOid: number): Promise<void> {
  await emitMarker(control, { kind: 'remove-table', slot, relationOid })
}
