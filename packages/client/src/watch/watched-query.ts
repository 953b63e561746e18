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
  readonly registerListener: (listener: WatchedQueryListener<Data>) => () => void
  close(): Promise<void>
}

/** What to run, and when. */
export type WatchPlan<Data> = {
  readonly options: WatchedQueryOptions<Data>
  readonly resolveTables: () => Promise<readonly string[]>
  readonly run: () => Promise<Data>
}

export type WatchedQueryParts<Data> = {
  readonly changes: ChangeFeed
  readonly logger: Logger
  readonly now: () => Date
  readonly plan: WatchPlan<Data>
  /** Makes the new data of a result; returning `previous` means "unchanged". */
  readonly next: (previous: Data, result: Data) => Data
  readonly initial: Data
  readonly onClosed: () => void
}

export type QueryDefinition<Row> = {
  readonly sql: string
  readonly parameters?: readonly QueryParam[]
  readonly mapper?: (row: SqliteRecord) => Row
}

/** A query that keeps running, and that can be replaced by another: results of the one before are dropped then. */
export function watchQuery<Data>(
  parts: WatchedQueryParts<Data>,
): WatchedQuery<Data> & { readonly replace: (plan: WatchPlan<Data>) => void } {
  const listeners = new Listeners<WatchedQueryListener<Data>>()
  let closed = false
  let running = new AbortController()
  let state: WatchedQueryState<Data> = {
    isLoading: true,
    isFetching: false,
    error: null,
    lastUpdated: null,
    data: parts.initial,
  }

  const setState = (patch: Partial<WatchedQueryState<Data>>) => {
    state = { ...state, ...patch }
    listeners.each((listener) => listener.onStateChange?.(state))
  }
  const run = async ({ run, options }: WatchPlan<Data>, signal: AbortSignal) => {
    if ((options.reportFetching ?? true) && !state.isFetching) setState({ isFetching: true })
    const result = await run()
    if (signal.aborted) return
    const data = parts.next(state.data, result)
    const changed = data !== state.data || state.isLoading
    if (changed || state.isFetching || state.error !== null) {
      setState({ isLoading: false, isFetching: false, error: null, lastUpdated: parts.now(), data })
    }
    if (changed) listeners.each((listener) => listener.onData?.(data))
  }
  const fail = (error: Error, signal: AbortSignal) => {
    if (signal.aborted) return
    setState({ isLoading: false, isFetching: false, error })
    listeners.each((listener) => listener.onError?.(error))
  }
  const begin = (plan: WatchPlan<Data>) => {
    running = new AbortController()
    const { signal } = running
    const { options, resolveTables } = plan
    setState({ isLoading: true, isFetching: options.reportFetching ?? true })
    rerunOnChange(parts, {
      tables: options.triggerOnTables,
      resolveTables,
      throttleMs: options.throttleMs,
      signal,
      run: () => run(plan, signal),
      fail: (error) => fail(error, signal),
    })
  }
  begin(parts.plan)

  return {
    get state() {
      return state
    },
    get closed() {
      return closed
    },
    registerListener: listeners.add,
    replace: (plan) => {
      if (closed) return
      running.abort()
      begin(plan)
    },
    close: () => {
      if (!closed) {
        closed = true
        running.abort()
        parts.onClosed()
        listeners.each((listener) => listener.closed?.())
      }
      return Promise.resolve()
    },
  }
}
