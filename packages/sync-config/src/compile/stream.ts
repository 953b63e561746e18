import type { StreamEntry } from '../file/config-file.ts'
import type { Term } from './condition.ts'
import { lowerWhere } from './condition.ts'
import { type DraftStream, type DraftStreamRoute, draftStreamRoute } from './assemble.ts'
import { readColumns } from './columns.ts'
import { isDangerous } from './dangerous.ts'
import type { QueryContext } from './query-context.ts'
import { draftRoute } from './route.ts'
import { readTable } from './scope.ts'
import type { Select } from '../sql/tree.ts'

/** Ways into one stream. Each is looked up for every client that has the stream. */
const ROUTES_MAX = 100

export type ParsedQuery = { readonly context: QueryContext; readonly select: Select }

/** Compiles the queries of a stream of edition 3; those that are refused are reported and left out. */
export function compileStream(entry: StreamEntry, queries: readonly ParsedQuery[]): DraftStream {
  const routes = queries.flatMap((query, number) => compileQuery(entry, query, number))
  const [first] = queries
  if (routes.length > ROUTES_MAX && first !== undefined) {
    first.context.refuse(
      first.select,
      `Stream "${entry.name}" has more than ${ROUTES_MAX} alternatives: split it into several streams`,
    )
  }
  return { name: entry.name, kind: 'stream', isDefault: entry.autoSubscribe, priority: entry.priority, routes }
}

function compileQuery(
  entry: StreamEntry,
  { context, select }: ParsedQuery,
  number: number,
): readonly DraftStreamRoute[] {
  if (select.distinct !== undefined)
    context.warn(select.distinct, 'DISTINCT has no effect: a row is synced once anyway')
  if (select.from.length === 0) {
    context.refuse(select, 'The query has no FROM: expected SELECT … FROM table')
    return []
  }
  const source = readTable(context, select.from)
  if (source === undefined) return []
  const columns = readColumns(context, select, source)
  const conjunctions = lowerWhere({ context, scope: { source, outer: undefined } }, select.where)
  if (columns === undefined || conjunctions === undefined) return []
  const routes = conjunctions.flatMap((terms) => {
    const draft = draftRoute(source, terms)
    if ('unconnected' in draft) return refuseUnconnected(context, draft.unconnected)
    return draftStreamRoute(draft, { number, columns, output: source.name })
  })
  if (!entry.acceptDangerous && routes.some(isDangerous)) warnDangerous(context, select)
  return routes
}

function refuseUnconnected(context: QueryContext, term: Term): readonly never[] {
  context.refuse(term, 'This condition connects tables with each other but not with the selected table or the request')
  return []
}

function warnDangerous(context: QueryContext, select: Select): void {
  context.warn(
    select.where ?? select,
    'Every client can choose what it gets here: the rows depend on parameters that clients send, and not on who they are. ' +
      'Add a condition with auth.user_id(), or set accept_potentially_dangerous_queries: true',
  )
}
