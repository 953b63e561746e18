import type { HeadwaterDatabase } from '../database.ts'
import type { QueryParam } from '../sqlite/query-result.ts'
import type { RowComparator } from '../watch/differential.ts'
import type { WatchedQueryState } from '../watch/watched-query.ts'

export type QueryState<Row> = {
  /** True until the first result. */
  readonly isLoading: boolean
  readonly isFetching: boolean
  readonly error: Error | undefined
  readonly data: readonly Row[]
}

export type QueryRequest<Row> = {
  readonly sql: string
  readonly parameters: readonly QueryParam[]
  readonly options: {
    readonly runQueryOnce?: boolean
    readonly throttleMs?: number
    readonly tables?: readonly string[]
    readonly reportFetching?: boolean
    readonly rowComparator?: RowComparator<Row>
  }
}

/** The rows that one component shows: a value to read, a query to run while somebody listens. */
export type QueryStore<Row> = {
  readonly read: () => QueryState<Row>
  /** The key of the query that `read` speaks of; undefined before the first one runs. */
  readonly readKey: () => string | undefined
  /** Runs a query until the returned function is called. What was read before stays until there is a result. */
  readonly run: (
    database: HeadwaterDatabase,
    key: string,
    request: QueryRequest<Row>,
    listener: () => void,
  ) => () => void
  /** Runs a query of the kind that runs once again. */
  readonly refresh: () => Promise<void>
}

export function createQueryStore<Row>(): QueryStore<Row> {
  let state: QueryState<Row> = { isLoading: true, isFetching: true, error: undefined, data: [] }
  let currentKey: string | undefined
  let refresh = async (): Promise<void> => {}

  const begin = (key: string, request: QueryRequest<Row>): void => {
    currentKey = key
    state = { ...state, isFetching: request.options.reportFetching ?? true, error: undefined }
  }

  return {
    read: () => state,
    readKey: () => currentKey,
    refresh: () => refresh(),
    run: (database, key, request, listener) => {
      begin(key, request)
      const tell = (next: QueryState<Row>): void => {
        state = next
        listener()
      }
      if (request.options.runQueryOnce !== true) return watch(database, request, state, tell)
      let isStopped = false
      refresh = async () => {
        if (!state.isFetching) tell({ ...state, isFetching: true })
        const next = await readOnce(database, request, state)
        if (!isStopped) tell(next)
      }
      void refresh()
      return () => {
        isStopped = true
      }
    },
  }
}

/** Tells each state of a watched query. Rows known from before are shown until it has its own. */
function watch<Row>(
  database: HeadwaterDatabase,
  { sql, parameters, options }: QueryRequest<Row>,
  before: QueryState<Row>,
  tell: (state: QueryState<Row>) => void,
): () => void {
  const { throttleMs, tables, reportFetching, rowComparator } = options
  const watchOptions = {
    placeholderData: before.data,
    ...(throttleMs === undefined ? {} : { throttleMs }),
    ...(tables === undefined ? {} : { triggerOnTables: tables }),
    ...(reportFetching === undefined ? {} : { reportFetching }),
  }
  const query = database.query<Row>({ sql, parameters })
  const watched =
    rowComparator === undefined
      ? query.watch(watchOptions)
      : query.differentialWatch({ ...watchOptions, rowComparator })
  const onStateChange = (state: WatchedQueryState<readonly Row[]>): void => {
    tell({
      isLoading: state.isLoading && before.isLoading,
      isFetching: state.isFetching,
      error: state.error ?? undefined,
      data: state.data,
    })
  }
  const stopListening = watched.registerListener({ onStateChange })
  return () => {
    stopListening()
    void watched.close()
  }
}

async function readOnce<Row>(
  database: HeadwaterDatabase,
  { sql, parameters }: QueryRequest<Row>,
  before: QueryState<Row>,
): Promise<QueryState<Row>> {
  try {
    const data = await database.getAll<Row>(sql, parameters)
    return { isLoading: false, isFetching: false, error: undefined, data }
  } catch (error) {
    const asError = error instanceof Error ? error : new Error(String(error))
    return { ...before, isLoading: false, isFetching: false, error: asError }
  }
}
