export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

export type LogRecord = { readonly level: LogLevel; readonly message: string; readonly error?: unknown }

/** Takes every record; what to keep is its own decision. */
export type Logger = { readonly log: (record: LogRecord) => void }

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']

/** Writes to the console, from `minLevel` up. */
export function createConsoleLogger(options: { readonly prefix?: string; readonly minLevel?: LogLevel } = {}): Logger {
  const { prefix = 'Headwater', minLevel = 'info' } = options
  const least = LEVELS.indexOf(minLevel)
  return {
    log: ({ level, message, error }) => {
      if (LEVELS.indexOf(level) < least) return
      const parts = error === undefined ? [`[${prefix}] ${message}`] : [`[${prefix}] ${message}`, error]
      console[level](...parts)
    },
  }
}

/** What is reported on must go on even when the app's logger fails. */
export function sturdyLogger(logger: Logger): Logger {
  return {
    log: (record) => {
      try {
        logger.log(record)
      } catch {
        // There is nobody else to tell.
      }
    },
  }
}
