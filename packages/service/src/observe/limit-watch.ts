import type { ErrorCode } from '@headwater/protocol'
import type { Log } from './log.ts'
import type { LogFields } from './log-value.ts'
import type { Metrics } from './metrics.ts'

/** Every bound that somebody outside can reach. The names are labels of metrics; docs/reference/limits.md lists them. */
export const LIMIT_TABLE = {
  buckets: { setting: 'limits.bucketsMax', code: 'too-many-buckets' },
  connections: { setting: 'limits.connectionsMax', code: 'too-many-connections' },
  newcomers: { setting: 'limits.newcomersMax', code: 'too-many-connections' },
  'request-bytes': { setting: 'limits.requestBytesMax', code: 'request-too-large' },
  'request-memory': { setting: 'limits.requestMemoryBytesMax', code: 'request-memory-full' },
  'slow-readers': { setting: 'limits.waitingBytesMax', code: 'slow-reader' },
  'stalled-reader': { setting: 'limits.stalledSecondsMax', code: 'slow-reader' },
  'user-connections': { setting: 'limits.userConnectionsMax', code: 'too-many-user-connections' },
  'user-requests': { setting: 'limits.userRequestsPerSecond', code: 'too-many-user-requests' },
  'user-write-checkpoints': { setting: 'limits.userWriteCheckpointsMax', code: 'too-many-user-requests' },
  'write-checkpoints': { setting: 'limits.writeCheckpointsMax', code: 'too-many-requests' },
} as const satisfies Record<string, LimitEntry>

export type LimitEntry = { readonly setting: string; readonly code: ErrorCode }
export type LimitName = keyof typeof LIMIT_TABLE

/** How much of what is allowed somebody has. */
export type LimitUse = { readonly used: number; readonly max: number; readonly userId?: string | undefined }

export type LimitWatch = {
  /** Somebody was refused, or cut off. Each counts; of many in a row few are logged. */
  readonly reached: (limit: LimitName, fields?: LogFields) => void
  /** Above half of what is allowed, tells so: once for each limit and user. */
  readonly noteUse: (limit: LimitName, use: LimitUse) => void
}

/** Of one limit at most one line is logged in this time; it says how many there were. */
const LOG_EVERY_MS = 10_000

/** Who was told about is remembered for so many; the one told about longest ago is forgotten first. */
const TOLD_MAX = 10_000

const WARN_FROM = 0.5

export function createLimitWatch(parts: {
  readonly log: Pick<Log, 'warn'>
  readonly metrics: Pick<Metrics, 'add'>
  readonly nowMs: () => number
}): LimitWatch {
  const { log, metrics, nowMs } = parts
  const unlogged = new Map<LimitName, { count: number; loggedAtMs: number }>()
  const told = new Set<string>()
  return {
    reached: (limit, fields = {}) => {
      metrics.add('headwater_limits_reached_total', 1, { limit })
      const state = unlogged.get(limit) ?? { count: 0, loggedAtMs: Number.NEGATIVE_INFINITY }
      unlogged.set(limit, state)
      state.count += 1
      if (nowMs() < state.loggedAtMs + LOG_EVERY_MS) return
      log.warn('limit-reached', { limit, ...LIMIT_TABLE[limit], count: state.count, ...fields })
      state.count = 0
      state.loggedAtMs = nowMs()
    },
    noteUse: (limit, { used, max, userId }) => {
      if (used <= max * WARN_FROM) return
      const key = JSON.stringify([limit, userId])
      if (told.has(key)) return
      const [oldest] = told
      if (told.size >= TOLD_MAX && oldest !== undefined) told.delete(oldest)
      told.add(key)
      metrics.add('headwater_limits_near_total', 1, { limit })
      log.warn('limit-near', { limit, setting: LIMIT_TABLE[limit].setting, used, max, userId })
    },
  }
}
