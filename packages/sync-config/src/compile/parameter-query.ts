import type { DefinitionEntry } from '../file/config-file.ts'
import type { Expression } from '../plan.ts'
import type { SelectItem, Source } from '../sql/tree.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { type Alternative, compileWhere, type Match } from './older-clause.ts'
import { isDangerousQuery } from './older-dangerous.ts'
import { lowerScalar, type Scalar } from './older-expression.ts'
import {
  eachElementOf,
  elementValue,
  type OlderKey,
  type OlderStep,
  type OlderValue,
  readsElement,
} from './older-route.ts'
import { type OlderScope, refuseJoin } from './older-scope.ts'
import { distinctByText } from './route.ts'
import { readTableSource, type TableSource } from './scope.ts'
import type { ParsedQuery } from './stream.ts'

/** One way from a request to buckets of a definition. */
export type ParameterRoute = {
  /** Over the request. */
  readonly filters: readonly Expression[]
  /** Each uses earlier ones only. */
  readonly steps: readonly OlderStep[]
  /** Of each bucket parameter, by name. */
  readonly values: ReadonlyMap<string, OlderValue>
  readonly priority: number | null
}

export type ParameterQuery = {
  /** Names of the parameters that it gives. */
  readonly names: readonly string[]
  /** One an alternative of its condition. */
  readonly routes: readonly ParameterRoute[]
}

/** Undefined, and reported, when the query is refused. */
export function compileParameterQuery(
  entry: DefinitionEntry,
  query: ParsedQuery,
  options: ValueOptions,
): ParameterQuery | undefined {
  const { context, select } = query
  if (select.distinct !== undefined) context.refuse(select.distinct, 'DISTINCT does not exist in bucket definitions')
  const rows = readRows(query, options)
  if (rows === undefined) return undefined
  const scope: OlderScope = {
    context,
    place: 'parameter-query',
    options,
    rows: rows.kind === 'none' ? undefined : rows.rows,
  }
  const items = readItems(scope, query, entry)
  const match = compileWhere(scope, select.where)
  if (items === undefined || match === undefined || select.distinct !== undefined) return undefined
  if (!entry.acceptDangerous && isDangerousQuery([...items.values.values()], match, rows)) {
    context.warn(
      select,
      'Every client can choose its buckets here: they depend on parameters that clients send, and not on who they are. ' +
        'Add a condition with request.user_id(), or set accept_potentially_dangerous_queries: true',
    )
  }
  const routes = match.alternatives.map((alternative) => makeRoute(rows, items, { match, alternative }))
  return { names: [...items.values.keys()], routes }
}

/** What a parameter query reads besides the request: nothing, a table, or the elements of an array of the request. */
export type ParameterRows =
  | { readonly kind: 'none' }
  | { readonly kind: 'table'; readonly rows: TableSource }
  | { readonly kind: 'each'; readonly rows: OlderScope['rows'] & { kind: 'each' }; readonly argument: Expression }

function readRows({ context, select }: ParsedQuery, options: ValueOptions): ParameterRows | undefined {
  const [source, second] = select.from
  if (source === undefined) return { kind: 'none' }
  if (second !== undefined) return refuseJoin(context, 'parameter-query', second)
  switch (source.kind) {
    case 'table': {
      if (source.alias !== undefined) {
        return context.refuse(source.alias, 'The table of a parameter query cannot have an alias: use its name')
      }
      const rows = readTableSource(context, source)
      return rows === undefined ? undefined : { kind: 'table', rows }
    }
    case 'call':
      return readEach({ context, place: 'parameter-query', options, rows: undefined }, source)
    case 'subquery':
      return context.refuse(
        source,
        'A subquery in FROM does not exist in bucket definitions: streams of edition 3 have it',
      )
  }
}

/** `json_each(request.jwt() -> 'list') AS item`. */
function readEach(scope: OlderScope, source: Source & { kind: 'call' }): ParameterRows | undefined {
  const { context } = scope
  const name = source.name.text
  if (name !== 'json_each')
    return context.refuse(source, `Unknown function ${name}() in FROM: there is only json_each()`)
  const [arg, second] = source.args
  if (arg === undefined || second !== undefined) {
    return context.refuse(second ?? source, "json_each() takes one array, as in json_each(request.jwt() -> 'list')")
  }
  const argument = lowerScalar(scope, arg)
  if (argument === undefined) return undefined
  const names = source.alias === undefined ? [name] : [source.alias.text, name]
  return { kind: 'each', rows: { kind: 'each', names }, argument: argument.expression }
}

type Items = { readonly values: ReadonlyMap<string, Scalar>; readonly priority: number | null }

function readItems(scope: OlderScope, query: ParsedQuery, entry: DefinitionEntry): Items | undefined {
  const { context, select } = query
  const values = new Map<string, Scalar>()
  let priority: number | undefined
  let isSound = true
  for (const item of select.items) {
    const found = readItem(scope, item)
    if (found === undefined) {
      isSound = false
    } else if (found.name === '_priority') {
      if (priority !== undefined) context.refuse(item, '"_priority" stands twice: keep one')
      const read = readPriority(scope, item, entry)
      isSound &&= read !== undefined && priority === undefined
      priority ??= read
    } else if (values.has(found.name)) {
      isSound = false
      context.refuse(item, `The parameter "${found.name}" stands twice: give one of them another name`)
    } else {
      values.set(found.name, found.value)
    }
  }
  return isSound ? { values, priority: priority ?? null } : undefined
}

type Item = { readonly name: string; readonly value: Scalar }

function readItem(scope: OlderScope, item: SelectItem): Item | undefined {
  const { context } = scope
  if (item.kind === 'star') return context.refuse(item, 'A parameter query cannot select *: name the columns')
  const { expression: sql, alias } = item
  const value = lowerScalar(scope, sql)
  if (value === undefined) return undefined
  if (value.kind === 'row' && sql.kind !== 'column') {
    return context.refuse(
      item,
      'A parameter query can select columns and values of the request, not expressions over columns: put the expression into the data query',
    )
  }
  const name = alias?.text ?? (sql.kind === 'column' ? sql.name.text : undefined)
  if (name === undefined) return context.refuse(item, 'This needs a name: write … AS name, and use it as bucket.name')
  return { name, value }
}

const PRIORITY = /^[0-3]$/

function readPriority({ context }: OlderScope, item: SelectItem, entry: DefinitionEntry): number | undefined {
  const literal = item.kind === 'expression' && item.expression.kind === 'integer' ? item.expression : undefined
  if (literal === undefined || !PRIORITY.test(literal.digits)) {
    return context.refuse(item, '"_priority" must be 0, 1, 2 or 3, written as a number')
  }
  if (entry.priority !== undefined) {
    const message = `"_priority" and the key "priority" of "${entry.name}" both set the priority: keep one`
    return context.refuse(item, message)
  }
  return Number(literal.digits)
}

type Condition = { readonly match: Match; readonly alternative: Alternative }

function makeRoute(rows: ParameterRows, items: Items, condition: Condition): ParameterRoute {
  const { priority } = items
  const { match, alternative } = condition
  const tests = [...match.inputs.values()].flatMap((input) => (input.kind === 'truth' ? input.expression : []))
  switch (rows.kind) {
    case 'none': {
      const values = mapValues(items, ({ expression }) => ({ kind: 'request', expression }))
      return { filters: [...tests, ...alternative.filters], steps: [], values, priority }
    }
    case 'each': {
      const filters = [...tests, ...alternative.filters]
      const outputs = [...items.values.values()].flatMap(({ expression }) =>
        readsElement(expression) ? expression : [],
      )
      const step: OlderStep = { kind: 'each', argument: rows.argument, filters, outputs: distinctByText(outputs) }
      const values = mapValues(items, ({ expression }) =>
        readsElement(expression) ? { kind: 'output', step, expression } : { kind: 'request', expression },
      )
      return { filters: [], steps: [step], values, priority }
    }
    case 'table': {
      const { keys, steps } = readKeys(condition)
      const outputs = [...items.values.values()].flatMap(({ kind, expression }) => (kind === 'row' ? expression : []))
      const { table } = rows.rows
      const { filters } = alternative
      const step: OlderStep = { kind: 'lookup', table, filters, keys, outputs: distinctByText(outputs) }
      const values = mapValues(items, ({ kind, expression }) =>
        kind === 'row' ? { kind: 'output', step, expression } : { kind: 'request', expression },
      )
      return { filters: tests, steps: [...steps, step], values, priority }
    }
  }
}

/** What the table's rows are found by. */
function readKeys({ match, alternative }: Condition): {
  readonly keys: readonly OlderKey[]
  readonly steps: readonly OlderStep[]
} {
  const keys: OlderKey[] = []
  const steps: OlderStep[] = []
  for (const [text, input] of match.inputs) {
    const key = alternative.keys.get(text)
    if (key === undefined || input.kind === 'truth' || input.kind === 'parameter') continue
    if (input.kind === 'value') {
      keys.push({ key, value: { kind: 'request', expression: input.expression } })
      continue
    }
    const step = eachElementOf(input.array)
    steps.push(step)
    keys.push({ key, value: { kind: 'output', step, expression: elementValue(0) } })
  }
  return { keys, steps }
}

function mapValues({ values }: Items, toValue: (value: Scalar) => OlderValue): ReadonlyMap<string, OlderValue> {
  return new Map([...values].map(([name, value]) => [name, toValue(value)]))
}
