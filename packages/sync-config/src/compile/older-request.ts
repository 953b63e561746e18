import { didYouMean } from '../file/suggest.ts'
import type { Expression, RequestSource, RequestStyle } from '../plan.ts'
import type { SqlExpression } from '../sql/tree.ts'
import { type OlderPlace, type OlderScope, placeName } from './older-scope.ts'

type Named = SqlExpression & { kind: 'column' | 'call' }

/** Functions of the request, by prefix; those of `request` are for bucket definitions, the others for streams. */
const FUNCTIONS: { readonly [prefix: string]: readonly string[] } = {
  request: ['user_id', 'jwt', 'parameters', 'parameter'],
  auth: ['user_id', 'parameters', 'parameter'],
  connection: ['parameters', 'parameter'],
  subscription: ['parameters', 'parameter'],
}
/** From before there were functions: `token_parameters.x`. */
const TABLES = ['token_parameters', 'user_parameters']

/**
 * Data of the request that a name of editions 1 and 2 stands for: `request.user_id()`, `request.jwt()`,
 * `token_parameters.x`, `connection.parameter('x')`. Undefined when it stands for none; `refused` when it does so where
 * it does not exist.
 */
export function readOlderRequest(scope: OlderScope, sql: Named): Expression | undefined | 'refused' {
  const prefix = sql.qualifier?.text ?? ''
  // A table may be called like that, too.
  if (sql.kind === 'column' && scope.rows?.kind === 'table' && scope.rows.name === prefix) return undefined
  const functions = Object.hasOwn(FUNCTIONS, prefix) ? (FUNCTIONS[prefix] ?? []) : []
  if (sql.kind === 'column' && functions.includes(sql.name.text)) {
    return refused(scope, sql, `${prefix}.${sql.name.text} is a function: write ${prefix}.${sql.name.text}()`)
  }
  const isFunction = sql.kind === 'call' && functions.length > 0
  const isTable = sql.kind === 'column' && TABLES.includes(prefix)
  if (!isFunction && !isTable) return undefined
  const written = `${prefix}.${sql.name.text}${isFunction ? '()' : ''}`
  const fault = faultOf(scope.place, written, isTable || prefix === 'request')
  if (fault !== undefined) return refused(scope, sql, fault)
  return sql.kind === 'column' ? readTable(sql, prefix) : readFunction(scope, sql, prefix)
}

/** Why the data does not exist in this place; undefined where it does. */
function faultOf(place: OlderPlace, written: string, isOfDefinitions: boolean): string | undefined {
  switch (place) {
    case 'parameter-query':
      if (isOfDefinitions) return undefined
      return `${written} does not exist in ${placeName(place)}: use request.user_id(), request.jwt() or request.parameters()`
    case 'stream':
    case 'subquery':
      if (!isOfDefinitions) return undefined
      return `${written} does not exist in streams: use auth.user_id(), auth.parameter('x') or connection.parameter('x')`
    case 'data-query':
      return `${written} cannot be used in a data query: select it in the parameter query, and use bucket.name here`
    case 'event':
      return `${written} cannot be used in an event: it happens when a row changes, whoever is connected`
  }
}

function readTable(sql: SqlExpression & { kind: 'column' }, prefix: string): Expression {
  const name = sql.name.text
  if (prefix === 'user_parameters') return member('connection', [name], 'flat')
  // Not the member that the claim may have by this name: clients could not be told apart by it.
  return name === 'user_id' ? member('claims', ['sub'], 'flat') : member('claims', ['parameters', name], 'flat')
}

function readFunction(
  scope: OlderScope,
  sql: SqlExpression & { kind: 'call' },
  prefix: string,
): Expression | 'refused' {
  const known = FUNCTIONS[prefix] ?? []
  const name = sql.name.text
  if (!known.includes(name)) {
    const names = known.map((each) => `${prefix}.${each}()`)
    const hint = didYouMean(`${prefix}.${name}()`, names) || `: expected ${names.join(', ')}`
    return refused(scope, sql, `Unknown function ${prefix}.${name}()${hint}`)
  }
  if (name === 'parameter') return readParameter(scope, sql, prefix)
  if (sql.args.length > 0) return refused(scope, sql, `${prefix}.${name}() takes no arguments`)
  const source = sourceOf(prefix, name)
  if (name === 'user_id') return member('claims', ['sub'], 'extract')
  const whole = member(source, [], 'extract')
  if (source !== 'subscription') return whole
  // Who has not subscribed is taken for a subscriber without parameters.
  return { kind: 'call', name: 'ifnull', args: [whole, { kind: 'text', value: '{}' }] }
}

/** `connection.parameter` and `request.parameter` know members by name only; the others can walk down a path. */
function readParameter(
  scope: OlderScope,
  sql: SqlExpression & { kind: 'call' },
  prefix: string,
): Expression | 'refused' {
  const [key, second] = sql.args
  if (key?.kind !== 'text' || second !== undefined) {
    const place = second ?? key ?? sql
    return refused(scope, place, `${prefix}.parameter() takes the name of one parameter, in single quotes`)
  }
  const source = sourceOf(prefix, 'parameter')
  if (source === 'connection') return member(source, [key.value], 'flat')
  const path = key.value.startsWith('$') ? key.value.split('.').slice(1) : [key.value]
  return member(source, path, extractStyle(scope))
}

function sourceOf(prefix: string, name: string): RequestSource {
  if (prefix === 'request') return name === 'jwt' || name === 'user_id' ? 'claims' : 'connection'
  if (prefix === 'auth') return 'claims'
  return prefix === 'connection' ? 'connection' : 'subscription'
}

/**
 * `claims -> 'a' ->> 'b'` read off the request directly, without text of JSON in between. Undefined when `object` is not
 * a whole object of the request, or something in it.
 */
export function readMember(scope: OlderScope, object: Expression, key: string): Expression | undefined {
  const found = pathTo(scope, object)
  if (found === undefined) return undefined
  return member(found.source, [...found.path, ...pathOf(scope, key)], extractStyle(scope))
}

type Path = { readonly source: RequestSource; readonly path: readonly string[] }

function pathTo(scope: OlderScope, object: Expression): Path | undefined {
  if (object.kind === 'request') return object.path.length === 0 ? { source: object.source, path: [] } : undefined
  if (object.kind !== 'call' || object.name !== '->') return undefined
  const [inner, key] = object.args
  const outer = inner === undefined ? undefined : pathTo(scope, inner)
  if (outer === undefined || key?.kind !== 'text') return undefined
  return { source: outer.source, path: [...outer.path, ...pathOf(scope, key.value)] }
}

/** `$.a.b` walks members; any other key is one name, which older configs split at dots. */
function pathOf({ options }: OlderScope, key: string): readonly string[] {
  if (key.startsWith('$')) return key.split('.').slice(1)
  return options.fixedJsonExtract ? [key] : key.split('.')
}

function extractStyle({ options }: OlderScope): RequestStyle {
  return options.fixedJsonExtract ? 'extract' : 'extract-null-text'
}

function member(source: RequestSource, path: readonly string[], style: RequestStyle): Expression {
  return { kind: 'request', source, path, style }
}

function refused({ context }: OlderScope, sql: SqlExpression, message: string): 'refused' {
  context.refuse(sql, message)
  return 'refused'
}
