import { hostname } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { HeadwaterError } from '@headwater/protocol'
import type { LoadedPlan, Plan } from '@headwater/sync-config'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { openSession, type Session } from '../postgres/connection.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { findSlotReader, type SlotState, terminateReader } from '../postgres/slot.ts'
import { findSqlState } from '../postgres/source-error.ts'
import type { SourceUrl } from '../postgres/source-url.ts'
import { openWalStream, type WalStream } from '../postgres/wal-stream.ts'
import type { WriteCheckpoint } from '../storage/delta.ts'
import type { ReplicationStorage } from '../storage/storage.ts'
import type { Clock } from '../clock.ts'
import { type Applier, createApplier } from './applier.ts'
import { BATCH_LIMITS } from './batches.ts'
import { type Canary, type Progress, runCanary } from './canary.ts'
import { type CopyBoard, createCopyBoard } from './copy-board.ts'
import { decodeCopy } from './copy-state.ts'
import type { ReplicationCounts } from './counts.ts'
import { createMilestone } from './milestone.ts'
import { prepareSource, type Start, whereToStart } from './prepare.ts'
import { readSteps } from './read-steps.ts'
import { runCopier } from './snapshot.ts'
import { createStoring, type Storing } from './storing.ts'
import { copyAgain, discoverTables, learnRelation, type TableChangesParts, watchCatalog } from './table-changes.ts'
import { createTableRegistry } from './table-registry.ts'

export type SessionParts = {
  readonly source: SourceUrl
  readonly publication: string
  readonly slot: string
  /** Tells services apart that were given the same slot; default: the host's name. */
  readonly instance: string | undefined
  /** How often the catalog is looked at for tables that came or went. */
  readonly pollMs: number
  /** How long the source may take to answer; default: 30 s. */
  readonly queryTimeoutMs: number | undefined
  readonly storage: ReplicationStorage
  readonly plan: Plan
  /** Build everything anew, whatever is stored. */
  readonly isAnew: boolean
  /** Makes the plan ready for a generation. */
  readonly load: (generation: number) => Pick<LoadedPlan, 'forTable' | 'tables'>
  readonly counts: ReplicationCounts
  /** Takes what was seen of the slot. */
  readonly noteSlot: (state: SlotState | undefined) => void
  readonly canary: Canary
  /** Write checkpoints that are durable now; `isShown`: clients see everything that is stored. */
  readonly onStored: (stored: readonly WriteCheckpoint[], isShown: boolean) => void
  readonly canaryMs: number
  /** Resolves when a checkpoint is shown that has everything up to a place, or when `signal` aborts. */
  readonly untilShown: (place: Lsn, signal: AbortSignal) => Promise<void>
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
  /** That storage knows of, of any client. */
  readonly highestWriteCheckpoint: bigint
  /**
   * This generation began after log was lost or left out, and markers with it, or the storage was. What clients had
   * committed before a new marker is in what they get next; without it they would wait for a number that never comes.
   */
  readonly mustCoverClients: boolean
  /** Resolves when storage has everything that was in the log before this session; never when the session ends before. */
  readonly caughtUp: Promise<void>
}

/** A copy waits so long for a table that somebody locks; then others have their turn. Below the time of a query. */
const COPY_LOCK_MS = 20_000

/**
 * One connection's life: checks the source, streams, copies what is not copied, until `signal` aborts or something
 * fails; then everything it opened is closed and what was not stored is forgotten.
 */
export async function runSession(
  parts: SessionParts,
  onRunning: (session: RunningSession) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { source, storage, queryTimeoutMs } = parts
  // Postgres cuts names, so what tells two services apart comes first.
  const applicationName = `headwater ${parts.instance ?? hostname()} ${parts.slot}`.slice(0, 63)
  await storage.rollback()
  await using control = await openSession(source, { applicationName, kind: 'sql', queryTimeoutMs })
  await using copying = await openSession(source, { applicationName, kind: 'sql', lockTimeoutMs: COPY_LOCK_MS })
  await using replication = await openSession(source, { applicationName, kind: 'replication' })
  const start = await prepareSource({ ...parts, control, replication })
  const registry = createTableRegistry({
    plan: parts.load(start.generation),
    publication: parts.publication,
    serverVersion: start.server.version,
  })
  const board = createCopyBoard(start.copies.flatMap((progress) => decodeCopy(progress) ?? []))
  const changes: TableChangesParts = { ...parts, control, registry, board }
  await discoverTables(changes)
  for (const { oid } of start.published) await copyAgain(changes, oid)

  await using wal = await openStream(parts, replication, start, control, applicationName)
  const caughtUp = createMilestone()
  let ofSlices: readonly WriteCheckpoint[] = []
  const storing = createStoring(storage, (delta, tookMs) => {
    parts.counts.deltas += 1
    ofSlices = ofSlices.concat(delta.writeCheckpoints)
    if (delta.resume !== undefined) {
      parts.onStored(ofSlices, delta.show)
      ofSlices = []
      wal.acknowledge(delta.resume)
      if (delta.show) parts.counts.lastShownAtMs = parts.clock.nowMs()
      caughtUp.pass(delta.resume)
    }
    const { serverEnd, acknowledged } = wal.readPositions()
    parts.metrics.observe('headwater_replication_batch_seconds', tookMs / 1000)
    parts.metrics.set('headwater_replication_lag_bytes', Math.max(0, Number(serverEnd - acknowledged)))
    const [first] = delta.rowErrors
    if (first !== undefined) {
      const { table, row, definition, message } = first
      parts.log.warn('rows-left-out', { rows: delta.rowErrors.length, table, row, definition, message })
    }
  })
  const applier = createApplier({ ...parts, storing, registry, board, nowMs: parts.clock.nowMs }, wal.acknowledge)
  const { generation, highestWriteCheckpoint, mustCoverClients } = start
  // Before anything is copied: what it writes into the log then comes before the first state that clients see.
  await onRunning({
    control,
    wal,
    board,
    generation,
    highestWriteCheckpoint,
    mustCoverClients,
    caughtUp: caughtUp.passed,
  })

  const stop = new AbortController()
  const stopped = AbortSignal.any([signal, stop.signal])
  const copier = { ...parts, session: copying, runId: crypto.randomUUID(), registry, board }
  const readProgress = (): Progress => {
    const { acknowledged, serverEnd } = wal.readPositions()
    return { stored: acknowledged, deltas: parts.counts.deltas, sent: serverEnd }
  }
  const work = [
    stream({ parts, changes, wal, storing, applier }, stopped),
    runCopier(copier, stopped),
    watchCatalog(changes, stopped),
    runCanary({ ...parts, control, readProgress, askServer: wal.askPosition }, caughtUp.set, stopped),
  ]
  // One may fail before they are waited for together.
  for (const one of work) one.catch(() => undefined)
  try {
    await Promise.race([...work, storing.failed, control.lost, copying.lost])
  } finally {
    stop.abort()
    // Whoever waits for an answer gets none any more, which may never have come.
    copying.destroy()
    control.destroy()
    await Promise.allSettled(work)
    await storing.drain().catch(() => undefined)
  }
}

type StreamParts = {
  readonly parts: SessionParts
  readonly changes: TableChangesParts
  readonly wal: WalStream
  readonly storing: Storing
  readonly applier: Applier
}

/** The loop: every step of the stream, in order. */
async function stream({ parts, changes, wal, storing, applier }: StreamParts, signal: AbortSignal): Promise<void> {
  const { needed, isKnown } = changes.registry
  const options = { slot: parts.slot, limits: BATCH_LIMITS, nowMs: parts.clock.nowMs, needed, isKnown }
  for await (const step of readSteps(wal, options, signal)) {
    if (step.kind === 'relation') await learnRelation(changes, step.relation)
    else await applier.apply(step)
    // Megabytes may be waiting, and connections of clients live in this thread too.
    await setImmediate()
  }
  await storing.drain()
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
      if (!isInUse) throw error
      const reader = await findSlotReader(control, parts.slot)
      if (reader !== undefined) {
        if (reader.applicationName !== applicationName) {
          throw new HeadwaterError(
            'slot-in-use',
            `Cannot read the replication slot "${parts.slot}": process ${reader.pid} of "${reader.applicationName}" ` +
              `(from ${reader.address}) reads it. Give each service a slot of its own, or stop the other one.`,
            { cause: error },
          )
        }
        if (attempt >= SLOT_TRIES) {
          parts.log.warn('stale-reader-ended', { pid: reader.pid })
          await terminateReader(control, reader.pid)
        }
      }
      await parts.clock.wait(SLOT_RETRY_MS, new AbortController().signal)
    }
  }
}
