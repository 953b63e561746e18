import { type DefinitionEntry, isPriority } from '../file/config-file.ts'
import type { Expression, RequestSource } from '../plan.ts'
import type { SelectItem } from '../sql/tree.ts'
import { type Conjunction, lowerWhere } from './condition.ts'
import { requestSources } from './dangerous.ts'
import { lowerOperand, type Operand } from './operand.ts'
import { type DraftSource, draftRoute, type DraftValue } from './route.ts'
import { readTable, type TableSource } from './scope.ts'
import type { ParsedQuery } from './stream.ts'

/** One way from a request to parameters of a bucket. */
export type ParameterRoute = {
  readonly filters: readonly Expression[]
  readonly steps: readonly DraftSource[]
  /** By parameter. */
  readonly values: ReadonlyMap<string, readonly DraftValue[]>
  readonly priority: number | null
}

/** Undefined, and reported, when the query is refused. */
export function compileParameterQuery(
  entry: DefinitionEntry,
  query: ParsedQuery,
): readonly ParameterRoute[] | undefined {
  const { context, select } = query
  if (select.distinct !== undefined)
    return context.refuse(select.distinct, 'DISTINCT does not exist in bucket definitions')
  const source = readTable(context, select.from)
  if (source === undefined && select.from.length > 0) return undefined
  if (source?.alias !== undefined) {
    return context.refuse(source.alias, 'The table of a parameter query cannot have an alias: use its name')
  }
  const scope = source === undefined ? undefined : { source, outer: undefined }
  const items = readItems(query, entry, source)
  const conjunctions = lowerWhere({ context, scope }, select.where)
  if (items === undefined || conjunctions === undefined) return undefined
  const routes = conjunctions.flatMap((terms) => makeRoute(source, items, terms) ?? [])
  const inputs = new Set(routes.map(inputsText))
  if (inputs.size > 1) {
    const advice = 'write two parameter queries'
    return context.refuse(select.where ?? select, `Both sides of OR must use the same values of the request: ${advice}`)
  }
  if (!entry.acceptDangerous && routes.some((route) => isDangerous(route, source))) {
    context.warn(
      select,
      'Every client can choose its buckets here: they depend on parameters that clients send, and not on who they are',
    )
  }
  return routes
}

type Items = { readonly values: ReadonlyMap<string, Operand>; readonly priority: number | null }

function readItems(query: ParsedQuery, entry: DefinitionEntry, source: TableSource | undefined): Items | undefined {
  const { context, select } = query
  const values = new Map<string, Operand>()
  let priority: number | null = null
  let isSound = true
  for (const item of select.items) {
    const found = readItem(query, item, source)
    if (found === undefined) {
      isSound = false
    } else if (found.name === '_priority') {
      isSound &&= priority === null && checkPriority(query, entry, item)
      if (priority !== null) context.refuse(item, '"_priority" stands twice: keep one')
      priority = found.operand.expression.kind === 'integer' ? Number(found.operand.expression.digits) : null
    } else if (values.has(found.name)) {
      isSound = false
      context.refuse(item, `The parameter "${found.name}" stands twice: give one of them another name`)
    } else {
      values.set(found.name, found.operand)
    }
  }
  return isSound ? { values, priority } : undefined
}

type Item = { readonly name: string; readonly operand: Operand }

function readItem({ context }: ParsedQuery, item: SelectItem, source: TableSource | undefined): Item | undefined {
  if (item.kind === 'star') return context.refuse(item, 'A parameter query cannot select *: name the columns')
  const scope = source === undefined ? undefined : { source, outer: undefined }
  const operand = lowerOperand({ context, scope }, item.expression)
  if (operand === undefined) return undefined
  if (operand.owner.kind === 'table' && operand.expression.kind !== 'column') {
    return context.refuse(
      item,
      'A parameter query can select columns and values of the request, not expressions over columns',
    )
  }
  const ownName = item.expression.kind === 'column' ? item.expression.name.text : undefined
  const name = item.alias?.text ?? ownName
  if (name === undefined) return context.refuse(item, 'This needs a name: write … AS name, and use it as bucket.name')
  return { name, operand }
}

function checkPriority({ context }: ParsedQuery, entry: DefinitionEntry, item: SelectItem): boolean {
  const literal = item.kind === 'expression' && item.expression.kind === 'integer' ? item.expression : undefined
  if (literal === undefined || !isPriority(Number(literal.digits))) {
    context.refuse(item, '"_priority" must be 0, 1, 2 or 3, written as a number')
    return false
  }
  if (entry.priority !== undefined) {
    context.refuse(item, `"_priority" and the key "priority" of "${entry.name}" both set the priority: keep one`)
    return false
  }
  return true
}

function makeRoute(source: TableSource | undefined, items: Items, terms: Conjunction): ParameterRoute | undefined {
  const values = new Map([...items.values].map(([name, operand]) => [name, [toValue(operand)]]))
  if (source === undefined) {
    const filters = terms.flatMap((term) => (term.kind === 'expression' ? term.expression : []))
    return { filters, steps: [], values, priority: items.priority }
  }
  const draft = draftRoute(source, terms)
  if ('unconnected' in draft) return undefined
  const outputs = [...items.values.values()].flatMap(({ owner, expression }) => (owner === source ? expression : []))
  const step = { ...draft.primary, outputs: distinct(outputs) }
  return { filters: draft.filters, steps: [...draft.steps, step], values, priority: items.priority }
}

function toValue({ owner, expression }: Operand): DraftValue {
  return owner.kind === 'table' ? { kind: 'output', source: owner, expression } : { kind: 'request', expression }
}

function distinct(expressions: readonly Expression[]): readonly Expression[] {
  return [...new Map(expressions.map((expression) => [JSON.stringify(expression), expression])).values()]
}

/** What of the request decides, apart from the row. */
function inputsText(route: ParameterRoute): string {
  const keys = route.steps.flatMap((step) => step.keys.flatMap((key) => key.values))
  const filters = route.filters.filter((filter) => requestSources(filter).length > 0)
  return JSON.stringify([...keys, ...filters].map((part) => JSON.stringify(part)).toSorted())
}

/** Does data that clients choose decide, without a claim in an output, or in a condition on the table's rows? */
function isDangerous(route: ParameterRoute, source: TableSource | undefined): boolean {
  const outputs = sourcesOf([...route.values.values()].flat())
  const keys = sourcesOf(route.steps.flatMap((step) => step.keys.flatMap((key) => key.values)))
  const filters = route.filters.flatMap(requestSources)
  const trusted = source === undefined ? outputs : [...outputs, ...keys, ...filters]
  return [...outputs, ...keys, ...filters].includes('connection') && !trusted.includes('claims')
}

function sourcesOf(values: readonly DraftValue[]): readonly RequestSource[] {
  return values.flatMap((value) => (value.kind === 'request' ? requestSources(value.expression) : []))
}
