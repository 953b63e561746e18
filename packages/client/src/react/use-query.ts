import { useCallback, useContext, useMemo, useSyncExternalStore } from 'react'
import type { QueryParam, SqliteRecord } from '../sqlite/query-result.ts'
import type { RowComparator } from '../watch/differential.ts'
import { DatabaseContext, notConfigured } from './database-context.ts'
import { createQueryStore, type QueryRequest, type QueryState } from './query-store.ts'

export type UseQueryOptions<Row> = {
  /** Run once, and again only when `refresh` is called. */
  readonly runQueryOnce?: boolean
  /** Least time between two runs. */
  readonly throttleMs?: number
  /** Run again when one of these changes, instead of the tables that the query reads. */
  readonly tables?: readonly string[]
  /** False: `isFetching` stays out, so that a component renders only for results. */
  readonly reportFetching?: boolean
  /** Keeps the objects of rows that did not change, and renders nothing when none did. */
  readonly rowComparator?: RowComparator<Row>
}

export type UseQueryResult<Row> = QueryState<Row> & {
  /** Only with `runQueryOnce`. */
  readonly refresh?: () => Promise<void>
}

/**
 * The rows of a query, kept up to date while the component is mounted. Parameters are compared by value. When the query
 * changes, the old rows stay, with `isFetching`, until the new ones are there. Without a provider the result carries an
 * error.
 */
export function useQuery<Row = SqliteRecord>(
  sql: string,
  parameters: readonly QueryParam[] = [],
  options: UseQueryOptions<Row> = {},
): UseQueryResult<Row> {
  const database = useContext(DatabaseContext)
  // Rows of one database must not be shown as those of another.
  const store = useMemo(() => createQueryStore<Row>(), [database])
  const request: QueryRequest<Row> = { sql, parameters, options }
  const key = keyOf(request)
  const subscribe = useCallback(
    (listener: () => void) => (database === null ? () => {} : store.run(database, key, request, listener)),
    // `key` stands for what `request` holds: a new array with the same parameters is the same query.
    [database, store, key],
  )
  const state = useSyncExternalStore(subscribe, store.read, store.read)
  if (database === null) return { ...state, isLoading: false, isFetching: false, error: notConfigured() }
  const shown = store.readKey() === key || options.reportFetching === false ? state : { ...state, isFetching: true }
  return options.runQueryOnce === true ? { ...shown, refresh: store.refresh } : shown
}

/** Equal for queries that give the same rows at the same moments. */
function keyOf<Row>({ sql, parameters, options }: QueryRequest<Row>): string {
  const { rowComparator, ...plain } = options
  return JSON.stringify([sql, parameters, plain, rowComparator !== undefined], (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  )
}
