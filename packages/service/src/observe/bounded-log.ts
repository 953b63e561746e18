import { isLogged, type Log, type LogLevel } from './log.ts'
import type { LogFields } from './log-value.ts'

/** Of one event, in one second. Strangers can cause some events as often as they like; a line costs more than they do. */
const LINES_PER_SECOND = 200

/**
 * `log`, which is of `level`, with a bound for each event; what was left out is counted in a line `events-left-out`,
 * before the next one.
 */
export function boundLog(log: Log, level: LogLevel, nowMs: () => number): Log {
  const counts = new Map<string, { second: number; lines: number; leftOut: number }>()
  const bound = (of: keyof Log): Log['info'] => {
    const write = log[of]
    // What is not logged anyway is not left out.
    if (!isLogged(of, level)) return write
    return (event: string, fields?: LogFields) => {
      const second = Math.floor(nowMs() / 1000)
      const count = counts.get(event) ?? { second, lines: 0, leftOut: 0 }
      counts.set(event, count)
      if (count.second !== second) {
        if (count.leftOut > 0) log.warn('events-left-out', { of: event, count: count.leftOut })
        Object.assign(count, { second, lines: 0, leftOut: 0 })
      }
      if (count.lines >= LINES_PER_SECOND) {
        count.leftOut += 1
        return
      }
      count.lines += 1
      write(event, fields)
    }
  }
  return { error: bound('error'), warn: bound('warn'), info: bound('info'), debug: bound('debug') }
}
