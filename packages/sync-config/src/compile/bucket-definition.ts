import type { DefinitionEntry } from '../file/config-file.ts'
import type { Problems } from '../file/diagnostics.ts'
import { PRIORITY_DEFAULT } from '../file/format.ts'
import { didYouMean } from '../file/suggest.ts'
import type { Expression, PlanEvaluator } from '../plan.ts'
import type { DraftStream, DraftStreamRoute } from './assemble.ts'
import { readColumns } from './columns.ts'
import { type Conjunction, lowerWhere, type Term } from './condition.ts'
import { compare } from './operand.ts'
import { compileParameterQuery, type ParameterRoute } from './parameter-query.ts'
import { sortByText } from './route.ts'
import { readTable } from './scope.ts'
import type { ParsedQuery } from './stream.ts'

export type DefinitionQueries = {
  readonly problems: Problems
  /** Undefined where the definition has none: one bucket for everybody. */
  readonly parameters: readonly ParsedQuery[] | undefined
  readonly data: readonly ParsedQuery[]
}

const GLOBAL: readonly ParameterRoute[] = [{ filters: [], steps: [], values: new Map(), priority: null }]

/**
 * Compiles a bucket definition of editions 1 and 2 into what streams are made of: its data queries become evaluators
 * with the bucket's parameters as keys, its parameter queries become routes to them.
 */
export function compileDefinition(entry: DefinitionEntry, queries: DefinitionQueries): DraftStream {
  const priority = entry.priority ?? PRIORITY_DEFAULT
  const nothing: DraftStream = { name: entry.name, kind: 'definition', isDefault: true, priority, routes: [] }
  const routes = queries.parameters === undefined ? GLOBAL : compileParameters(entry, queries.parameters)
  const [first] = routes ?? []
  // Without sound parameters nothing sensible can be said of the data queries.
  if (routes === undefined || (first === undefined && queries.data.length > 0)) return nothing
  const names = [...(first?.values.keys() ?? [])].toSorted()
  const evaluators = queries.data.flatMap((query) => compileData(query, names))
  if (evaluators.length === 0) return nothing
  return { ...nothing, routes: routes.map((route, query) => ({ query, ...toStreamRoute(route, names, evaluators) })) }
}

function toStreamRoute(
  route: ParameterRoute,
  names: readonly string[],
  evaluators: readonly PlanEvaluator[],
): Omit<DraftStreamRoute, 'query'> {
  const values = names.map((name) => [...(route.values.get(name) ?? [])])
  return { filters: route.filters, steps: route.steps, values, evaluators, priority: route.priority }
}

/** All parameter queries of a definition give the same names. */
function compileParameters(
  entry: DefinitionEntry,
  queries: readonly ParsedQuery[],
): readonly ParameterRoute[] | undefined {
  const compiled = queries.map((query) => ({ query, routes: compileParameterQuery(entry, query) }))
  if (queries.length < (entry.parameters?.length ?? 0)) return undefined
  let isSound = true
  const [expected] = compiled[0]?.routes ?? []
  for (const { query, routes } of compiled) {
    const [route] = routes ?? []
    isSound &&= route !== undefined
    if (route === undefined || expected === undefined || namesText(route) === namesText(expected)) continue
    isSound = false
    const wanted = namesText(expected) || 'none'
    query.context.refuse(
      query.select,
      `The parameter queries of "${entry.name}" must give the same parameters: expected ${wanted}, got ${namesText(route) || 'none'}`,
    )
  }
  return isSound ? compiled.flatMap(({ routes }) => routes ?? []) : undefined
}

function namesText(route: ParameterRoute): string {
  return [...route.values.keys()].toSorted().join(', ')
}

function compileData({ context, select }: ParsedQuery, names: readonly string[]): readonly PlanEvaluator[] {
  if (select.distinct !== undefined) context.refuse(select.distinct, 'DISTINCT does not exist in bucket definitions')
  if (select.from.length === 0) context.refuse(select, 'A data query needs FROM and a table')
  const source = readTable(context, select.from)
  if (source === undefined) return []
  const columns = readColumns(context, select, source)
  const conjunctions = lowerWhere({ context, scope: { source, outer: undefined } }, select.where)
  if (columns === undefined || conjunctions === undefined) return []
  return conjunctions.flatMap((terms) => {
    const found = readKeys({ context, select }, names, terms)
    if (found === undefined) return []
    return {
      table: source.table,
      expansions: [],
      filters: found.filters,
      keys: found.keys,
      columns,
      output: source.name,
    }
  })
}

type Keys = Pick<PlanEvaluator, 'filters' | 'keys'>

/** Every parameter of the bucket must be compared with a column; two columns for one parameter must be equal. */
function readKeys({ context, select }: ParsedQuery, names: readonly string[], terms: Conjunction): Keys | undefined {
  const filters: Expression[] = []
  const keys = new Map<string, Expression>()
  let isSound = true
  for (const term of terms) {
    if (term.kind === 'expression') {
      filters.push(term.expression)
      continue
    }
    const { name, expression } = readKey(term)
    if (!names.includes(name)) {
      isSound = false
      const hint =
        didYouMean(name, names) ||
        (names.length > 0 ? `: expected bucket.${names.join(' or bucket.')}` : ': there are none')
      context.refuse(term, `Unknown bucket parameter "${name}"${hint}`)
      continue
    }
    const known = keys.get(name)
    if (known === undefined) keys.set(name, expression)
    else filters.push(compare('=', known, expression))
  }
  const missing = names.filter((name) => !keys.has(name))
  if (missing.length > 0 && isSound) {
    const list = missing.map((name) => `bucket.${name}`).join(' and ')
    const everywhere = select.where === undefined ? '' : ', on every side of an OR'
    context.refuse(
      select.where ?? select,
      `A data query must compare every bucket parameter with a column: ${list} is missing${everywhere}`,
    )
  }
  if (!isSound || missing.length > 0) return undefined
  return { filters: sortByText(filters), keys: names.map((name) => keys.get(name) ?? { kind: 'null' }) }
}

function readKey({ left, right }: Term & { kind: 'equal' }): {
  readonly name: string
  readonly expression: Expression
} {
  if (left.owner.kind === 'parameter') return { name: left.owner.name, expression: right.expression }
  if (right.owner.kind === 'parameter') return { name: right.owner.name, expression: left.expression }
  throw new Error('Invariant: in a data query only a bucket parameter meets a column')
}
