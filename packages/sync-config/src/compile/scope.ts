import type { Span } from '../file/diagnostics.ts'
import { didYouMean } from '../file/suggest.ts'
import type { Expression } from '../plan.ts'
import type { Name, Source, SqlExpression } from '../sql/tree.ts'
import type { TablePattern } from '../types.ts'
import { warnOfClientWord } from './client-words.ts'
import type { QueryContext, Site } from './query-context.ts'

/** One mention of a table in FROM. Two mentions of one table are two sources: they stand for different rows. */
export type TableSource = Site & {
  readonly kind: 'table'
  readonly table: TablePattern
  /** Alias, else name of the table: what columns are qualified with. */
  readonly name: string
  readonly alias: Name | undefined
}

/** One mention of the elements of an array: `json_each(…)` in FROM, or an array behind IN or beside `&&`. */
export type EachSource = Site & {
  readonly kind: 'each'
  /** Tells mentions apart. `element` expressions name it, until the part of the plan they end up in counts its own. */
  readonly number: number
  readonly name: string
  readonly argument: Expression
  /** What the argument depends on. */
  readonly of: TableSource | typeof REQUEST | typeof NOTHING
}

/** A subquery in FROM, or a common table expression: its sources are those of the query, only its columns have names. */
export type DerivedSource = {
  readonly kind: 'derived'
  readonly name: string
  readonly columns: ReadonlyMap<string, Operand>
}

export type NamedSource = TableSource | EachSource | DerivedSource

/** What an expression depends on. An array of a table belongs to the table; any other is read by itself. */
export type Owner = TableSource | EachSource | typeof REQUEST | typeof NOTHING

/** An expression with one owner. */
export type Operand = Span & { readonly owner: Owner; readonly expression: Expression }

export const REQUEST = { kind: 'request' } as const
export const NOTHING = { kind: 'nothing' } as const

/** Names that an expression sees: the sources of its own SELECT, then those of the SELECTs around it. */
export type Scope = { readonly sources: readonly NamedSource[]; readonly outer: Scope | undefined }

const SCHEMA_DEFAULT = 'public'
/** What the one source database is called where several are told apart. */
const TAG_DEFAULT = 'default'

/** The table that a FROM names; undefined, and reported, when its schema makes no sense. */
export function readTableSource(
  context: QueryContext,
  source: Source & { readonly kind: 'table' },
): TableSource | undefined {
  const schema = readSchema(context, source.schema)
  if (schema === undefined) return undefined
  const table = {
    schema,
    isSchemaWildcard: isWildcard(source.schema),
    name: source.name.text,
    isWildcard: isWildcard(source.name),
  }
  context.refer(source.name, { kind: 'table', table })
  const { start, end, alias } = source
  return { kind: 'table', table, name: alias?.text ?? table.name, alias, context, start, end }
}

/** Table of its objects on the client; null for the name of the table that a row is in. */
export function outputName({ alias, table }: TableSource): string | null {
  return alias?.text ?? (table.isWildcard ? null : table.name)
}

function isWildcard(name: Name | undefined): boolean {
  return name?.isQuoted === true && name.text.endsWith('%')
}

/** Without the tag of the source database that may stand before it, as in `"default.public"`. */
function readSchema(context: QueryContext, name: Name | undefined): string | undefined {
  if (name === undefined) return SCHEMA_DEFAULT
  const [first = '', second, third] = name.text.split('.')
  if (third !== undefined)
    return context.refuse(name, 'A schema is written "schema" or "tag.schema": there is one dot too many')
  if (second === undefined) return first
  if (first !== TAG_DEFAULT) {
    return context.refuse(name, `There is one source database here, with the tag "${TAG_DEFAULT}": write "${second}"`)
  }
  return second
}

/** The value of a column; undefined, and reported, when the name is nowhere in scope, or could be of several sources. */
export function findColumn(
  context: QueryContext,
  scope: Scope | undefined,
  sql: SqlExpression & { kind: 'column' },
): Operand | undefined {
  return sql.qualifier === undefined
    ? findBareColumn(context, scope, sql)
    : findQualifiedColumn(context, scope, { ...sql, qualifier: sql.qualifier })
}

type BareColumn = SqlExpression & { kind: 'column' }

/** Columns of tables are not known, so a bare one can only be of a source that stands alone. */
function findBareColumn(context: QueryContext, scope: Scope | undefined, sql: BareColumn): Operand | undefined {
  const { text } = sql.name
  for (let at = scope; at !== undefined; at = at.outer) {
    const [source, second] = at.sources
    if (second !== undefined) {
      const names = at.sources.map(({ name }) => `${name}.${text}`).join(' or ')
      return context.refuse(sql, `"${text}" could be of several tables: write ${names}`)
    }
    const found = source === undefined ? undefined : columnOf(context, source, sql)
    if (found !== undefined) return found
  }
  const known = knownColumns(scope)
  const hint =
    didYouMean(text, known) || (known.length > 0 ? `: expected ${known.join(' or ')}` : ': there is no table')
  return context.refuse(sql, `Unknown column "${text}"${hint}`)
}

function findQualifiedColumn(
  context: QueryContext,
  scope: Scope | undefined,
  sql: BareColumn & { readonly qualifier: Name },
): Operand | undefined {
  const { qualifier, name } = sql
  const source = findSource(scope, qualifier.text)
  if (source === undefined) return refuseQualifier(context, scope, qualifier)
  const found = columnOf(context, source, sql)
  if (found !== undefined) return found
  const known = columnNames(source)
  const hint = didYouMean(name.text, known) || `: expected ${known.join(' or ')}`
  return context.refuse(name, `"${source.name}" has no column "${name.text}"${hint}`)
}

/** What people write who know other sync configs. */
const ELSEWHERE: { readonly [qualifier: string]: string } = {
  bucket: 'bucket parameters exist in bucket definitions: compare with auth.user_id() or a subquery directly',
  token_parameters: "write auth.parameter('name'), or auth.user_id()",
  user_parameters: "write connection.parameter('name')",
  auth: "write auth.user_id(), or auth.parameter('name')",
  connection: "write connection.parameter('name')",
  subscription: "write subscription.parameter('name')",
}

export function refuseQualifier(context: QueryContext, scope: Scope | undefined, qualifier: Name): undefined {
  const { text } = qualifier
  const names = namesIn(scope)
  const alias = aliasOf(scope, text)
  if (alias !== undefined) return context.refuse(qualifier, `Unknown table "${text}": it is called "${alias}" here`)
  const elsewhere = Object.hasOwn(ELSEWHERE, text) ? `: ${ELSEWHERE[text]}` : undefined
  const expected = names.length === 0 ? ': there is none here' : `: expected ${names.join(' or ')}`
  return context.refuse(qualifier, `Unknown table "${text}"${elsewhere ?? (didYouMean(text, names) || expected)}`)
}

/** What a table of that name is called instead. */
function aliasOf(scope: Scope | undefined, table: string): string | undefined {
  if (scope === undefined) return undefined
  const found = scope.sources.find((source) => source.kind === 'table' && source.table.name === table)
  return found?.name ?? aliasOf(scope.outer, table)
}

export function findSource(scope: Scope | undefined, name: string): NamedSource | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const found = at.sources.find((source) => source.name === name)
    if (found !== undefined) return found
  }
  return undefined
}

/** Undefined where the source is known not to have it. */
function columnOf(context: QueryContext, source: NamedSource, sql: BareColumn): Operand | undefined {
  const { name, start, end } = sql
  switch (source.kind) {
    case 'table':
      warnOfClientWord(context, name)
      context.refer(name, { kind: 'column', table: source.table, column: name.text })
      return { owner: source, expression: { kind: 'column', name: name.text }, start, end }
    case 'each':
      if (name.text !== 'key' && name.text !== 'value') return undefined
      return { ...elementOf(source, name.text), start, end }
    case 'derived': {
      const operand = source.columns.get(name.text)
      return operand === undefined ? undefined : { ...operand, start, end }
    }
  }
}

/** The key or value of the element that stands for the source. */
export function elementOf(each: EachSource, part: 'key' | 'value'): Operand {
  const { start, end } = each
  const owner = each.of.kind === 'table' ? each.of : each
  return { owner, expression: { kind: 'element', expansion: each.number, part }, start, end }
}

function columnNames(source: NamedSource): readonly string[] {
  switch (source.kind) {
    case 'table':
      return []
    case 'each':
      return ['key', 'value']
    case 'derived':
      return [...source.columns.keys()]
  }
}

function knownColumns(scope: Scope | undefined): readonly string[] {
  return scope === undefined ? [] : [...scope.sources.flatMap(columnNames), ...knownColumns(scope.outer)]
}

function namesIn(scope: Scope | undefined): readonly string[] {
  return scope === undefined ? [] : [...scope.sources.map(({ name }) => name), ...namesIn(scope.outer)]
}
