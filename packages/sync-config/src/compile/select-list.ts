import { didYouMean } from '../file/suggest.ts'
import type { Span } from '../file/diagnostics.ts'
import type { PlanColumn } from '../plan.ts'
import type { Select, SelectItem } from '../sql/tree.ts'
import { itemName } from './from.ts'
import { elementsIn, lowerOperand } from './operand.ts'
import type { QueryScope } from './query-scope.ts'
import { findSource, type NamedSource, type Operand, type TableSource } from './scope.ts'

/** What a query of a stream makes of the rows of one table, its primary. */
export type SelectList = { readonly primary: TableSource; readonly columns: readonly PlanColumn[] }

/** A part of the list: where it stands, which table it is of (undefined for a constant), and the column it makes. */
type Part = Span & { readonly owner: TableSource | undefined; readonly column: PlanColumn }

/** Undefined, and reported, when something in the list is refused, or it is not of exactly one table. */
export function readSelectList(at: QueryScope, select: Select): SelectList | undefined {
  const { context } = at
  if (select.items.length === 0) return context.refuse(select, 'The query selects nothing: expected * or columns')
  const read = select.items.map((item) => readItem(at, item))
  const parts = read.flatMap((part) => part ?? [])
  const primary = parts.find(({ owner }) => owner !== undefined)?.owner
  const stranger = parts.find(({ owner }) => owner !== undefined && owner !== primary)
  if (stranger?.owner !== undefined && primary !== undefined) {
    const message = `A query selects from one table, here from "${primary.name}" and from "${stranger.owner.name}"`
    return context.refuse(stranger, `${message}: select the other in a query of its own`)
  }
  if (read.includes(undefined)) return undefined
  if (primary === undefined) {
    return context.refuse(select.items[0] ?? select, 'The query selects no column of a table: name one, or *')
  }
  checkStar(at, select, parts)
  checkId(at, select, parts, primary)
  return { primary, columns: parts.map(({ column }) => column) }
}

function readItem(at: QueryScope, item: SelectItem): readonly Part[] | undefined {
  if (item.kind === 'star') return readStar(at, item)
  const operand = lowerOperand(at, item.expression)
  if (operand === undefined) return undefined
  const part = readColumn(at, operand, itemName(at, item), item)
  return part === undefined ? undefined : [part]
}

function readColumn(at: QueryScope, operand: Operand, name: string, { start, end }: Span): Part | undefined {
  const { owner, expression } = operand
  if (elementsIn(expression).length > 0) {
    return at.context.refuse(operand, 'Elements of an array cannot be selected: select columns of one table')
  }
  if (owner.kind === 'request' || owner.kind === 'each') {
    return at.context.refuse(operand, 'Only data of the table can be selected, not of the request')
  }
  return { owner: owner.kind === 'table' ? owner : undefined, column: { kind: 'column', name, expression }, start, end }
}

function readStar(at: QueryScope, item: SelectItem & { kind: 'star' }): readonly Part[] | undefined {
  const { context } = at
  const source = starSource(at, item)
  if (source === undefined) return undefined
  const span = { start: item.start, end: item.end }
  switch (source.kind) {
    case 'table':
      return [{ owner: source, column: { kind: 'star', style: 'everything' }, ...span }]
    case 'each':
      return context.refuse(item, 'Elements of an array cannot be selected: select columns of one table')
    case 'derived': {
      const parts = Array.from(source.columns, ([name, operand]) => readColumn(at, { ...operand, ...span }, name, span))
      return parts.includes(undefined) ? undefined : parts.flatMap((part) => part ?? [])
    }
  }
}

function starSource({ context, scope }: QueryScope, item: SelectItem & { kind: 'star' }): NamedSource | undefined {
  const sources = scope?.sources ?? []
  const names = sources.map(({ name }) => name)
  if (item.qualifier !== undefined) {
    const { text } = item.qualifier
    const source = findSource(scope, text)
    if (source !== undefined) return source
    return context.refuse(
      item.qualifier,
      `Unknown table "${text}"${didYouMean(text, names) || `: expected ${names.join(' or ')}`}`,
    )
  }
  const [source, second] = sources
  if (second === undefined) return source
  return context.refuse(
    item,
    `With several tables a star needs one of their names: ${names.map((name) => `${name}.*`).join(' or ')}`,
  )
}

function checkStar({ context }: QueryScope, select: Select, parts: readonly Part[]): void {
  const star = parts.findLast(({ column }) => column.kind === 'star')
  const named = select.items.find((item) => item.kind === 'expression' && item.alias !== undefined)
  if (star !== undefined && named !== undefined && named.start < star.start) {
    context.warn(
      star,
      'The star comes after a renamed column and overwrites it where the names are equal: put it first',
    )
  }
}

/** Clients tell objects of a table apart by `id`. */
function checkId({ context }: QueryScope, select: Select, parts: readonly Part[], primary: TableSource): void {
  if (parts.some(({ column }) => column.kind === 'column' && column.name === 'id')) return
  const star = parts.find(({ column }) => column.kind === 'star')
  if (star !== undefined) context.refer(star, { kind: 'id-of-star', table: primary.table })
  else {
    const message = 'The query selects no "id", by which clients tell rows apart: select id, or a unique column AS id'
    context.warn(select.items[0] ?? select, message)
  }
}
