import { didYouMean } from '../file/suggest.ts'
import type { Name, Select, SelectItem, Source, SqlExpression } from '../sql/tree.ts'
import { warnOfClientWord } from './client-words.ts'
import type { OptionalSource } from './left-join.ts'
import { elementsIn, lowerOperand } from './operand.ts'
import { type Cte, NO_CTES, type QueryScope } from './query-scope.ts'
import {
  type DerivedSource,
  type EachSource,
  type NamedSource,
  type Operand,
  readTableSource,
  type Scope,
} from './scope.ts'
import type { Condition } from './terms.ts'

/** What a FROM brings into scope, and the conditions that come with it: those of joins and of subqueries. */
export type From = {
  readonly scope: Scope
  readonly conditions: readonly Condition[]
  /** Tables behind LEFT JOIN, in the order of the query. */
  readonly optional: readonly OptionalSource[]
}

export type LowerCondition = (at: QueryScope, sql: SqlExpression) => Condition | undefined

/**
 * Opens the sources of a FROM. A subquery or common table expression is taken apart: its sources become sources of the
 * query, its conditions conditions of the query, and its columns the expressions that they stand for.
 *
 * Undefined, and reported, when something in it is refused. `at` is what surrounds the SELECT.
 */
export function openFrom(at: QueryScope, sources: readonly Source[], lower: LowerCondition): From | undefined {
  const conditions: Condition[] = []
  const opened = sources.map((source) => {
    const name = nameOf(source)
    if (source.kind === 'call') return { kind: 'derived', name, columns: new Map() } as const
    const found = openSource(at, source, { isJoined: sources.length > 1, lower })
    conditions.push(...(found?.conditions ?? []))
    return found?.source
  })
  let isSound = checkNames(at, sources)
  for (const [index, source] of sources.entries()) {
    if (source.kind !== 'call') continue
    // Until it is open its place is taken by a source without columns: its argument does not see its elements.
    opened[index] = openEach(at, source, { sources: known(opened), outer: at.scope })
  }
  const scope = { sources: known(opened), outer: at.scope }
  isSound &&= scope.sources.length === sources.length
  if (!isSound) return undefined
  const optional: OptionalSource[] = []
  for (const [index, source] of sources.entries()) {
    const { on } = source
    if (source.joined === 'left') {
      const before = { sources: scope.sources.slice(0, index + 1), outer: at.scope }
      const joined = openOptional({ ...at, scope: before }, source, lower)
      if (joined === undefined) isSound = false
      else optional.push(joined)
      continue
    }
    if (on === undefined) continue
    const condition = lower({ ...at, scope }, on)
    if (condition === undefined) isSound = false
    else conditions.push(condition)
  }
  return isSound ? { scope, conditions, optional } : undefined
}

/** `at` sees the sources up to this one. */
function openOptional(at: QueryScope, source: Source, lower: LowerCondition): OptionalSource | undefined {
  const { context } = at
  const { on, start, end } = source
  const opened = at.scope?.sources.at(-1)
  if (opened?.kind !== 'table') return context.refuse(source, 'Behind LEFT JOIN only a table can stand: write JOIN')
  const known = new Set(at.sources.all)
  const condition = on === undefined ? undefined : lower(at, on)
  if (on !== undefined && condition === undefined) return undefined
  const inside = at.sources.all.filter((added) => !known.has(added))
  return { source: opened, on: condition, inside, context, start, end }
}

/** False, and reported, where there is a LEFT JOIN: only the FROM of the query itself can have one. */
export function checkNoLeftJoin({ context }: QueryScope, { optional }: From): boolean {
  const [first] = optional
  if (first === undefined) return true
  context.refuse(first, 'LEFT JOIN does not exist in subqueries of sync configs: write JOIN')
  return false
}

function known(opened: readonly (NamedSource | undefined)[]): readonly NamedSource[] {
  return opened.filter((source) => source !== undefined)
}

function nameOf(source: Source): string {
  return source.alias?.text ?? (source.kind === 'subquery' ? '' : source.name.text)
}

function checkNames({ context }: QueryScope, sources: readonly Source[]): boolean {
  const names = sources.map(nameOf)
  const repeated = sources.filter((source, index) => names.indexOf(nameOf(source)) < index)
  for (const source of repeated) {
    const place = source.alias ?? (source.kind === 'subquery' ? source : source.name)
    context.refuse(place, `Two sources are called "${nameOf(source)}": give one of them another name with AS`)
  }
  return repeated.length === 0
}

type Opened = { readonly source: NamedSource; readonly conditions: readonly Condition[] }

function openSource(
  at: QueryScope,
  source: Source & { readonly kind: 'table' | 'subquery' },
  { isJoined, lower }: { readonly isJoined: boolean; readonly lower: LowerCondition },
): Opened | undefined {
  const name = nameOf(source)
  if (source.kind === 'subquery') return openSelect(at, source.select, { name, columns: source.columns }, lower)
  const cte = source.schema === undefined ? at.ctes.find(source.name.text) : undefined
  if (cte !== undefined) return openCte(at, cte, name, lower)
  const table = readTableSource(at.context, source)
  return table === undefined ? undefined : { source: at.sources.addTable(table, isJoined), conditions: [] }
}

/** Its query sees neither what surrounds the mention nor other common table expressions. */
export function openCte(at: QueryScope, cte: Cte, name: string, lower: LowerCondition): Opened | undefined {
  const inside = { context: cte.context, scope: undefined, ctes: NO_CTES, sources: at.sources }
  return openSelect(inside, cte.select, { name, columns: undefined }, lower)
}

type Naming = { readonly name: string; readonly columns: readonly Name[] | undefined }

function openSelect(at: QueryScope, select: Select, naming: Naming, lower: LowerCondition): Opened | undefined {
  const { context } = at
  warnOfDistinct(at, select)
  if (select.from.length === 0) return context.refuse(select, 'A subquery needs FROM and a table')
  const from = openFrom(at, select.from, lower)
  if (from === undefined || !checkNoLeftJoin(at, from)) return undefined
  const inside = { ...at, scope: from.scope }
  const where = select.where === undefined ? [] : [lower(inside, select.where)]
  const columns = readColumns(inside, select, naming)
  const conditions = [...from.conditions, ...where].filter((condition) => condition !== undefined)
  if (columns === undefined || conditions.length < from.conditions.length + where.length) return undefined
  return { source: { kind: 'derived', name: naming.name, columns }, conditions }
}

export function warnOfDistinct({ context }: QueryScope, { distinct }: Select): void {
  if (distinct !== undefined) context.warn(distinct, 'DISTINCT has no effect: a row is synced once anyway')
}

function readColumns(at: QueryScope, select: Select, naming: Naming): DerivedSource['columns'] | undefined {
  const { context } = at
  const names = naming.columns
  const [first] = select.items
  if (first === undefined) return context.refuse(select, 'A subquery selects nothing: expected columns')
  if (names !== undefined && names.length !== select.items.length) {
    const place = names.at(-1) ?? select
    return context.refuse(place, `The subquery selects ${select.items.length} columns, but ${names.length} are named`)
  }
  const columns = new Map<string, Operand>()
  let isSound = true
  for (const [index, item] of select.items.entries()) {
    const operand = lowerItem(at, item)
    const name = item.kind === 'star' ? undefined : (names?.[index]?.text ?? itemName(at, item))
    if (operand === undefined || name === undefined) {
      isSound = false
    } else if (columns.has(name)) {
      isSound = false
      context.refuse(names?.[index] ?? item, `Two columns are called "${name}": give one of them another name`)
    } else {
      columns.set(name, operand)
    }
  }
  return isSound ? columns : undefined
}

function lowerItem(at: QueryScope, item: SelectItem): Operand | undefined {
  if (item.kind === 'expression') return lowerOperand(at, item.expression)
  return at.context.refuse(item, 'A subquery cannot select *, as the columns of a table are not known: name them')
}

/** What an item of a SELECT list is called: where no name is written, like its text. */
export function itemName({ context }: QueryScope, item: SelectItem & { kind: 'expression' }): string {
  const { expression, alias } = item
  if (alias !== undefined) {
    warnOfClientWord(context, alias)
    return alias.text
  }
  if (expression.kind === 'column') return expression.name.text
  const text = context.textOf(expression)
  context.warn(item, `The column has no name, and will be called "${text}": write … AS name`)
  return text
}

function openEach(at: QueryScope, source: Source & { readonly kind: 'call' }, scope: Scope): EachSource | undefined {
  const { context } = at
  const { name, args, start, end } = source
  if (name.text !== 'json_each') {
    const hint = didYouMean(name.text, ['json_each']) || ': only json_each() gives rows'
    return context.refuse(name, `Unknown function ${name.text}() in FROM${hint}`)
  }
  const [array, second] = args
  if (array === undefined || second !== undefined) {
    return context.refuse(second ?? source, 'json_each() takes one argument, an array as JSON text')
  }
  const argument = lowerOperand({ context, scope }, array)
  return argument === undefined ? undefined : addEach(at, argument, { name: nameOf(source), start, end })
}

/** A new mention of the elements of an array. Undefined, and reported, when it is itself made of elements. */
export function addEach(
  { context, sources }: QueryScope,
  argument: Operand,
  mention: Pick<EachSource, 'name' | 'start' | 'end'>,
): EachSource | undefined {
  const { owner, expression } = argument
  if (owner.kind === 'each' || elementsIn(expression).length > 0) {
    return context.refuse(argument, 'An array cannot be taken out of an element of another: only one level is read')
  }
  return sources.addEach({ ...mention, argument: expression, of: owner, context })
}
