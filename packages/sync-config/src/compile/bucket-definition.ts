import type { DefinitionEntry } from '../file/config-file.ts'
import { PRIORITY_DEFAULT } from '../file/format.ts'
import { didYouMean } from '../file/suggest.ts'
import type { PlanEvaluator } from '../plan.ts'
import type { ValueOptions } from '../values/column-form.ts'
import type { DraftStream } from './assemble.ts'
import { type Alternative, compileWhere, type Match, type RowKey } from './older-clause.ts'
import { readOlderColumns } from './older-columns.ts'
import { draftOlderRoute } from './older-draft.ts'
import { expandKeys } from './older-route.ts'
import { readOnlyTable } from './older-scope.ts'
import { compileParameterQuery, type ParameterQuery } from './parameter-query.ts'
import { sortByText, splitFilters } from './route.ts'
import { outputName } from './scope.ts'
import type { ParsedQuery } from './stream.ts'

export type DefinitionQueries = {
  readonly options: ValueOptions
  /** Undefined where the definition has none: one bucket for everybody. */
  readonly parameters: readonly ParsedQuery[] | undefined
  readonly data: readonly ParsedQuery[]
}

const GLOBAL: readonly ParameterQuery[] = [
  { names: [], routes: [{ filters: [], steps: [], values: new Map(), priority: null }] },
]

/**
 * Compiles a bucket definition of editions 1 and 2 into what streams are made of: its data queries become evaluators
 * with the bucket's parameters as keys, its parameter queries become routes to them.
 */
export function compileDefinition(entry: DefinitionEntry, queries: DefinitionQueries): DraftStream {
  const priority = entry.priority ?? PRIORITY_DEFAULT
  const nothing: DraftStream = { name: entry.name, kind: 'definition', isDefault: true, priority, routes: [] }
  const parameters =
    queries.parameters === undefined ? GLOBAL : compileParameters(entry, queries.parameters, queries.options)
  const names = parameters === undefined ? undefined : (parameters[0]?.names.toSorted() ?? [])
  const evaluators = queries.data.flatMap((query) => compileData(query, names, queries.options))
  if (names === undefined || evaluators.length === 0) return nothing
  const routes = (parameters ?? []).flatMap((query, number) =>
    query.routes.map(({ values, ...route }) =>
      draftOlderRoute({
        ...route,
        query: number,
        evaluators,
        values: names.map((name) => [values.get(name) ?? { kind: 'request', expression: { kind: 'null' } }]),
      }),
    ),
  )
  return { ...nothing, routes }
}

/** All parameter queries of a definition give the same names. Undefined, and reported, where they are not sound. */
function compileParameters(
  entry: DefinitionEntry,
  queries: readonly ParsedQuery[],
  options: ValueOptions,
): readonly ParameterQuery[] | undefined {
  const compiled = queries.map((query) => ({ query, result: compileParameterQuery(entry, query, options) }))
  const known = compiled.flatMap(({ result }) => result ?? [])
  // Queries that could not be read are missing from the list.
  let isSound = known.length === (entry.parameters?.length ?? 0)
  const expected = namesText(known[0])
  for (const { query, result } of compiled) {
    if (result === undefined || namesText(result) === expected) continue
    isSound = false
    query.context.refuse(
      query.select,
      `The parameter queries of "${entry.name}" must give the same parameters: expected ${expected}, got ${namesText(result)}`,
    )
  }
  return isSound ? known : undefined
}

function namesText(query: ParameterQuery | undefined): string {
  return query?.names.toSorted().join(', ') || 'none'
}

/**
 * The evaluators of a data query, one for each alternative of its condition. `names` are the bucket's parameters;
 * undefined where they are not known.
 */
function compileData(
  { context, select }: ParsedQuery,
  names: readonly string[] | undefined,
  options: ValueOptions,
): readonly PlanEvaluator[] {
  if (select.distinct !== undefined) context.refuse(select.distinct, 'DISTINCT does not exist in bucket definitions')
  const rows = readOnlyTable(context, 'data-query', select)
  if (rows === undefined) return []
  const scope = { context, place: 'data-query' as const, options, rows }
  const columns = readOlderColumns(scope, select)
  const match = compileWhere(scope, select.where)
  if (match === undefined || names === undefined || !checkParameters({ context, select }, match, names)) return []
  if (columns === undefined) return []
  const evaluators = match.alternatives.map((alternative): PlanEvaluator => {
    const { table } = rows
    const filters = splitFilters(alternative.filters)
    return { table, filters, ...expandKeys(keysInOrder(match, alternative, names)), columns, output: outputName(rows) }
  })
  // They make the same objects, so their order says nothing.
  return sortByText(evaluators)
}

function keysInOrder(match: Match, alternative: Alternative, names: readonly string[]): readonly RowKey[] {
  return names.map((name) => {
    const [text] = [...match.inputs].find(([, input]) => input.kind === 'parameter' && input.name === name) ?? []
    const key = text === undefined ? undefined : alternative.keys.get(text)
    if (key === undefined) throw new Error('Invariant: every parameter has a key in every alternative')
    return key
  })
}

/** A data query says of every parameter of the bucket, and of no others, what it must be. */
function checkParameters({ context, select }: ParsedQuery, match: Match, names: readonly string[]): boolean {
  const used = [...match.inputs.values()].flatMap((input) => (input.kind === 'parameter' ? input : []))
  const unknown = used.filter(({ name }) => !names.includes(name))
  for (const { name, start, end } of unknown) {
    const known = names.map((each) => `bucket.${each}`).join(' or ')
    const hint = didYouMean(name, names) || (names.length > 0 ? `: expected ${known}` : ': there are none')
    context.refuse({ start, end }, `Unknown bucket parameter "${name}"${hint}`)
  }
  const missing = names.filter((name) => !used.some((input) => input.name === name))
  // A slip in a name makes it both unknown and missing: one message is enough.
  if (missing.length > 0 && unknown.length === 0) {
    const list = missing.map((name) => `bucket.${name}`).join(' and ')
    context.refuse(
      select.where ?? select,
      `A data query must compare every bucket parameter with a column: ${list} is missing`,
    )
  }
  return unknown.length === 0 && missing.length === 0
}
