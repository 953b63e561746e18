import { didYouMean } from '../file/suggest.ts'
import type { Select, Source, SqlExpression } from '../sql/tree.ts'
import type { ValueOptions } from '../values/column-form.ts'
import type { QueryContext } from './query-context.ts'
import { readTableSource, type TableSource } from './scope.ts'

/**
 * Where an expression of editions 1 and 2 stands, which decides what it may name: parameter and data queries of a bucket
 * definition, queries of a stream of edition 2 and the subqueries in them, payloads of events.
 */
export type OlderPlace = 'parameter-query' | 'data-query' | 'stream' | 'subquery' | 'event'

/** What an expression of editions 1 and 2 sees: there is never more than one source. */
export type OlderScope = {
  readonly context: QueryContext
  readonly place: OlderPlace
  readonly options: ValueOptions
  readonly rows: OlderRows | undefined
}

export type OlderRows =
  | TableSource
  /** `json_each` over the request, and what its columns may be qualified with. */
  | { readonly kind: 'each'; readonly names: readonly string[] }

/** Where it stands, for messages: `… does not exist in bucket definitions`. */
export function placeName(place: OlderPlace): string {
  switch (place) {
    case 'parameter-query':
    case 'data-query':
      return 'bucket definitions'
    case 'stream':
    case 'subquery':
      return 'streams of edition 2'
    case 'event':
      return 'events'
  }
}

/** That edition 3 has something which this place does not. */
export function onlyInEdition3({ place }: OlderScope, what: string, instead: string): string {
  return place === 'event' ? `${what} does not exist in events: ${instead}` : `${what} needs edition 3: ${instead}`
}

/** Is the name one that the source's columns can be qualified with? An alias hides the name of a table. */
export function checkQualifier(scope: OlderScope, name: SqlExpression & { kind: 'column' }): boolean {
  const { context, place, rows } = scope
  const { qualifier } = name
  if (rows === undefined) {
    const text = qualifier === undefined ? name.name.text : `${qualifier.text}.${name.name.text}`
    context.refuse(name, `Cannot read column "${text}": this query has no FROM`)
    return false
  }
  const names = rows.kind === 'table' ? [rows.name] : rows.names
  if (qualifier === undefined || names.includes(qualifier.text)) return true
  if (qualifier.text === 'bucket') {
    const text = `bucket.${name.name.text}`
    const advice =
      place === 'parameter-query'
        ? 'this is the query that gives it its value'
        : 'compare with data of the request, as in column = auth.user_id()'
    context.refuse(name, `${text} exists in data queries of bucket definitions only: ${advice}`)
    return false
  }
  const outer = place === 'subquery' ? '; a subquery cannot name the table around it before edition 3' : ''
  const hint = didYouMean(qualifier.text, names) || `: expected ${names.join(' or ')}`
  context.refuse(qualifier, `Unknown table "${qualifier.text}"${hint}${outer}`)
  return false
}

/** The one table of a FROM; undefined, and reported, when it is something else. */
export function readOnlyTable(context: QueryContext, place: OlderPlace, select: Select): TableSource | undefined {
  const [source, second] = select.from
  const where = placeName(place)
  if (source === undefined) return context.refuse(select, 'The query has no FROM: expected SELECT … FROM table')
  if (second !== undefined) return refuseJoin(context, place, second)
  switch (source.kind) {
    case 'table':
      return readTableSource(context, source)
    case 'call': {
      const instead = place === 'data-query' ? ': write bucket.name IN column' : ': write value IN column'
      return context.refuse(source, `${source.name.text}() in FROM does not exist in ${where}${instead}`)
    }
    case 'subquery':
      return context.refuse(source, `A subquery in FROM does not exist in ${where}: streams of edition 3 have it`)
  }
}

export function refuseJoin(context: QueryContext, place: OlderPlace, second: Source): undefined {
  const advice =
    place === 'stream' || place === 'subquery'
      ? 'write column IN (SELECT column FROM other_table WHERE …), or use edition 3'
      : 'streams of edition 3 have joins'
  return context.refuse(second, `Joins do not exist in ${placeName(place)}: expected one table in FROM; ${advice}`)
}
