import type { Logger } from '../logger.ts'
import type { QueryParam, QueryResult, SqliteRecord } from '../sqlite/query-result.ts'
import { SCHEMA_TABLE } from '../sqlite/session.ts'
import type { ChangeFeed } from './change-feed.ts'
import { onChangeEvents, onChangeWithCallback } from './on-change.ts'
import type { SQLOnChangeOptions, WatchOnChangeEvent } from './on-change.ts'

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

/** A query run now and again. Tables that were not named are found anew when the schema changes. */
export type Rerun = {
  readonly tables: readonly string[] | undefined
  readonly resolveTables: () => Promise<readonly string[]>
  readonly run: () => Promise<void>
  readonly fail: (error: Error) => void
  readonly throttleMs: number | undefined
  readonly signal: AbortSignal
}

/** Runs until the signal aborts; nothing ends it before. */
export function rerunOnChange(source: Pick<WatchSource, 'changes' | 'logger'>, rerun: Rerun): void {
  const { signal, throttleMs } = rerun
  let stop = () => {}
  const subscribe = async () => {
    stop()
    const found = await findTables(rerun)
    if (signal.aborted) return
    stop = onChangeWithCallback(
      source,
      { onChange, onError: rerun.fail },
      {
        tables: found === undefined ? [SCHEMA_TABLE] : [...found, SCHEMA_TABLE],
        signal,
        triggerImmediate: found !== undefined,
        ...(throttleMs === undefined ? {} : { throttleMs }),
      },
    )
  }
  const onChange = ({ changedTables }: WatchOnChangeEvent) =>
    changedTables.includes(SCHEMA_TABLE) ? subscribe() : rerun.run()
  void subscribe()
}

async function findTables(rerun: Rerun): Promise<readonly string[] | undefined> {
  if (rerun.tables !== undefined) return rerun.tables
  try {
    return await rerun.resolveTables()
  } catch (error) {
    rerun.fail(error instanceof Error ? error : new Error(String(error)))
    return undefined
  }
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
  let previous: QueryResult | undefined
  rerunOnChange(source, {
    tables: options.tables,
    resolveTables: () => source.resolveTables(query.sql),
    throttleMs: options.throttleMs,
    signal,
    run: async () => {
      const result = await source.run(query.sql, query.parameters)
      if (signal.aborted) return
      const equal = previous !== undefined && options.comparator?.checkEquality(result, previous)
      previous = result
      if (!equal) handler.onResult(result)
    },
    fail: (error) => {
      if (signal.aborted) return
      if (handler.onError) handler.onError(error)
      else source.logger.log({ level: 'error', message: 'A watched query failed', error })
    },
  })
  return () => stopped.abort()
}

/** The same as results to iterate over. A failing query ends it with its error. */
export async function* watchResults(
  source: WatchSource,
  query: { readonly sql: string; readonly parameters: readonly QueryParam[] },
  options: SQLWatchOptions = {},
): AsyncIterableIterator<QueryResult> {
  let previous: QueryResult | undefined
  for (let schemaChanged = true; schemaChanged;) {
    schemaChanged = false
    const tables = [...(options.tables ?? (await source.resolveTables(query.sql))), SCHEMA_TABLE]
    for await (const { changedTables } of onChangeEvents(source, { ...options, tables, triggerImmediate: true })) {
      schemaChanged = changedTables.includes(SCHEMA_TABLE)
      if (schemaChanged) break
      const result = await source.run(query.sql, query.parameters)
      if (options.signal?.aborted) return
      const equal = previous !== undefined && options.comparator?.checkEquality(result, previous)
      previous = result
      if (!equal) yield result
    }
  }
}
