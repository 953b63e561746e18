import { pino } from 'pino'
import { formatLogLine } from './log-line.ts'
import { type LogFields, toLogFields } from './log-value.ts'

/** Each logs what those before it do. */
const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/** Does a log of `level` take events of another one? */
export function isLogged(of: LogLevel, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(of) <= LOG_LEVELS.indexOf(level)
}

/**
 * Events with a fixed name (`checkpoint-shown`) and fields, never prose. Names are listed in docs/operate/observe.md.
 * Values under names such as `password` or `token`, and passwords inside URLs, never reach the output.
 */
export type Log = {
  readonly error: (event: string, fields?: LogFields) => void
  readonly warn: (event: string, fields?: LogFields) => void
  readonly info: (event: string, fields?: LogFields) => void
  readonly debug: (event: string, fields?: LogFields) => void
}

export type LogOptions = {
  readonly level: LogLevel
  /** One line of text for people instead of a JSON object; absent: when the output is a terminal. */
  readonly pretty?: boolean | undefined
  readonly output: LogOutput
  /** In every event. */
  readonly fields?: LogFields
}

/** Takes whole lines. `standardOutput` is the usual one. */
export type LogOutput = { readonly isTerminal: boolean; readonly write: (line: string) => void }

export function createLog({ level, pretty, output, fields }: LogOptions): Log {
  const write = (pretty ?? output.isTerminal) ? (line: string) => output.write(formatLogLine(line)) : output.write
  const logger = pino(
    {
      level,
      base: fields ?? null,
      messageKey: 'event',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  return {
    error: (event, fields) => {
      logger.error(toLogFields(fields), event)
    },
    warn: (event, fields) => {
      logger.warn(toLogFields(fields), event)
    },
    info: (event, fields) => {
      if (logger.isLevelEnabled('info')) logger.info(toLogFields(fields), event)
    },
    debug: (event, fields) => {
      if (logger.isLevelEnabled('debug')) logger.debug(toLogFields(fields), event)
    },
  }
}

/** Standard output, written at once, so that the last words of a process that dies are not lost. */
export function standardOutput(): LogOutput {
  const destination = pino.destination({ fd: process.stdout.fd, sync: true })
  return {
    isTerminal: process.stdout.isTTY,
    write: (line) => {
      destination.write(line)
    },
  }
}
