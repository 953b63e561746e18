import {
  ORACLE_COLUMNS,
  type OracleCond,
  type OracleItem,
  type OracleQuery,
  type OracleRequest,
  type OracleRequestSource,
  type OracleRow,
  type OracleScalar,
  type OracleSelect,
  type OracleSet,
  type OracleSource,
  type OracleTables,
} from './oracle-tree.ts'
import {
  callFunction,
  compare,
  elementsOf,
  fromJson,
  isTruthy,
  type JsonNull,
  type OracleValue,
  readCell,
  toJson,
  toOracleBoolean,
} from './oracle-values.ts'

export type World = {
  readonly tables: OracleTables
  readonly request: OracleRequest
  readonly jsonNull: JsonNull
}

/** The loops would take too long. */
export class TooManyTurns extends Error {
  override readonly name = 'TooManyTurns'
}

/** Choices of rows that are tried for one row of the primary. */
const TURNS_MAX = 5000

/**
 * For tests: a second, slow opinion on what a query grants: nested loops over all rows, no plan, no buckets. Objects as
 * `type/id data`; each once.
 *
 * A source without a condition imposes nothing, so beside its rows every source may stand for no row at all, which
 * makes each test that names it false. Throws `TooManyTurns`.
 */
export function grantedObjects(query: OracleQuery, world: World): readonly string[] {
  const primary = findPrimary(query.from)
  const rows = world.tables[primary.table] ?? []
  const objects = rows.flatMap((row) => {
    const turns = { left: TURNS_MAX }
    for (const scope of assignments(query.from, { world, turns, primaryRow: row, outer: undefined })) {
      if (isMet(query.where, scope)) return [printObject(query.items, primary.alias, scope)]
    }
    return []
  })
  return [...new Set(objects)]
}

type Primary = { readonly alias: string; readonly table: string }

/** The source whose rows become objects; it may be inside a subquery. */
export function findPrimary(from: readonly OracleSource[]): Primary {
  const found = findPrimaryIn(from)
  if (found === undefined) throw new Error('Invariant: a query has a primary')
  return found
}

function findPrimaryIn(from: readonly OracleSource[]): Primary | undefined {
  for (const { alias, form } of from) {
    if (form.kind === 'table' && form.isPrimary) return { alias, table: form.table }
    const select = form.kind === 'subquery' ? form.select : undefined
    const inner = form.kind === 'cte' ? form.cte.select : select
    const found = inner === undefined ? undefined : findPrimaryIn(inner.from)
    if (found !== undefined) return found
  }
  return undefined
}

/** What a name in FROM stands for at one turn of the loops. */
type Binding =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'row'; readonly row: OracleRow }
  | { readonly kind: 'element'; readonly key: OracleValue; readonly value: OracleValue }
  | { readonly kind: 'select'; readonly select: OracleSelect; readonly scope: Scope }

type Scope = {
  readonly bindings: ReadonlyMap<string, Binding>
  readonly outer: Scope | undefined
  readonly world: World
  readonly turns: Turns
}

type Turns = { left: number }

type Around = {
  readonly world: World
  readonly turns: Turns
  readonly primaryRow: OracleRow | undefined
  readonly outer: Scope | undefined
}

const NOTHING: Binding = { kind: 'nothing' }

/** Every choice of rows that meets the conditions of the joins and of the subqueries in FROM. */
function* assignments(from: readonly OracleSource[], around: Around): Generator<Scope> {
  const { world, turns, outer } = around
  const start: Scope = { bindings: new Map(), outer, world, turns }
  // Arguments of json_each need the rows, wherever they stand.
  const ordered = [
    ...from.filter(({ form }) => form.kind !== 'each'),
    ...from.filter(({ form }) => form.kind === 'each'),
  ]
  for (const scope of bind(ordered, start, around)) {
    if (from.every((source) => isJoined(source, scope))) yield scope
  }
}

function isJoined({ alias, on, isLeft }: OracleSource, scope: Scope): boolean {
  if (isLeft && scope.bindings.get(alias)?.kind === 'nothing') return true
  return on === undefined || on === 'join' || isMet(on, scope)
}

function* bind(sources: readonly OracleSource[], scope: Scope, around: Around): Generator<Scope> {
  const [source, ...others] = sources
  if (source === undefined) {
    yield scope
    return
  }
  for (const binding of bindingsOf(source, scope, around)) {
    around.turns.left -= 1
    if (around.turns.left < 0) throw new TooManyTurns()
    const bindings = new Map([...scope.bindings, [source.alias, binding]])
    yield* bind(others, { ...scope, bindings }, around)
  }
}

function* bindingsOf({ form }: OracleSource, scope: Scope, around: Around): Generator<Binding> {
  switch (form.kind) {
    case 'table':
      if (form.isPrimary && around.primaryRow !== undefined) {
        yield { kind: 'row', row: around.primaryRow }
        return
      }
      for (const row of around.world.tables[form.table] ?? []) yield { kind: 'row', row }
      yield NOTHING
      return
    case 'each': {
      const argument = valueOf(form.argument, scope)
      if (argument !== MISSING)
        for (const element of elementsOf(argument, scope.world.jsonNull)) yield { kind: 'element', ...element }
      yield NOTHING
      return
    }
    case 'subquery':
    case 'cte': {
      const select = form.kind === 'cte' ? form.cte.select : form.select
      for (const inner of assignments(select.from, { ...around, outer: undefined })) {
        if (isMet(select.where, inner)) yield { kind: 'select', select, scope: inner }
      }
    }
  }
}

/** `wanted` is what the condition must be: NOT goes down to the tests, and a test that names nothing is never met. */
function isMet(cond: OracleCond | undefined, scope: Scope, wanted = true): boolean {
  if (cond === undefined) return true
  switch (cond.kind) {
    case 'and':
    case 'or': {
      const isEvery = (cond.kind === 'and') === wanted
      const parts = cond.parts.map((part) => isMet(part, scope, wanted))
      return isEvery ? !parts.includes(false) : parts.includes(true)
    }
    case 'not':
      return isMet(cond.part, scope, !wanted)
    case 'in':
    case 'overlap': {
      if (!wanted) throw new Error('Invariant: NOT stands over no join')
      const right = [...membersOf(cond.right, scope)]
      const left: readonly Found[] =
        cond.kind === 'in' ? [valueOf(cond.value, scope)] : [...membersOf(cond.left, scope)]
      return left.some((one) => right.some((other) => one !== MISSING && isTruthy(compare(one, '=', other))))
    }
    case 'absent': {
      if (!wanted) throw new Error('Invariant: NOT stands over no absence')
      const value = valueOf(cond.value, scope)
      const inside = { ...scope, outer: undefined }
      const members = [...membersOf({ kind: 'subquery', select: cond.select }, inside)]
      return value !== MISSING && value !== null && !members.some((other) => isTruthy(compare(value, '=', other)))
    }
    default: {
      const value = testOf(cond, scope)
      return value !== MISSING && isTruthy(value) === wanted
    }
  }
}

function* membersOf(set: OracleSet, scope: Scope): Generator<OracleValue> {
  if (set.kind === 'array') {
    const array = valueOf(set.value, scope)
    if (array !== MISSING) yield* elementsOf(array, scope.world.jsonNull).map(({ value }) => value)
    return
  }
  const select = set.kind === 'cte' ? set.cte.select : set.select
  const [column] = select.columns
  const { world, turns } = scope
  const outer = set.kind === 'cte' ? undefined : scope
  for (const inner of assignments(select.from, { world, turns, primaryRow: undefined, outer })) {
    const value = column === undefined || !isMet(select.where, inner) ? MISSING : valueOf(column.value, inner)
    if (value !== MISSING) yield value
  }
}

/** The value of what names a source that stands for nothing. */
const MISSING: unique symbol = Symbol('missing')

type Found = OracleValue | typeof MISSING

/** Value of a test; AND, OR and NOT occur here only inside of other expressions. */
function testOf(cond: OracleCond, scope: Scope): Found {
  switch (cond.kind) {
    case 'and':
    case 'or':
    case 'not': {
      const parts = (cond.kind === 'not' ? [cond.part] : cond.parts).map((part) => testOf(part, scope))
      if (parts.includes(MISSING)) return MISSING
      const truths = parts.map((part) => part !== MISSING && isTruthy(part))
      if (cond.kind === 'not') return toOracleBoolean(!truths.includes(true))
      return toOracleBoolean(cond.kind === 'and' ? !truths.includes(false) : truths.includes(true))
    }
    case 'in':
    case 'overlap':
    case 'absent':
      throw new Error('Invariant: joins stand only in conditions')
    case 'compare':
      return withValues([cond.left, cond.right], scope, ([left = null, right = null]) =>
        compare(left, cond.operator, right),
      )
    case 'is':
      return withValues([cond.value], scope, ([value = null]) =>
        toOracleBoolean(isWhat(value, cond.what) !== cond.negated),
      )
    case 'between':
      return withValues([cond.value, cond.low, cond.high], scope, ([value = null, low = null, high = null]) => {
        const sides = [compare(value, '>=', low), compare(value, '<=', high)]
        const between = sides.includes(null) ? null : toOracleBoolean(sides.every(isTruthy))
        return cond.negated ? toOracleBoolean(!isTruthy(between)) : between
      })
    case 'in-list':
      return withValues([cond.value, ...cond.items], scope, ([value = null, ...items]) => {
        const found = isIn(value, items)
        return cond.negated ? toOracleBoolean(!isTruthy(found)) : found
      })
    case 'not-in-array':
      return withValues([cond.value, cond.array], scope, ([value = null, array = null]) => {
        const found = isIn(
          value,
          elementsOf(array, null).map((element) => element.value),
        )
        return toOracleBoolean(!(array !== null && isTruthy(found)))
      })
    case 'truth':
      return valueOf(cond.value, scope)
  }
}

function isWhat(value: OracleValue, what: 'NULL' | 'TRUE' | 'FALSE'): boolean {
  if (what === 'NULL') return value === null
  return isTruthy(compare(value, '=', what === 'TRUE' ? 1n : 0n))
}

function isIn(value: OracleValue, items: readonly OracleValue[]): OracleValue {
  if (value === null) return null
  if (items.some((item) => isTruthy(compare(value, '=', item)))) return 1n
  return items.includes(null) ? null : 0n
}

function withValues(
  scalars: readonly OracleScalar[],
  scope: Scope,
  compute: (values: readonly OracleValue[]) => OracleValue,
): Found {
  const values = scalars.map((scalar) => valueOf(scalar, scope))
  const known = values.filter((value) => value !== MISSING)
  return known.length === values.length ? compute(known) : MISSING
}

function valueOf(scalar: OracleScalar, scope: Scope): Found {
  switch (scalar.kind) {
    case 'column':
      return columnOf(scalar.alias, scalar.column, scope)
    case 'literal':
      return literalOf(scalar.value)
    case 'request':
      return parameterOf(scope.world, scalar.source, scalar.name)
    case 'call':
      return withValues(scalar.args, scope, (args) => callFunction(scalar.name, args))
    case 'case': {
      const when = testOf(scalar.when, scope)
      const result = valueOf(scalar.result, scope)
      const otherwise = scalar.otherwise === undefined ? null : valueOf(scalar.otherwise, scope)
      if (when === MISSING || result === MISSING || otherwise === MISSING) return MISSING
      return isTruthy(when) ? result : otherwise
    }
  }
}

/** A member that is not there is NULL, whatever JSON null is. */
function parameterOf({ request, jsonNull }: World, source: OracleRequestSource, name: string): OracleValue {
  const value = request[source]?.[name]
  return value === undefined ? null : fromJson(value, jsonNull)
}

function literalOf(value: string | number | boolean | null): OracleValue {
  if (typeof value === 'boolean') return toOracleBoolean(value)
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value
}

function columnOf(alias: string, column: string, scope: Scope): Found {
  const binding = scope.bindings.get(alias)
  switch (binding?.kind) {
    case undefined:
      if (scope.outer === undefined) throw new Error(`Invariant: nothing is called ${alias}`)
      return columnOf(alias, column, scope.outer)
    case 'nothing':
      return MISSING
    case 'row':
      return cellOf(binding.row, column)
    case 'element':
      return column === 'key' ? binding.key : binding.value
    case 'select': {
      const inner = binding.select.columns.find(({ name }) => name === column)
      if (inner === undefined) throw new Error(`Invariant: ${alias} has no ${column}`)
      return valueOf(inner.value, binding.scope)
    }
  }
}

function cellOf(row: OracleRow, column: string): OracleValue {
  const type = ORACLE_COLUMNS.find(({ name }) => name === column)?.postgres ?? 'text'
  return readCell(row[column] ?? null, type)
}

/** Later columns overwrite earlier ones, in their place. */
function printObject(items: readonly OracleItem[], type: string, scope: Scope): string {
  const members = new Map<string, OracleValue>()
  for (const item of items) {
    for (const [name, value] of item.kind === 'star'
      ? starOf(item.alias, scope)
      : [[item.name, valueOf(item.value, scope)] as const]) {
      if (value === MISSING) throw new Error('Invariant: a column is of the primary')
      members.set(name, value)
    }
  }
  const id = members.get('id') ?? null
  const data = [...members].map(([name, value]) => `${JSON.stringify(name)}:${toJson(value)}`).join(',')
  return `${type}/${id === null ? '' : String(id)} {${data}}`
}

function starOf(alias: string, scope: Scope): readonly (readonly [string, Found])[] {
  const binding = scope.bindings.get(alias)
  const names =
    binding?.kind === 'select'
      ? binding.select.columns.map(({ name }) => name)
      : ['id', ...ORACLE_COLUMNS.map(({ name }) => name)]
  return names.map((name) => [name, columnOf(alias, name, scope)])
}
