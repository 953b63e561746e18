import { type ErrorCode, ERROR_TABLE, HeadwaterError } from '@headwater/protocol'
import type { LoadedPlan, Plan } from '@headwater/sync-config'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { emitMarker } from '../postgres/marker.ts'
import { toSourceError } from '../postgres/source-error.ts'
import { parseSourceUrl } from '../postgres/source-url.ts'
import type { ReplicationStorage } from '../storage/storage.ts'
import type { Clock } from '../clock.ts'
import { backoffMs } from './backoff.ts'
import { createCanary } from './canary.ts'
import { zeroCounts } from './counts.ts'
import { type RunningSession, runSession, type SessionParts } from './session.ts'
import { createSlotWatch } from './slot-watch.ts'
import { readStatus, type ReplicationStatus, type ReplicatorPhase } from './status.ts'
import { createWriteCheckpoints } from './write-checkpoints.ts'

export type SourceOptions = {
  readonly url: string
  readonly publication: string
  readonly slot: string
  /** Tells services apart that were given the same slot, so that only our own leftovers are ended. */
  readonly instance?: string | undefined
}

export type ReplicatorParts = {
  readonly source: SourceOptions
  readonly storage: ReplicationStorage
  readonly plan: Plan
  /** Build everything anew once, whatever is stored. */
  readonly isAnew?: boolean
  /** Makes the plan ready for a generation. */
  readonly load: (generation: number) => Pick<LoadedPlan, 'forTable' | 'tables'>
  readonly log: Log
  readonly metrics: Metrics
  readonly clock: Clock
  /** 0 … 1. */
  readonly random: () => number
  readonly pollMs?: number
  readonly queryTimeoutMs?: number
  /** From the writing of one canary to that of the next. */
  readonly canaryMs: number
  /** Resolves when a checkpoint is shown that has everything up to a place, or when `signal` aborts. */
  readonly untilShown: (place: Lsn, signal: AbortSignal) => Promise<void>
}

export type Replicator = {
  /** Resolves when `signal` aborted and everything is closed. Rejects when the source was never usable and an operator must act. */
  readonly ended: Promise<void>
  readonly readStatus: () => ReplicationStatus
  /** A number of ours; see `WriteCheckpoints.request`. */
  readonly requestWriteCheckpoint: (key: string) => Promise<bigint>
  /** A number that the client has chosen; see `WriteCheckpoints.requestNumber`. */
  readonly requestCheckpointNumber: (key: string, number: bigint) => Promise<bigint>
}

/** How often the catalog is looked at for tables that came or went. */
const POLL_MS = 15_000
/** A session that lived this long was a good one: the next failure is a first one. */
const GOOD_SESSION_MS = 30_000
/** How long a client's own number waits for what was in the log when the service started. */
const CATCH_UP_MS = 20_000

/** How long any other write checkpoint does, once after the start. */
const CATCH_UP_SOON_MS = 2_000
/** How often is looked for write checkpoints that nobody uses. */
const FORGET_MS = 60_000

/** Keeps bucket storage up with the source until `signal` aborts; connects again by itself whenever it must. */
export function startReplicator(parts: ReplicatorParts, signal: AbortSignal): Replicator {
  const { clock, log, random, source, storage } = parts
  const counts = zeroCounts()
  const canary = createCanary(clock.nowMs)
  const noteSlot = createSlotWatch({ slot: source.slot, log, metrics: parts.metrics })
  let phase: ReplicatorPhase = { kind: 'connecting' }
  let running: RunningSession | undefined
  const connected = (): RunningSession => {
    if (running !== undefined) return running
    throw new HeadwaterError('source-unreachable', 'Cannot give a write checkpoint: the source is not connected.')
  }
  /** Resolves when storage has what was in the log at the start, whichever connection brought it. */
  const caughtUp = Promise.withResolvers<void>()
  let soon: Promise<boolean> | undefined
  const writeCheckpoints = createWriteCheckpoints({
    slot: source.slot,
    emit: async (marker) => {
      await emitMarker(connected().control, marker)
    },
    readStored: storage.readStoredWriteCheckpoint,
    caughtUpSoon: async () => {
      connected()
      soon ??= settlesWithin(caughtUp.promise, CATCH_UP_SOON_MS, clock, signal)
      await soon
    },
    caughtUp: async () => {
      connected()
      if (!(await settlesWithin(caughtUp.promise, CATCH_UP_MS, clock, signal))) {
        throw new HeadwaterError(
          'source-unreachable',
          `Cannot take the number of a client: replication has not caught up within ${CATCH_UP_MS / 1000} s.`,
        )
      }
    },
    nowMs: clock.nowMs,
  })

  const run = async (): Promise<void> => {
    const session: SessionParts = {
      ...parts,
      source: parseSourceUrl(source.url, process.env),
      publication: source.publication,
      slot: source.slot,
      instance: source.instance,
      pollMs: parts.pollMs ?? POLL_MS,
      queryTimeoutMs: parts.queryTimeoutMs,
      isAnew: false,
      counts,
      canary,
      noteSlot,
      onStored: writeCheckpoints.noteStored,
    }
    let wasRunning = false
    let mustBuildAnew = parts.isAnew ?? false
    let attempt = 0
    while (!signal.aborted) {
      const startedAtMs = clock.nowMs()
      const failure = await runOnce({ ...session, isAnew: mustBuildAnew }, async (opened) => {
        mustBuildAnew = false
        wasRunning = true
        running = opened
        phase = { kind: 'running' }
        void opened.caughtUp.then(caughtUp.resolve)
        writeCheckpoints.startAbove(opened.highestWriteCheckpoint)
        if (opened.mustCoverClients) await writeCheckpoints.coverEveryClient()
        log.info('replication-started', { generation: opened.generation, slot: source.slot })
      })
      running = undefined
      if (failure === undefined) break
      canary.interrupted()
      if (!wasRunning && ERROR_TABLE[failure.code].retry !== 'backoff') throw failure
      attempt = clock.nowMs() - startedAtMs > GOOD_SESSION_MS ? 1 : attempt + 1
      const waitMs = backoffMs(attempt, failure.code, random())
      phase = { kind: 'waiting', code: failure.code, message: failure.message }
      counts.reconnects += 1
      parts.metrics.add('headwater_replication_reconnects_total', 1)
      log.warn('replication-interrupted', { code: failure.code, message: failure.message, retryAfterMs: waitMs })
      await clock.wait(waitMs, signal)
    }
  }

  const forgetUnused = async (until: AbortSignal): Promise<void> => {
    while (!until.aborted) {
      await clock.wait(FORGET_MS, until)
      if (until.aborted || running === undefined) continue
      try {
        if (await storage.hasUnusedWriteCheckpoints()) await writeCheckpoints.forgetUnused()
      } catch (error) {
        log.warn('write-checkpoints-not-forgotten', { error })
      }
    }
  }

  const runOnce = async (
    session: SessionParts,
    onRunning: (opened: RunningSession) => Promise<void>,
  ): Promise<HeadwaterError | undefined> => {
    try {
      await runSession(session, onRunning, signal)
      return undefined
    } catch (error) {
      return signal.aborted ? undefined : toSourceError(error, session.source)
    }
  }

  const runToEnd = async (): Promise<void> => {
    const over = new AbortController()
    const forgetting = forgetUnused(AbortSignal.any([signal, over.signal]))
    try {
      await run()
      phase = { kind: 'stopped' }
    } catch (error) {
      const code: ErrorCode = error instanceof HeadwaterError ? error.code : 'source-failed'
      phase = { kind: 'failed', code, message: error instanceof Error ? error.message : String(error) }
      throw error
    } finally {
      over.abort()
      await forgetting
    }
  }
  return {
    ended: runToEnd(),
    readStatus: () =>
      readStatus({
        phase,
        counts,
        canary: canary.read(),
        writeCheckpoints: writeCheckpoints.readUnderWay(),
        running,
      }),
    requestWriteCheckpoint: (key) => writeCheckpoints.request(key),
    requestCheckpointNumber: (key, number) => writeCheckpoints.requestNumber(key, number),
  }
}

/** True when `promise`, which never rejects, resolves in time and before `signal` aborts. */
async function settlesWithin(
  promise: Promise<void>,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const over = new AbortController()
  try {
    const timeout = clock.wait(timeoutMs, AbortSignal.any([signal, over.signal]))
    return await Promise.race([promise.then(() => true), timeout.then(() => false)])
  } finally {
    over.abort()
  }
}
