import { didYouMean } from '../file/suggest.ts'
import type { Expression, RequestSource } from '../plan.ts'
import type { SqlExpression } from '../sql/tree.ts'
import type { QueryContext } from './query-context.ts'

/** What a call like `auth.parameter(…)` asks for. */
export type RequestCall =
  | { readonly kind: 'value'; readonly expression: Expression }
  /** The member of the object that the one argument names. */
  | { readonly kind: 'member'; readonly object: Expression; readonly key: SqlExpression }

/** Functions of each prefix. */
const PREFIXES: {
  readonly [prefix: string]: { readonly source: RequestSource; readonly functions: readonly string[] }
} = {
  auth: { source: 'claims', functions: ['user_id', 'parameter', 'parameters'] },
  connection: { source: 'connection', functions: ['parameter', 'parameters'] },
  subscription: { source: 'subscription', functions: ['parameter', 'parameters'] },
}

/** Undefined, and reported, when there is no such function of the request, or it is called wrongly. */
export function readRequestCall(context: QueryContext, sql: SqlExpression & { kind: 'call' }): RequestCall | undefined {
  const prefix = sql.qualifier?.text ?? ''
  const name = `${prefix}.${sql.name.text}()`
  const known = Object.hasOwn(PREFIXES, prefix) ? PREFIXES[prefix] : undefined
  if (known === undefined) {
    return context.refuse(sql, `${name} does not exist in streams: use auth.user_id() and auth.parameter('name')`)
  }
  if (!known.functions.includes(sql.name.text)) {
    const names = known.functions.map((each) => `${prefix}.${each}()`)
    return context.refuse(sql, `Unknown function ${name}${didYouMean(name, names) || `: expected ${names.join(', ')}`}`)
  }
  const object: Expression = { kind: 'request', source: known.source, path: [], style: styleOf(context) }
  if (sql.name.text === 'parameter') {
    const [key, second] = sql.args
    if (key !== undefined && second === undefined) return { kind: 'member', object, key }
    return context.refuse(second ?? sql, `${name} takes the name of one parameter, as in ${prefix}.parameter('name')`)
  }
  const [argument] = sql.args
  if (argument !== undefined) return context.refuse(argument, `${name} takes no arguments`)
  if (sql.name.text === 'parameters') return { kind: 'value', expression: object }
  return { kind: 'value', expression: { ...object, path: ['sub'] } }
}

/** Does the qualifier of a call stand for data of the request, here or in other sync configs? */
export function isRequestPrefix(qualifier: string): boolean {
  return qualifier === 'request' || Object.hasOwn(PREFIXES, qualifier)
}

/**
 * `object ->> key`. Where the object is one of the request, or reached inside one by `->`, it becomes a path into it, so
 * that `auth.parameter('a')` and `auth.parameters() ->> 'a'` are the same.
 */
export function extractText(context: QueryContext, object: Expression, key: Expression): Expression {
  const within = pathTo(context, object)
  const rest = pathOf(context, key)
  if (within === undefined || rest === undefined) return { kind: 'call', name: '->>', args: [object, key] }
  return { ...within, path: [...within.path, ...rest] }
}

/** `parameters() -> 'a' -> 'b'` as the path that a further `->>` goes on from. */
function pathTo(context: QueryContext, object: Expression): (Expression & { kind: 'request' }) | undefined {
  // A member is a text that may happen to hold JSON; only the whole object is JSON from the start.
  if (object.kind === 'request') return object.path.length === 0 ? object : undefined
  if (object.kind !== 'call' || object.name !== '->' || context.engine === 'sqlite') return undefined
  const [outer, key] = object.args
  const within = outer === undefined ? undefined : pathTo(context, outer)
  const rest = key === undefined ? undefined : pathOf(context, key)
  return within === undefined || rest === undefined ? undefined : { ...within, path: [...within.path, ...rest] }
}

/** `$.a.b` walks members; any other key is one name, which older configs split at dots. SQLite reads its paths itself. */
function pathOf({ fixedJsonExtract, engine }: QueryContext, key: Expression): readonly string[] | undefined {
  if (engine === 'sqlite') return key.kind === 'text' && PLAIN_NAME.test(key.value) ? [key.value] : undefined
  if (key.kind === 'integer') return [key.digits]
  if (key.kind !== 'text') return undefined
  if (key.value.startsWith('$')) return key.value.split('.').slice(1)
  return fixedJsonExtract ? [key.value] : key.value.split('.')
}

/** Means a member of that name in SQLite, too. */
const PLAIN_NAME = /^[^$["\\][^"\\]*$/

function styleOf({ fixedJsonExtract }: QueryContext): 'extract' | 'extract-null-text' {
  return fixedJsonExtract ? 'extract' : 'extract-null-text'
}
