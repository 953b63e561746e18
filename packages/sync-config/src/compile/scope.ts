import { didYouMean } from '../file/suggest.ts'
import type { Name, Source, SqlExpression } from '../sql/tree.ts'
import type { TablePattern } from '../types.ts'
import type { QueryContext } from './query-context.ts'

/** One mention of a table in FROM. Two mentions of one table are two sources: they stand for different rows. */
export type TableSource = {
  readonly kind: 'table'
  readonly table: TablePattern
  /** Alias, else name of the table: what columns are qualified with. */
  readonly name: string
  readonly alias: Name | undefined
}

/** Names that an expression sees: the sources of its own SELECT, then those of the SELECTs around it. */
export type Scope = { readonly source: TableSource; readonly outer: Scope | undefined }

const SCHEMA_DEFAULT = 'public'

/** The one table of a FROM; undefined, and reported, when it is something else. */
export function readTable(context: QueryContext, sources: readonly Source[]): TableSource | undefined {
  const [source, second] = sources
  if (source === undefined) return undefined
  if (second !== undefined) {
    const advice = 'write column IN (SELECT column FROM other_table WHERE …)'
    return context.refuse(second, `Joins are not supported yet: expected one table in FROM; ${advice}`)
  }
  if (source.kind === 'call') {
    return context.refuse(source, `${source.name.text}() in FROM is not supported yet: expected a table`)
  }
  if (source.kind === 'subquery') {
    return context.refuse(source, 'A subquery in FROM is not supported yet: write column IN (SELECT column FROM …)')
  }
  for (const name of [source.schema, source.name]) {
    if (name?.isQuoted === true && name.text.endsWith('%')) {
      return context.refuse(name, 'Wildcards are not supported yet: name one table a query')
    }
  }
  if (source.schema?.text.includes('.') === true) {
    return context.refuse(
      source.schema,
      'A connection tag in the schema is not supported: there is one source database',
    )
  }
  const table = {
    schema: source.schema?.text ?? SCHEMA_DEFAULT,
    isSchemaWildcard: false,
    name: source.name.text,
    isWildcard: false,
  }
  context.refer(source.name, { kind: 'table', table })
  return { kind: 'table', table, name: source.alias?.text ?? table.name, alias: source.alias }
}

/** Which source a column belongs to; undefined, and reported, when its qualifier names none. */
export function findColumn(
  context: QueryContext,
  scope: Scope | undefined,
  expression: SqlExpression & { kind: 'column' },
): TableSource | undefined {
  const { qualifier, name } = expression
  if (scope === undefined) {
    const text = qualifier === undefined ? name.text : `${qualifier.text}.${name.text}`
    return context.refuse(expression, `Cannot read column "${text}": this query has no FROM`)
  }
  const source = qualifier === undefined ? scope.source : findSource(scope, qualifier.text)
  if (source !== undefined) {
    context.refer(name, { kind: 'column', table: source.table, column: name.text })
    return source
  }
  const hint = didYouMean(qualifier?.text ?? '', namesIn(scope)) || `: expected ${namesIn(scope).join(' or ')}`
  return context.refuse(qualifier ?? name, `Unknown table "${qualifier?.text}"${hint}`)
}

export function findSource(scope: Scope, name: string): TableSource | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    if (at.source.name === name) return at.source
  }
  return undefined
}

function namesIn(scope: Scope): readonly string[] {
  const names: string[] = []
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) names.push(at.source.name)
  return names
}
