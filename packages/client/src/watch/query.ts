import { DEFAULT_ROW_COMPARATOR, diffRows, keepUnchanged } from './differential.ts'
import type { RowComparator, RowsDiff } from './differential.ts'
import type { WatchSource } from './watch.ts'
import { watchQuery } from './watched-query.ts'
import type {
  QueryDefinition,
  WatchedQuery,
  WatchedQueryListener,
  WatchedQueryOptions,
  WatchPlan,
} from './watched-query.ts'

type Rows<Row> = readonly Row[]

export type StandardWatchOptions<Row> = WatchedQueryOptions<Rows<Row>> & {
  /** Results that it calls equal are not told; by default every result is. */
  readonly comparator?: { readonly checkEquality: (current: Rows<Row>, previous: Rows<Row>) => boolean }
}

export type DifferentialWatchOptions<Row> = WatchedQueryOptions<Rows<Row>> & {
  readonly rowComparator?: RowComparator<Row>
}

/** Another query for the same watcher, or the same one with other options. */
export type WatchSettings<Row> = Omit<WatchedQueryOptions<Rows<Row>>, 'placeholderData'> & {
  readonly query?: QueryDefinition<Row>
}

export interface StandardWatchedQuery<Row> extends WatchedQuery<Rows<Row>> {
  /** Loads anew; results of what ran before are dropped. */
  updateSettings(settings: WatchSettings<Row>): void
}

export type DifferentialListener<Row> = WatchedQueryListener<Rows<Row>> & {
  /** What changed since the listener was last told, or since it was registered. */
  readonly onDiff?: (diff: RowsDiff<Row>) => void
}

export interface DifferentialWatchedQuery<Row> extends StandardWatchedQuery<Row> {
  readonly registerListener: (listener: DifferentialListener<Row>) => () => void
}

export interface Query<Row> {
  /** Tells each result. */
  watch(options?: StandardWatchOptions<Row>): StandardWatchedQuery<Row>
  /** Tells only results that differ, and keeps the objects of rows that do not. */
  differentialWatch(options?: DifferentialWatchOptions<Row>): DifferentialWatchedQuery<Row>
}

export function createQuery<Row>(
  source: WatchSource,
  open: Set<{ close(): Promise<void> }>,
  definition: QueryDefinition<Row>,
): Query<Row> {
  const start = (
    options: WatchedQueryOptions<Rows<Row>>,
    next: (previous: Rows<Row>, result: Rows<Row>) => Rows<Row>,
  ): StandardWatchedQuery<Row> => {
    let settings: WatchSettings<Row> = { ...options, query: definition }
    const plan = (): WatchPlan<Rows<Row>> => planOf(source, settings.query ?? definition, settings)
    const watched = watchQuery<Rows<Row>>({
      changes: source.changes,
      logger: source.logger,
      now: () => new Date(),
      plan: plan(),
      next,
      initial: options.placeholderData ?? [],
      onClosed: () => open.delete(watched),
    })
    open.add(watched)
    return Object.assign(watched, {
      updateSettings: (changed: WatchSettings<Row>) => {
        settings = { ...settings, ...changed }
        watched.replace(plan())
      },
    })
  }
  return {
    watch: (options = {}) =>
      start(options, (previous, result) => (options.comparator?.checkEquality(result, previous) ? previous : result)),
    differentialWatch: (options = {}) => {
      const comparator = options.rowComparator ?? DEFAULT_ROW_COMPARATOR
      return tellDiffs(
        start(options, (previous, result) => keepUnchanged(previous, result, comparator)),
        comparator,
      )
    },
  }
}

function planOf<Row>(
  source: WatchSource,
  { sql, parameters = [], mapper }: QueryDefinition<Row>,
  options: WatchSettings<Row>,
): WatchPlan<Rows<Row>> {
  return {
    options,
    resolveTables: () => source.resolveTables(sql),
    run: async () => {
      if (mapper === undefined) return (await source.run<Row>(sql, parameters)).array
      return (await source.run(sql, parameters)).array.map(mapper)
    },
  }
}

function tellDiffs<Row>(
  watched: StandardWatchedQuery<Row>,
  comparator: RowComparator<Row>,
): DifferentialWatchedQuery<Row> {
  const { registerListener } = watched
  return Object.assign(watched, {
    registerListener: ({ onDiff, ...listener }: DifferentialListener<Row>) => {
      if (onDiff === undefined) return registerListener(listener)
      let previous = watched.state.data
      return registerListener({
        ...listener,
        onData: (data) => {
          const diff = diffRows(previous, data, comparator)
          previous = data
          listener.onData?.(data)
          onDiff(diff)
        },
      })
    },
  })
}
