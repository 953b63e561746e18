import { didYouMean } from '../file/suggest.ts'
import type { Expression, RequestSource, RequestStyle } from '../plan.ts'
import type { SqlExpression } from '../sql/tree.ts'
import type { QueryContext } from './query-context.ts'

/**
 * Data of the request that an expression names: `auth.user_id()`, `subscription.parameter('x')`,
 * `request.jwt() ->> 'x'`, `token_parameters.x`. Undefined when it names none; `refused` when it does so wrongly.
 */
export function readRequestData(context: QueryContext, sql: SqlExpression): Expression | undefined | 'refused' {
  if (sql.kind === 'binary') return readExtraction(context, sql)
  if (sql.kind !== 'column' && sql.kind !== 'call') return undefined
  const prefix = sql.qualifier?.text
  if (prefix === undefined) return undefined
  if (sql.kind === 'column') return readOlderTable(context, sql, prefix)
  if (!Object.hasOwn(PREFIXES, prefix)) return undefined
  return readCall(context, sql, prefix)
}

/** Functions of each prefix, and the kind of query that has them. */
const PREFIXES: {
  readonly [prefix: string]: { readonly source: RequestSource; readonly functions: readonly string[] }
} = {
  auth: { source: 'claims', functions: ['user_id', 'parameter', 'parameters'] },
  connection: { source: 'connection', functions: ['parameter', 'parameters'] },
  subscription: { source: 'subscription', functions: ['parameter', 'parameters'] },
  request: { source: 'claims', functions: ['user_id', 'jwt', 'parameter', 'parameters'] },
}

function readCall(
  context: QueryContext,
  sql: SqlExpression & { kind: 'call' },
  prefix: string,
): Expression | 'refused' {
  const name = `${prefix}.${sql.name.text}`
  if (context.dialect === 'data-query') {
    return refused(context, sql, `${name}() cannot be used in a data query: make it a parameter and use bucket.name`)
  }
  const isOlder = prefix === 'request'
  if (isOlder !== (context.dialect === 'parameter-query')) {
    const instead = isOlder ? 'auth.user_id() and auth.parameter(…)' : 'request.user_id() and request.jwt()'
    const where = isOlder ? 'streams' : 'bucket definitions'
    return refused(context, sql, `${name}() does not exist in ${where}: use ${instead}`)
  }
  const { source, functions } = PREFIXES[prefix] ?? { source: 'claims', functions: [] }
  if (!functions.includes(sql.name.text)) {
    const names = functions.map((known) => `${prefix}.${known}()`)
    const hint = didYouMean(`${name}()`, names) || `: expected ${names.join(', ')}`
    return refused(context, sql, `Unknown function ${name}()${hint}`)
  }
  if (sql.name.text === 'parameter')
    return readMember(context, sql, { source: isOlder ? 'connection' : source, isOlder })
  if (sql.args.length > 0) return refused(context, sql, `${name}() takes no arguments`)
  if (sql.name.text === 'user_id') return member('claims', ['sub'], 'extract')
  return member(sql.name.text === 'parameters' && isOlder ? 'connection' : source, [], 'extract')
}

function readMember(
  context: QueryContext,
  sql: SqlExpression & { kind: 'call' },
  from: { readonly source: RequestSource; readonly isOlder: boolean },
): Expression | 'refused' {
  const [key, second] = sql.args
  if (key?.kind !== 'text' || second !== undefined) {
    return refused(context, sql, `${sql.qualifier?.text}.parameter() takes the name of one parameter, in single quotes`)
  }
  if (from.isOlder) return member(from.source, [key.value], 'flat')
  return member(from.source, pathOf(key.value, context.fixedJsonExtract), extractStyle(context))
}

/** `token_parameters.x` and `user_parameters.x`, from before there were functions. */
function readOlderTable(
  context: QueryContext,
  sql: SqlExpression & { kind: 'column' },
  prefix: string,
): Expression | undefined | 'refused' {
  if (prefix !== 'token_parameters' && prefix !== 'user_parameters') return undefined
  if (context.dialect === 'stream') return undefined
  if (context.dialect === 'data-query') {
    return refused(context, sql, `${prefix} cannot be used in a data query: make it a parameter and use bucket.name`)
  }
  if (prefix === 'user_parameters') return member('connection', [sql.name.text], 'flat')
  return sql.name.text === 'user_id'
    ? member('claims', ['sub'], 'flat')
    : member('claims', ['parameters', sql.name.text], 'flat')
}

/** `… ->> 'x'` at the end of a chain of `->` that starts at the whole claims or parameters. */
function readExtraction(
  context: QueryContext,
  sql: SqlExpression & { kind: 'binary' },
): Expression | undefined | 'refused' {
  if (sql.operator !== '->' && sql.operator !== '->>') return undefined
  const object = readObject(context, sql.left)
  if (object === undefined || object === 'refused') return object
  const key = keyOf(sql.right)
  if (key === undefined)
    return refused(context, sql.right, `${sql.operator} takes a name in single quotes, or a number`)
  if (sql.operator === '->') return refused(context, sql, '-> gives JSON text, which cannot be compared yet: write ->>')
  const path = [...object.path, ...pathOf(key, context.fixedJsonExtract)]
  return member(object.source, path, extractStyle(context))
}

type RequestObject = { readonly source: RequestSource; readonly path: readonly string[] }

function readObject(context: QueryContext, sql: SqlExpression): RequestObject | undefined | 'refused' {
  if (sql.kind === 'binary' && sql.operator === '->') {
    const object = readObject(context, sql.left)
    const key = keyOf(sql.right)
    if (object === undefined || object === 'refused' || key === undefined) return object
    return { source: object.source, path: [...object.path, ...pathOf(key, context.fixedJsonExtract)] }
  }
  const data = readRequestData(context, sql)
  if (data === undefined || data === 'refused' || data.kind !== 'request') return data === 'refused' ? data : undefined
  if (data.path.length > 0)
    return refused(context, sql, "Reading inside one parameter is not supported yet: write parameter('$.a.b')")
  return { source: data.source, path: [] }
}

function keyOf(sql: SqlExpression): string | undefined {
  if (sql.kind === 'text') return sql.value
  return sql.kind === 'integer' ? sql.digits : undefined
}

/** `$.a.b` walks members; any other key is one name, which older configs split at dots. */
function pathOf(key: string, fixedJsonExtract: boolean): readonly string[] {
  if (key.startsWith('$')) return key.split('.').slice(1)
  return fixedJsonExtract ? [key] : key.split('.')
}

function extractStyle(context: QueryContext): RequestStyle {
  return context.fixedJsonExtract ? 'extract' : 'extract-null-text'
}

function member(source: RequestSource, path: readonly string[], style: RequestStyle): Expression {
  return { kind: 'request', source, path, style }
}

function refused(context: QueryContext, sql: SqlExpression, message: string): 'refused' {
  context.refuse(sql, message)
  return 'refused'
}
