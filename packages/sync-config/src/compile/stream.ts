import type { StreamEntry } from '../file/config-file.ts'
import type { PlanColumn } from '../plan.ts'
import type { Select } from '../sql/tree.ts'
import { type DraftStream, type DraftStreamRoute, draftStreamRoute } from './assemble.ts'
import { lowerCondition } from './condition.ts'
import { isDangerous } from './dangerous.ts'
import { openFrom, warnOfDistinct } from './from.ts'
import { applyLeftJoins, type OptionalSource } from './left-join.ts'
import { inCanonicalOrder } from './order.ts'
import type { QueryContext } from './query-context.ts'
import { type CteScope, type QueryScope, SourceList } from './query-scope.ts'
import { draftRoute } from './route.ts'
import { outputName, type TableSource } from './scope.ts'
import { readSelectList, type SelectList } from './select-list.ts'
import { settle } from './settle.ts'
import { CONJUNCTIONS_MAX } from './alternatives.ts'
import { type Condition, type Conjunction, joinConditions, multiplyOut, operandsOf } from './terms.ts'

export type ParsedQuery = { readonly context: QueryContext; readonly select: Select }

export type CompiledStream = { readonly draft: DraftStream; readonly selections: readonly Selection[] }

/** What one query makes of a table, and where it says so. */
export type Selection = ParsedQuery & { readonly primary: TableSource; readonly columns: readonly PlanColumn[] }

/** Compiles the queries of a stream of edition 3; those that are refused are reported and left out. */
export function compileStream(entry: StreamEntry, queries: readonly ParsedQuery[], ctes: CteScope): CompiledStream {
  const compiled = queries.map((query, number) => compileQuery(query, { entry, number, ctes }))
  const { name, autoSubscribe: isDefault, priority } = entry
  return {
    draft: { name, kind: 'stream', isDefault, priority, routes: compiled.flatMap(({ routes }) => routes) },
    selections: compiled.flatMap(({ selection }) => selection ?? []),
  }
}

type CompiledQuery = { readonly routes: readonly DraftStreamRoute[]; readonly selection: Selection | undefined }
type QueryParts = { readonly entry: StreamEntry; readonly number: number; readonly ctes: CteScope }

const REFUSED: CompiledQuery = { routes: [], selection: undefined }

function compileQuery({ context, select }: ParsedQuery, { entry, number, ctes }: QueryParts): CompiledQuery {
  const at: QueryScope = { context, scope: undefined, ctes, sources: new SourceList() }
  warnOfDistinct(at, select)
  if (select.from.length === 0) {
    context.refuse(select, 'The query has no FROM: expected SELECT … FROM table')
    return REFUSED
  }
  const from = openFrom(at, select.from, lowerCondition)
  if (from === undefined) return REFUSED
  const inside = { ...at, scope: from.scope }
  const list = readSelectList(inside, select)
  const where = select.where === undefined ? [] : [lowerCondition(inside, select.where)]
  const conditions = [...from.conditions, ...where].filter((condition) => condition !== undefined)
  if (list === undefined || conditions.length < from.conditions.length + where.length) return REFUSED
  const { optional } = from
  const conjunctions = alternativesOf(inside, select, { list, optional, condition: joinConditions('and', conditions) })
  if (conjunctions === undefined) return REFUSED
  const output = { number, columns: list.columns, output: outputName(list.primary) }
  const routes = conjunctions.flatMap((terms) => {
    const draft = draftRoute(list.primary, inCanonicalOrder(terms, list.primary, at.sources), at.sources)
    if (!('unconnected' in draft)) return draftStreamRoute(draft, output)
    const { context: place } = draft.unconnected
    place.refuse(
      draft.unconnected,
      'This condition connects tables with each other but not with the selected table or the request',
    )
    return []
  })
  warnOfSources(at, { primary: list.primary, optional }, conjunctions)
  if (!entry.acceptDangerous && routes.some(isDangerous)) warnOfDanger(context, select)
  return { routes, selection: { context, select, ...list } }
}

function alternativesOf(
  { context, sources }: QueryScope,
  select: Select,
  query: { readonly list: SelectList; readonly optional: readonly OptionalSource[]; readonly condition: Condition },
): readonly Conjunction[] | undefined {
  const conjunctions = multiplyOut(query.condition)
  if (conjunctions === undefined) {
    return context.refuse(
      select.where ?? select,
      `The condition has more than ${CONJUNCTIONS_MAX} alternatives: split it into several queries`,
    )
  }
  const { primary } = query.list
  const settled = applyLeftJoins(conjunctions, query.optional, primary)?.map((terms) => settle(terms, primary, sources))
  if (settled === undefined) return undefined
  return settled.includes(undefined) ? undefined : settled.flatMap((terms) => (terms === undefined ? [] : [terms]))
}

function warnOfSources(
  { sources }: QueryScope,
  { primary, optional }: { readonly primary: TableSource; readonly optional: readonly OptionalSource[] },
  conjunctions: readonly Conjunction[],
): void {
  const { alias } = primary
  if (sources.isJoined(primary) && alias?.isQuoted === false && alias.text !== primary.table.name) {
    const advice = `write AS "${alias.text}" if that is meant, else leave the alias out`
    primary.context.warn(alias, `Objects of this query will be called "${alias.text}", like the alias: ${advice}`)
  }
  const operands = conjunctions.flat().flatMap((term) => (term.kind === 'absent' ? term.operands : operandsOf(term)))
  const used = new Set(operands.map(({ owner }) => owner))
  const read = new Set(sources.eachesIn(operands.map(({ expression }) => expression)))
  const isOptional = new Set(optional.flatMap(({ source, inside }) => [source, ...inside]))
  for (const { source } of optional) {
    if (source === primary || used.has(source)) continue
    source.context.warn(source, `LEFT JOIN takes nothing away, and no condition needs "${source.name}": leave it out`)
  }
  for (const source of sources.all) {
    if (isOptional.has(source)) continue
    if (source === primary || used.has(source) || (source.kind === 'each' && read.has(source))) continue
    const advice = 'connect it with a condition, or leave it out'
    source.context.warn(
      source,
      `Nothing is said about "${source.name}", so it has no effect, even while it is empty: ${advice}`,
    )
  }
}

function warnOfDanger(context: QueryContext, select: Select): void {
  context.warn(
    select.where ?? select,
    'Every client can choose what it gets here: the rows depend on parameters that clients send, and not on who they are. ' +
      'Add a condition with auth.user_id(), or set accept_potentially_dangerous_queries: true',
  )
}

/** Warns where two queries make objects of one name of the same rows, but with other columns: only one of them stays. */
export function warnOfSelections(selections: readonly Selection[]): void {
  const first = new Map<string, string>()
  for (const { context, select, primary, columns } of selections) {
    const output = outputName(primary)
    const text = JSON.stringify(columns)
    const key = JSON.stringify([primary.table, output])
    const known = first.get(key)
    first.set(key, known ?? text)
    if (known === undefined || known === text) continue
    const name = output ?? primary.table.name
    context.warn(
      select.items[0] ?? select,
      `Another query selects other columns of the same table as "${name}", and one object overwrites the other: select the same, or rename one with AS`,
    )
  }
}
