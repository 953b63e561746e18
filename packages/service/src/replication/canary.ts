import type { Clock } from '../clock.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Session } from '../postgres/connection.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { emitMarker } from '../postgres/marker.ts'

/**
 * A marker that goes the whole way of a change every few seconds, and so tells that the way is open:
 *
 *     written at the source ─▶ WAL ─▶ replication ─▶ stored ─▶ checkpoint shown
 *          (control)         (walsender)    (batch, commit)        (feed)
 */
export type Canary = {
  readonly read: () => CanaryState
  /** One is to be written: from here on one is awaited, if not before. */
  readonly begin: () => void
  readonly written: (place: Lsn) => void
  /** What comes before it has got on. `tried`: in a way that counts for nothing should the connection be lost. */
  readonly moved: (by: 'stored' | 'tried') => void
  /** The connection was lost, and what was tried with it. */
  readonly interrupted: () => void
  readonly passed: () => void
}

/** Times are milliseconds since 1970. */
export type CanaryState = {
  /** When one has last come all the way; undefined: none since replication began. */
  readonly passedAtMs: number | undefined
  /** Undefined: none is due. */
  readonly awaited: AwaitedCanary | undefined
}

export type AwaitedCanary = {
  readonly sinceMs: number
  /** When something of what comes before it was last seen to move on. */
  readonly movedAtMs: number
  /** Where it is in the log; undefined: it is not written yet. */
  readonly place: Lsn | undefined
  /** Who tries the same again and again does not get on by trying. */
  readonly wasInterrupted: boolean
}

/** It outlives connections: what is awaited stays so until one comes through. */
export function createCanary(nowMs: () => number): Canary {
  const fresh = (): AwaitedCanary => ({
    sinceMs: nowMs(),
    movedAtMs: nowMs(),
    place: undefined,
    wasInterrupted: false,
  })
  let passedAtMs: number | undefined
  let awaited: AwaitedCanary | undefined = fresh()
  return {
    read: () => ({ passedAtMs, awaited }),
    begin: () => {
      awaited = { ...(awaited ?? fresh()), place: undefined }
    },
    written: (place) => {
      if (awaited !== undefined) awaited = { ...awaited, place }
    },
    moved: (by) => {
      if (awaited === undefined || (by === 'tried' && awaited.wasInterrupted)) return
      awaited = { ...awaited, movedAtMs: nowMs() }
    },
    interrupted: () => {
      awaited = { ...(awaited ?? fresh()), place: undefined, wasInterrupted: true }
    },
    passed: () => {
      passedAtMs = nowMs()
      awaited = undefined
    },
  }
}

/** How far what comes before a canary has come. All of it grows. */
export type Progress = {
  /** What is stored for good. */
  readonly stored: Lsn
  /** Deltas that storage has taken, with slices of a transaction that goes on. */
  readonly deltas: number
  /** How far the server has read its log for us. */
  readonly sent: Lsn
}

export type CanaryParts = {
  readonly canary: Canary
  readonly control: Session
  readonly slot: string
  /** From the writing of one to that of the next. */
  readonly canaryMs: number
  /** Resolves when a checkpoint is shown that has everything up to a place, or when `signal` aborts. */
  readonly untilShown: (place: Lsn, signal: AbortSignal) => Promise<void>
  readonly readProgress: () => Progress
  /** Asks the server to say how far it is. */
  readonly askServer: () => void
  readonly clock: Clock
  readonly metrics: Pick<Metrics, 'observe'>
}

const LOOK_MS = 1_000

/**
 * Sends canaries until `signal` aborts, the first at once; `onFirst` is told where that one is. Throws what writing one
 * throws.
 */
export async function runCanary(parts: CanaryParts, onFirst: (place: Lsn) => void, signal: AbortSignal): Promise<void> {
  const { canary, canaryMs, clock, metrics } = parts
  let isFirst = true
  while (!signal.aborted) {
    const beganAtMs = clock.nowMs()
    canary.begin()
    const place = await emitMarker(parts.control, { kind: 'canary', slot: parts.slot })
    canary.written(place)
    if (isFirst) onFirst(place)
    isFirst = false
    await untilPassed(parts, place, signal)
    if (signal.aborted) return
    canary.passed()
    const tookMs = clock.nowMs() - beganAtMs
    metrics.observe('headwater_canary_seconds', tookMs / 1000)
    await clock.wait(Math.max(0, canaryMs - tookMs), signal)
  }
}

/** Looks every second whether what is before it gets on. */
async function untilPassed(
  { canary, untilShown, readProgress, askServer, clock }: CanaryParts,
  place: Lsn,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const hasPassed = untilShown(place, signal).finally(() => over.abort())
  const look = async (): Promise<void> => {
    let before = readProgress()
    while (!over.signal.aborted) {
      await clock.wait(LOOK_MS, over.signal)
      if (over.signal.aborted) return
      const now = readProgress()
      // What comes behind the canary tells nothing of what comes before it.
      const wasSent = before.sent < place && now.sent > before.sent
      if (now.stored > before.stored) canary.moved('stored')
      else if (wasSent || now.deltas > before.deltas) canary.moved('tried')
      before = now
      if (now.sent < place) askServer()
    }
  }
  await Promise.all([hasPassed, look()])
}
