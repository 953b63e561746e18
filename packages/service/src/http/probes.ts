import { answerJson, type WholeAnswer } from './answer.ts'

/** A replicator that has not shown a sign of life for so long is stuck, and better started again. */
const ALIVE_MS = 10_000

export type Health = {
  /** The service has begun its work: connected to its source once. */
  readonly started: boolean
  /** It can do its work: clients get data. */
  readonly ready: boolean
  /** When replication last showed a sign of life. */
  readonly touchedAtMs: number
  /** Why it is not ready, in a few words. */
  readonly reason?: string | undefined
}

export type Probe = 'startup' | 'readiness' | 'liveness'

/** 200 or 400, as orchestrators ask. */
export function answerProbe(probe: Probe, health: Health, nowMs: number): WholeAnswer {
  return answerJson(isPassed(probe, health, nowMs) ? 200 : 400, {
    ready: health.ready,
    started: health.started,
    touched_at: new Date(health.touchedAtMs).toISOString(),
    ...(health.reason === undefined ? {} : { reason: health.reason }),
  })
}

function isPassed(probe: Probe, health: Health, nowMs: number): boolean {
  switch (probe) {
    case 'startup':
      return health.started
    case 'readiness':
      return health.ready
    case 'liveness':
      return nowMs - health.touchedAtMs < ALIVE_MS
  }
}
