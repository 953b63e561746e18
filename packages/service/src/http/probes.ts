import type { ErrorCode } from '@headwater/protocol'
import { answerJson, type WholeAnswer } from './answer.ts'

/** A process that has not shown a sign of life for so long is better started again. */
const ALIVE_MS = 10_000

export type Health = {
  /** The service has begun its work: it has looked for its source once. */
  readonly started: boolean
  /** It can do its work: what the source commits reaches clients. */
  readonly ready: boolean
  /** When the process last showed a sign of life. Milliseconds since 1970, as all times here. */
  readonly touchedAtMs: number
  /** Why it is not ready; undefined when it is. */
  readonly problem: HealthProblem | undefined
}

/** Where on the way from the source to clients something is stuck, in the order of that way. */
export type HealthStage = 'main-process' | 'start' | 'source' | 'slot' | 'wal' | 'storage' | 'copy' | 'checkpoint'

export type HealthProblem = {
  readonly stage: HealthStage
  readonly sinceMs: number
  /** Of the table of errors, where there was one. */
  readonly code?: ErrorCode
  /** For anybody: nothing in it is secret. */
  readonly reason: string
  /** What to do. */
  readonly remedy: string
}

export type Probe = 'startup' | 'readiness' | 'liveness'

/** 200 or 400, as orchestrators ask. */
export function answerProbe(probe: Probe, health: Health, nowMs: number): WholeAnswer {
  const { ready, started, touchedAtMs, problem } = health
  return answerJson(isPassed(probe, health, nowMs) ? 200 : 400, {
    ready,
    started,
    touched_at: new Date(touchedAtMs).toISOString(),
    ...(problem === undefined ? {} : { problem: tellProblem(problem) }),
  })
}

function tellProblem({ stage, sinceMs, code, reason, remedy }: HealthProblem): object {
  return { stage, since: new Date(sinceMs).toISOString(), ...(code === undefined ? {} : { code }), reason, remedy }
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
