import { DEFAULT_ROW_COMPARATOR, keepUnchanged } from './differential.ts'
import type { RowComparator } from './differential.ts'
import type { WatchSource } from './watch.ts'
import { watchQuery } from './watched-query.ts'
import type { QueryDefinition, WatchedQuery, WatchedQueryOptions } from './watched-query.ts'

export type StandardWatchOptions<Row> = WatchedQueryOptions<readonly Row[]> & {
  /** Results that it calls equal are not told; by default every result is. */
  readonly comparator?: { readonly checkEquality: (current: readonly Row[], previous: readonly Row[]) => boolean }
}

export type DifferentialWatchOptions<Row> = WatchedQueryOptions<readonly Row[]> & {
  readonly rowComparator?: RowComparator<Row>
}

export interface Query<Row> {
  /** Tells each result. */
  watch(options?: StandardWatchOptions<Row>): WatchedQuery<readonly Row[]>
  /** Tells only results that differ, and keeps the objects of rows that do not. */
  differentialWatch(options?: DifferentialWatchOptions<Row>): WatchedQuery<readonly Row[]>
}

export function createQuery<Row>(
  source: WatchSource,
  open: Set<{ close(): Promise<void> }>,
  definition: QueryDefinition<Row>,
): Query<Row> {
  const { sql, parameters = [], mapper } = definition
  const run = async (): Promise<readonly Row[]> => {
    if (mapper === undefined) return (await source.run<Row>(sql, parameters)).array
    return (await source.run(sql, parameters)).array.map(mapper)
  }
  const start = (
    options: WatchedQueryOptions<readonly Row[]>,
    next: (previous: readonly Row[], result: readonly Row[]) => readonly Row[],
  ): WatchedQuery<readonly Row[]> => {
    const watched = watchQuery<readonly Row[]>({
      changes: source.changes,
      logger: source.logger,
      now: () => new Date(),
      resolveTables: () => source.resolveTables(sql),
      run,
      next,
      initial: options.placeholderData ?? [],
      options,
      onClosed: () => open.delete(watched),
    })
    open.add(watched)
    return watched
  }
  return {
    watch: (options = {}) =>
      start(options, (previous, result) => (options.comparator?.checkEquality(result, previous) ? previous : result)),
    differentialWatch: (options = {}) =>
      start(options, (previous, result) =>
        keepUnchanged(previous, result, options.rowComparator ?? DEFAULT_ROW_COMPARATOR),
      ),
  }
}
