import { hostname } from 'node:os'
import { HeadwaterError } from '@headwater/protocol'
import type { LoadedPlan, Plan } from '@headwater/sync-config'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { arrangePublication, readSourceFacts } from '../postgres/check-source.ts'
import { openSession, type Session } from '../postgres/connection.ts'
import { emitMarker } from '../postgres/marker.ts'
import { findSlotReader, terminateReader } from '../postgres/slot.ts'
import { findSqlState } from '../postgres/source-error.ts'
import type { SourceUrl } from '../postgres/source-url.ts'
import { openWalStream, type WalStream } from '../postgres/wal-stream.ts'
import type { ReplicationStorage } from '../storage/storage.ts'
import type { Clock } from './clock.ts'
import { type Applier, createApplier } from './applier.ts'
import { BATCH_LIMITS } from './batches.ts'
import { type CopyBoard, createCopyBoard, toNewCopy } from './copy-board.ts'
import { decodeCopy } from './copy-state.ts'
import type { ReplicationCounts } from './counts.ts'
import { prepareSource, type Start, whereToStart } from './prepare.ts'
import { readSteps } from './read-steps.ts'
import { runCopier } from './snapshot.ts'
import { createStoring, type Storing } from './storing.ts'
import { createTableRegistry, type Learnt, type TableRegistry } from './table-registry.ts'

export type SessionParts = {
  readonly source: SourceUrl
  readonly publication: string
  readonly slot: string
  /** Tells services apart that were given the same slot; default: the host's name. */
  readonly instance: string | undefined
  /** How often the catalog is looked at for tables that came or went. */
  readonly pollMs: number
  readonly storage: ReplicationStorage
  readonly plan: Plan
  /** Makes the plan ready for a generation. */
  readonly load: (generation: number) => Pick<LoadedPlan, 'forTable' | 'tables'>
  readonly counts: ReplicationCounts
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/** What others may use and look at while the session lives. */
export type RunningSession = {
  readonly control: Session
  readonly wal: WalStream
  readonly board: CopyBoard
  readonly generation: number
}

/**
 * One connection's life: checks the source, streams, copies what is not copied, until `signal` aborts or something
 * fails; then everything it opened is closed and what was not stored is forgotten.
 */
export async function runSession(
  parts: SessionParts,
  onRunning: (session: RunningSession) => void,
  signal: AbortSignal,
): Promise<void> {
  const { source, storage } = parts
  const applicationName = `headwater ${parts.slot} ${parts.instance ?? hostname()}`.slice(0, 63)
  await storage.rollback()
  await using control = await openSession(source, { applicationName, kind: 'sql' })
  await using copying = await openSession(source, { applicationName, kind: 'sql' })
  const replication = await openSession(source, { applicationName, kind: 'replication' })
  let start: Start
  try {
    start = await prepareSource({ ...parts, control, replication })
  } catch (error) {
    replication.destroy()
    throw error
  }
  const registry = createTableRegistry({
    plan: parts.load(start.generation),
    publication: parts.publication,
    serverVersion: start.server.version,
  })
  const board = createCopyBoard(start.copies.flatMap((progress) => decodeCopy(progress) ?? []))
  await discoverTables(parts, { control, registry, board })

  await using wal = await openStream(parts, replication, start, control, applicationName)
  const storing = createStoring(storage, (delta, tookMs) => {
    if (delta.resume !== undefined) wal.acknowledge(delta.resume)
    const { serverEnd, acknowledged } = wal.readPositions()
    parts.metrics.observe('headwater_replication_batch_seconds', tookMs / 1000)
    parts.metrics.set('headwater_replication_lag_bytes', Math.max(0, Number(serverEnd - acknowledged)))
  })
  const applier = createApplier({ ...parts, storing, registry, board, nowMs: parts.clock.nowMs }, wal.acknowledge)
  onRunning({ control, wal, board, generation: start.generation })

  const stop = new AbortController()
  const stopped = AbortSignal.any([signal, stop.signal])
  const open: OpenParts = { control, copying, registry, board, wal, storing, applier }
  const work = [stream(parts, open, stopped), copy(parts, open, stopped), watchCatalog(parts, open, stopped)]
  // One may fail before they are waited for together.
  for (const one of work) one.catch(() => undefined)
  try {
    await emitMarker(control, { kind: 'hello', slot: parts.slot })
    await Promise.race([...work, storing.failed, control.lost, copying.lost])
  } finally {
    stop.abort()
    copying.destroy()
    await Promise.allSettled(work)
    await storing.drain().catch(() => undefined)
  }
}

type OpenParts = {
  readonly control: Session
  readonly copying: Session
  readonly registry: TableRegistry
  readonly board: CopyBoard
  readonly wal: WalStream
  readonly storing: Storing
  readonly applier: Applier
}

/** The loop: every step of the stream, in order. */
async function stream(parts: SessionParts, open: OpenParts, signal: AbortSignal): Promise<void> {
  const { registry, applier, wal } = open
  const options = {
    slot: parts.slot,
    limits: BATCH_LIMITS,
    nowMs: parts.clock.nowMs,
    needed: registry.needed,
    isKnown: registry.isKnown,
  }
  for await (const step of readSteps(wal, options, signal)) {
    if (step.kind === 'relation')
      await learnRelation(parts, open, await registry.learn(open.control, step.relation), step.relation.oid)
    else await applier.apply(step)
  }
  await open.storing.drain()
}

function copy(parts: SessionParts, open: OpenParts, signal: AbortSignal): Promise<void> {
  return runCopier(
    { ...parts, session: open.copying, runId: crypto.randomUUID(), registry: open.registry, board: open.board },
    signal,
  )
}

/** Tables that were made after the start are copied, and rows of tables that are gone are removed. */
async function watchCatalog(parts: SessionParts, open: OpenParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    await parts.clock.wait(parts.pollMs, signal)
    if (signal.aborted) return
    await publishNewTables(parts, open.control)
    await discoverTables(parts, open)
  }
}

async function publishNewTables(parts: SessionParts, control: Session): Promise<void> {
  const options = { publication: parts.publication, slot: parts.slot, tables: parts.plan.tables }
  const facts = await readSourceFacts(control, options)
  if (await arrangePublication(control, facts))
    parts.log.info('publication-arranged', { publication: parts.publication })
}

type DiscoverParts = Pick<OpenParts, 'control' | 'registry' | 'board'>

async function discoverTables(parts: SessionParts, { control, registry, board }: DiscoverParts): Promise<void> {
  const { added, gone } = await registry.discover(control)
  for (const { table, rowsEstimated } of added) {
    const copyState = board.find(table.oid)?.state
    const shape = { ...toNewCopy(table), rowsEstimated }
    if (copyState === undefined) board.startFirst(shape, false)
    else if (copyState.identityText !== table.identityText || copyState.mode === 'removed') {
      await removeRows(parts, control, board, table.oid, () => board.startFirst(shape, true))
    } else if (copyState.columnsText !== table.columnsText) board.startRefresh(shape, false)
    else if (copyState.waitsForRemoval) await emitRemoval(parts, control, table.oid)
  }
  // Also those of an earlier run that the catalog does not have any more.
  const known = new Set(registry.list().map(({ oid }) => oid))
  const left = board.list().filter(({ state }) => !known.has(state.relationOid) || gone.includes(state.relationOid))
  for (const { state } of left) {
    if (state.mode === 'removed' && state.isDone) continue
    registry.forget(state.relationOid)
    parts.log.warn('table-gone', { table: state.label })
    await removeRows(parts, control, board, state.relationOid, () => markRemoved(board, state.relationOid))
  }
}

function markRemoved(board: CopyBoard, relationOid: number): void {
  const open = board.find(relationOid)
  if (open === undefined) return
  board.update(open, { ...open.state, mode: 'removed', isDone: false, waitsForRemoval: true })
}

/** Rows are removed where the marker comes by; `mark` says on the board what happens then. */
async function removeRows(
  parts: SessionParts,
  control: Session,
  board: CopyBoard,
  relationOid: number,
  mark: () => void,
): Promise<void> {
  mark()
  if (board.find(relationOid) !== undefined) await emitRemoval(parts, control, relationOid)
}

function emitRemoval(parts: SessionParts, control: Session, relationOid: number): Promise<void> {
  return emitMarker(control, { kind: 'remove-table', slot: parts.slot, relationOid })
}

/** The stream says that a table has another shape from here on. */
async function learnRelation(
  parts: SessionParts,
  { control, board }: OpenParts,
  learnt: Learnt,
  relationOid: number,
): Promise<void> {
  if (learnt.kind === 'same') return
  parts.log.info('table-changed', { relationOid, change: learnt.kind })
  if (learnt.kind === 'removed') {
    return removeRows(parts, control, board, relationOid, () => markRemoved(board, relationOid))
  }
  const shape = { ...toNewCopy(learnt.table), rowsEstimated: learnt.rowsEstimated }
  switch (learnt.kind) {
    case 'added':
      board.startFirst(shape, false)
      return
    case 'rekeyed':
      return removeRows(parts, control, board, relationOid, () => board.startFirst(shape, true))
    case 'reshaped':
      board.reshape(shape, learnt.isStale)
  }
}

/** Times that a slot still held by our own dead connection is asked for again, and the pause between. */
const SLOT_TRIES = 10
const SLOT_RETRY_MS = 500
const SLOT_IN_USE = '55006'

async function openStream(
  parts: SessionParts,
  replication: Session,
  start: Start,
  control: Session,
  applicationName: string,
): Promise<WalStream> {
  const options = {
    slot: parts.slot,
    publication: parts.publication,
    from: whereToStart(start),
    senderTimeoutMs: start.server.senderTimeoutMs,
    now: parts.clock.nowMs,
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openWalStream(replication, options)
    } catch (error) {
      const isInUse = error instanceof HeadwaterError && findSqlState(error.cause) === SLOT_IN_USE
      if (!isInUse) {
        replication.destroy()
        throw error
      }
      const reader = await findSlotReader(control, parts.slot)
      if (reader !== undefined && attempt >= SLOT_TRIES) {
        if (reader.applicationName !== applicationName) {
          replication.destroy()
          throw new HeadwaterError(
            'slot-in-use',
            `Cannot read the replication slot "${parts.slot}": process ${reader.pid} of "${reader.applicationName}" ` +
              `(from ${reader.address}) reads it. Give each service a slot of its own, or stop the other one.`,
            { cause: error },
          )
        }
        parts.log.warn('stale-reader-ended', { pid: reader.pid })
        await terminateReader(control, reader.pid)
      }
      await parts.clock.wait(SLOT_RETRY_MS, new AbortController().signal)
    }
  }
}
