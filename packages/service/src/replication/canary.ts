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
  /** One is to be written, or the connection was lost: from here on one is awaited, if not before. */
  readonly await: () => void
  readonly written: (place: Lsn) => void
  /** What it waits behind has moved on. */
  readonly moved: () => void
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
}

/** It outlives connections: what is awaited stays so until one comes through. */
export function createCanary(nowMs: () => number): Canary {
  const begin = (): AwaitedCanary => ({ sinceMs: nowMs(), movedAtMs: nowMs(), place: undefined })
  let state: CanaryState = { passedAtMs: undefined, awaited: begin() }
  return {
    read: () => state,
    await: () => {
      state = { ...state, awaited: { ...(state.awaited ?? begin()), place: undefined } }
    },
    written: (place) => {
      if (state.awaited !== undefined) state = { ...state, awaited: { ...state.awaited, place } }
    },
    moved: () => {
      if (state.awaited !== undefined) state = { ...state, awaited: { ...state.awaited, movedAtMs: nowMs() } }
    },
    passed: () => {
      state = { passedAtMs: nowMs(), awaited: undefined }
    },
  }
}

export type CanaryParts = {
  readonly canary: Canary
  readonly control: Session
  readonly slot: string
  /** From the writing of one to that of the next. */
  readonly canaryMs: number
  /** Resolves when a checkpoint is shown that has everything up to a place, or when `signal` aborts. */
  readonly untilShown: (place: Lsn, signal: AbortSignal) => Promise<void>
  /** Changes as long as replication gets on with what comes before the canary. */
  readonly readProgress: () => string
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
    canary.await()
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
  { canary, untilShown, readProgress, clock }: CanaryParts,
  place: Lsn,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const hasPassed = untilShown(place, signal).finally(() => over.abort())
  const look = async (): Promise<void> => {
    let progress = readProgress()
    while (!over.signal.aborted) {
      await clock.wait(LOOK_MS, over.signal)
      const next = readProgress()
      if (next !== progress) canary.moved()
      progress = next
    }
  }
  await Promise.all([hasPassed, look()])
}
