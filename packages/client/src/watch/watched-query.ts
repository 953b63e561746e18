import type { QueryParam, SqliteRecord } from '../sqlite/query-result.ts'
import type { ChangeFeed } from './change-feed.ts'
import { Listeners } from './listeners.ts'
import { rerunOnChange } from './watch.ts'
import type { Logger } from '../logger.ts'

export type WatchedQueryState<Data> = {
  /** True until the first result. */
  readonly isLoading: boolean
  readonly isFetching: boolean
  readonly error: Error | null
  readonly lastUpdated: Date | null
  readonly data: Data
}

export type WatchedQueryListener<Data> = {
  readonly onData?: (data: Data) => void
  readonly onError?: (error: Error) => void
  readonly onStateChange?: (state: WatchedQueryState<Data>) => void
  readonly closed?: () => void
}

export type WatchedQueryOptions<Data> = {
  readonly throttleMs?: number
  /** False: `isFetching` stays out of the state, so that fewer states are told. */
  readonly reportFetching?: boolean
  /** Instead of the tables that the query reads. */
  readonly triggerOnTables?: readonly string[]
  readonly placeholderData?: Data
}

export interface WatchedQuery<Data> {
  readonly state: WatchedQueryState<Data>
  readonly closed: boolean
  registerListener(listener: WatchedQueryListener<Data>): () => void
  close(): Promise<void>
}

/** A query that keeps running. `next` makes the new data of a result; returning the same reference means "unchanged". */
export type WatchedQueryParts<Data> = {
  readonly changes: ChangeFeed
  readonly logger: Logger
  readonly now: () => Date
  readonly resolveTables: () => Promise<readonly string[]>
  readonly run: () => Promise<Data>
  readonly next: (previous: Data, result: Data) => Data
  readonly initial: Data
  readonly options: WatchedQueryOptions<Data>
  readonly onClosed: () => void
}

export type QueryDefinition<Row> = {
  readonly sql: string
  readonly parameters?: readonly QueryParam[]
  readonly mapper?: (row: SqliteRecord) => Row
}

export function watchQuery<Data>(parts: WatchedQueryParts<Data>): WatchedQuery<Data> {
  const { options } = parts
  const reportFetching = options.reportFetching ?? true
  const listeners = new Listeners<WatchedQueryListener<Data>>()
  const stopped = new AbortController()
  let state: WatchedQueryState<Data> = {
    isLoading: true,
    isFetching: reportFetching,
    error: null,
    lastUpdated: null,
    data: parts.initial,
  }

  const setState = (patch: Partial<WatchedQueryState<Data>>) => {
    state = { ...state, ...patch }
    listeners.each((listener) => listener.onStateChange?.(state))
  }
  const run = async () => {
    if (reportFetching && !state.isFetching) setState({ isFetching: true })
    try {
      const result = await parts.run()
      if (stopped.signal.aborted) return
      const data = parts.next(state.data, result)
      const changed = data !== state.data || state.isLoading
      if (changed || state.isFetching || state.error !== null) {
        setState({ isLoading: false, isFetching: false, error: null, lastUpdated: parts.now(), data })
      }
      if (changed) listeners.each((listener) => listener.onData?.(data))
    } catch (error) {
      fail(error)
    }
  }
  const fail = (thrown: unknown) => {
    if (stopped.signal.aborted) return
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    setState({ isLoading: false, isFetching: false, error })
    listeners.each((listener) => listener.onError?.(error))
  }
  rerunOnChange(parts, {
    tables: options.triggerOnTables,
    resolveTables: parts.resolveTables,
    throttleMs: options.throttleMs,
    signal: stopped.signal,
    run,
    fail,
  })

  return {
    get state() {
      return state
    },
    get closed() {
      return stopped.signal.aborted
    },
    registerListener: listeners.add,
    close: () => {
      if (!stopped.signal.aborted) {
        stopped.abort()
        parts.onClosed()
        listeners.each((listener) => listener.closed?.())
      }
      return Promise.resolve()
    },
  }
}
