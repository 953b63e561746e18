import type { Logger } from '../logger.ts'
import type { QueryParam, QueryResult, SqliteRecord } from '../sqlite/query-result.ts'
import type { ChangeFeed } from './change-feed.ts'
import { onChangeEvents, onChangeWithCallback } from './on-change.ts'
import type { SQLOnChangeOptions } from './on-change.ts'

/** What watching needs of a database. */
export type WatchSource = {
  readonly changes: ChangeFeed
  readonly logger: Logger
  readonly run: <T = SqliteRecord>(sql: string, parameters: readonly QueryParam[]) => Promise<QueryResult<T>>
  readonly resolveTables: (sql: string) => Promise<string[]>
}

export type WatchComparator = { readonly checkEquality: (current: QueryResult, previous: QueryResult) => boolean }

export type SQLWatchOptions = Omit<SQLOnChangeOptions, 'triggerImmediate'> & {
  /** Results that it calls equal are not told. */
  readonly comparator?: WatchComparator
}

export type WatchHandler = {
  readonly onResult: (result: QueryResult) => void
  readonly onError?: (error: Error) => void
}

/** The result now, and again after each change of a table that the query reads. An error does not end it. */
export function watchWithCallback(
  source: WatchSource,
  query: { readonly sql: string; readonly parameters: readonly QueryParam[] },
  handler: WatchHandler,
  options: SQLWatchOptions = {},
): () => void {
  const stopped = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stopped.signal]) : stopped.signal
  const report = (error: unknown) => {
    if (signal.aborted) return
    const asError = error instanceof Error ? error : new Error(String(error))
    if (handler.onError) handler.onError(asError)
    else source.logger.log({ level: 'error', message: 'A watched query failed', error })
  }
  let previous: QueryResult | undefined
  const run = async () => {
    const result = await source.run(query.sql, query.parameters)
    if (signal.aborted) return
    const equal = previous !== undefined && options.comparator?.checkEquality(result, previous)
    previous = result
    if (!equal) handler.onResult(result)
  }
  const start = async () => {
    const tables = options.tables ?? (await source.resolveTables(query.sql))
    const onChangeOptions = { ...options, tables, signal, triggerImmediate: true }
    onChangeWithCallback(source, { onChange: run, onError: report }, onChangeOptions)
  }
  start().catch(report)
  return () => stopped.abort()
}

/** The same as results to iterate over. A failing query ends it with its error. */
export async function* watchResults(
  source: WatchSource,
  query: { readonly sql: string; readonly parameters: readonly QueryParam[] },
  options: SQLWatchOptions = {},
): AsyncIterableIterator<QueryResult> {
  const tables = options.tables ?? (await source.resolveTables(query.sql))
  let previous: QueryResult | undefined
  for await (const _ of onChangeEvents(source, { ...options, tables, triggerImmediate: true })) {
    const result = await source.run(query.sql, query.parameters)
    if (options.signal?.aborted) return
    const equal = previous !== undefined && options.comparator?.checkEquality(result, previous)
    previous = result
    if (!equal) yield result
  }
}
