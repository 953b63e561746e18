import type { Span } from '../file/diagnostics.ts'
import type { PlanColumn } from '../plan.ts'
import type { Select, SelectItem } from '../sql/tree.ts'
import { didYouMean } from '../file/suggest.ts'
import type { QueryContext } from './query-context.ts'
import { readRequestData } from './request-data.ts'
import { findColumn, type TableSource } from './scope.ts'

/** The SELECT list of a query that makes objects; undefined, and reported, when something in it is refused. */
export function readColumns(
  context: QueryContext,
  select: Select,
  source: TableSource,
): readonly PlanColumn[] | undefined {
  if (select.items.length === 0) return context.refuse(select, 'The query selects nothing: expected * or columns')
  const columns = select.items.map((item) => readColumn(context, item, source))
  const known = columns.filter((column) => column !== undefined)
  if (known.length < columns.length) return undefined
  checkStar(context, select, known)
  checkId(context, select, { columns: known, source })
  return known
}

function readColumn(context: QueryContext, item: SelectItem, source: TableSource): PlanColumn | undefined {
  if (item.kind === 'star') {
    const { qualifier } = item
    if (qualifier === undefined || qualifier.text === source.name) {
      return { kind: 'star', style: context.edition === 3 ? 'everything' : 'older' }
    }
    const hint = didYouMean(qualifier.text, [source.name]) || `: expected ${source.name}`
    return context.refuse(qualifier, `Unknown table "${qualifier.text}"${hint}`)
  }
  const { expression, alias } = item
  if (expression.kind !== 'column') {
    const request = readRequestData(context, expression)
    if (request === 'refused') return undefined
    const what =
      request === undefined
        ? 'Expressions in the SELECT list are not supported yet'
        : 'Only data of the table can be selected, not of the request'
    return context.refuse(expression, `${what}: expected * or columns`)
  }
  if (context.dialect === 'data-query' && expression.qualifier?.text === 'bucket') {
    return context.refuse(expression, 'A bucket parameter cannot be selected: expected * or columns')
  }
  if (readRequestData(context, expression) !== undefined) return undefined
  const found = findColumn(context, { source, outer: undefined }, expression)
  if (found === undefined) return undefined
  const column = { kind: 'column', name: expression.name.text } as const
  return { kind: 'column', name: alias?.text ?? column.name, expression: column }
}

function checkStar(context: QueryContext, select: Select, columns: readonly PlanColumn[]): void {
  const star = columns.findLastIndex(({ kind }) => kind === 'star')
  const aliased = select.items.findIndex((item) => item.kind === 'expression' && item.alias !== undefined)
  const item = select.items[star]
  if (context.edition === 3 && item !== undefined && aliased !== -1 && aliased < star) {
    context.warn(
      item,
      'The star comes after a renamed column and overwrites it where the names are equal: put it first',
    )
  }
}

type ColumnsOf = { readonly columns: readonly PlanColumn[]; readonly source: TableSource }

/** Clients tell objects of a table apart by `id`. */
function checkId(context: QueryContext, select: Select, { columns, source }: ColumnsOf): void {
  if (columns.some((column) => column.kind === 'column' && column.name === 'id')) return
  const star = select.items[columns.findIndex(({ kind }) => kind === 'star')]
  if (star !== undefined) {
    context.refer(star, { kind: 'id-of-star', table: source.table })
    return
  }
  const message = 'The query selects no "id", by which clients tell rows apart: select id, or a unique column AS id'
  const place: Span = select.items[0] ?? select
  if (context.edition === 3) context.warn(place, message)
  else context.refuse(place, message)
}
