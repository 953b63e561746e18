import { didYouMean } from '../file/suggest.ts'
import type { PlanColumn } from '../plan.ts'
import type { Select, SelectItem } from '../sql/tree.ts'
import { bucketParameter, lowerScalar } from './older-expression.ts'
import type { OlderScope } from './older-scope.ts'
import type { TableSource } from './scope.ts'

type TableScope = OlderScope & { readonly rows: TableSource }

/**
 * The SELECT list of a query of editions 1 and 2 that makes objects; undefined, and reported, when something in it is
 * refused. Objects of clients need an `id`, the payloads of events do not.
 */
export function readOlderColumns(scope: TableScope, select: Select): readonly PlanColumn[] | undefined {
  const { context } = scope
  if (select.items.length === 0) return context.refuse(select, 'The query selects nothing: expected * or columns')
  const columns = select.items.map((item) => readColumn(scope, item))
  const known = columns.filter((column) => column !== undefined)
  if (known.length < columns.length) return undefined
  if (scope.place !== 'event') checkId(scope, select, known)
  return known
}

function readColumn(scope: TableScope, item: SelectItem): PlanColumn | undefined {
  const { context, rows } = scope
  if (item.kind === 'star') {
    const { qualifier } = item
    if (qualifier === undefined || qualifier.text === rows.name) return { kind: 'star', style: 'older' }
    const hint = didYouMean(qualifier.text, [rows.name]) || `: expected ${rows.name}`
    return context.refuse(qualifier, `Unknown table "${qualifier.text}"${hint}`)
  }
  const { expression: sql, alias } = item
  if (bucketParameter(scope, sql) !== undefined) {
    return context.refuse(sql, 'A bucket parameter cannot be selected: select the column that it is compared with')
  }
  const value = lowerScalar(scope, sql)
  if (value === undefined) return undefined
  if (value.kind === 'request') {
    return context.refuse(item, 'Only data of the table can be selected, not of the request')
  }
  const name = alias?.text ?? (sql.kind === 'column' ? sql.name.text : undefined)
  if (name === undefined) return context.refuse(item, 'This column needs a name: write … AS name')
  return { kind: 'column', name, expression: value.expression }
}

/** Clients tell objects of a table apart by `id`. */
function checkId({ context, rows }: TableScope, select: Select, columns: readonly PlanColumn[]): void {
  if (columns.some((column) => column.kind === 'column' && column.name === 'id')) return
  const star = select.items[columns.findIndex(({ kind }) => kind === 'star')]
  if (star !== undefined) {
    context.refer(star, { kind: 'id-of-star', table: rows.table })
    return
  }
  context.refuse(
    select.items[0] ?? select,
    'The query selects no "id", by which clients tell rows apart: select id, or a unique column AS id',
  )
}
