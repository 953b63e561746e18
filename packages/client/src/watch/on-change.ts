import type { Logger } from '../logger.ts'
import { plainTableName } from './change-feed.ts'
import type { ChangeFeed } from './change-feed.ts'

export const DEFAULT_WATCH_THROTTLE_MS = 30

export type WatchOnChangeEvent = { readonly changedTables: string[] }

export type WatchOnChangeHandler = {
  readonly onChange: (event: WatchOnChangeEvent) => Promise<void> | void
  readonly onError?: (error: Error) => void
}

export type SQLOnChangeOptions = {
  /** Plain names; `ps_data__x` is accepted too. Absent: all tables. */
  readonly tables?: readonly string[]
  /** At most one event in this time; the last change is always told. */
  readonly throttleMs?: number
  readonly signal?: AbortSignal
  /** One event at the start, with an empty list. */
  readonly triggerImmediate?: boolean
}

/** Calls `handler` after changes, never twice at once. Returns the function that stops it. */
export function onChangeWithCallback(
  parts: { readonly changes: ChangeFeed; readonly logger: Logger },
  handler: WatchOnChangeHandler,
  options: SQLOnChangeOptions = {},
): () => void {
  const { throttleMs = DEFAULT_WATCH_THROTTLE_MS, signal } = options
  const watched = options.tables === undefined ? undefined : new Set(options.tables.map(plainTableName))
  let pending: Set<string> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let running = false

  const deliver = async () => {
    timer = undefined
    if (pending === undefined || running) return
    const changedTables = [...pending]
    pending = undefined
    running = true
    try {
      await handler.onChange({ changedTables })
    } catch (error) {
      report(error)
    } finally {
      running = false
      if (pending !== undefined) schedule()
    }
  }
  const report = (error: unknown) => {
    const asError = error instanceof Error ? error : new Error(String(error))
    if (handler.onError) handler.onError(asError)
    else parts.logger.log({ level: 'error', message: 'A change handler failed', error })
  }
  const schedule = () => {
    if (timer === undefined && !running && !signal?.aborted) timer = setTimeout(() => void deliver(), throttleMs)
  }
  const stopListening = parts.changes.listen((tables) => {
    const relevant = watched === undefined ? [...tables] : [...tables].filter((table) => watched.has(table))
    if (relevant.length === 0) return
    pending = new Set([...(pending ?? []), ...relevant])
    schedule()
  })
  const stop = () => {
    stopListening()
    clearTimeout(timer)
    pending = undefined
    signal?.removeEventListener('abort', stop)
  }
  if (signal?.aborted) stop()
  else {
    signal?.addEventListener('abort', stop, { once: true })
    if (options.triggerImmediate) {
      pending = new Set()
      void deliver()
    }
  }
  return stop
}

/** The same as events to iterate over; events that were not fetched yet merge into one. Ends when `signal` aborts. */
export async function* onChangeEvents(
  parts: { readonly changes: ChangeFeed; readonly logger: Logger },
  options: SQLOnChangeOptions = {},
): AsyncIterableIterator<WatchOnChangeEvent> {
  let waiting: Set<string> | undefined
  let wake = () => {}
  const stop = onChangeWithCallback(
    parts,
    {
      onChange: ({ changedTables }) => {
        waiting = new Set([...(waiting ?? []), ...changedTables])
        wake()
      },
    },
    options,
  )
  const { signal } = options
  const onAbort = () => wake()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      if (signal?.aborted) return
      if (waiting === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      const changedTables = [...waiting]
      waiting = undefined
      yield { changedTables }
    }
  } finally {
    stop()
    signal?.removeEventListener('abort', onAbort)
  }
}
