import type { JsonObject, JsonValue } from '@headwater/protocol'

/**
 * A second, slow opinion on what bucket definitions grant, for tests: nested loops over parameter queries, rows and
 * buckets, without lookups, keys or a plan. It has its own tree, which is printed as SQL for the compiler.
 */
export type OracleDefinition = {
  readonly parameters: readonly OracleParameterQuery[]
  readonly data: readonly OracleDataQuery[]
}

export type OracleParameterQuery = {
  readonly from: 'nothing' | { readonly table: string } | { readonly each: OracleValue }
  readonly items: readonly { readonly name: string; readonly value: OracleValue }[]
  readonly priority: number | undefined
  readonly where: OracleTest | undefined
}

export type OracleDataQuery = { readonly table: string; readonly where: OracleTest | undefined }

export type OracleTest =
  | { readonly kind: 'and' | 'or'; readonly left: OracleTest; readonly right: OracleTest }
  | { readonly kind: 'not'; readonly test: OracleTest }
  | {
      readonly kind: 'compare'
      readonly operator: '=' | '!=' | '<' | '>='
      readonly left: OracleValue
      readonly right: OracleValue
    }
  | { readonly kind: 'is-null'; readonly value: OracleValue }
  | { readonly kind: 'truth'; readonly value: OracleValue }
  | { readonly kind: 'in'; readonly value: OracleValue; readonly array: OracleValue }

export type OracleValue =
  | { readonly kind: 'column'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: string | number | null }
  /** `sub` is written as `request.user_id()`. */
  | { readonly kind: 'claim'; readonly name: string }
  | { readonly kind: 'connection'; readonly name: string }
  | { readonly kind: 'element' }
  | { readonly kind: 'bucket'; readonly name: string }

export type OracleCell = string | number | boolean | null | readonly JsonValue[]
export type OracleRow = { readonly id: string; readonly [column: string]: OracleCell }
export type OracleTables = { readonly [table: string]: readonly OracleRow[] }

export type OracleWorld = {
  readonly tables: OracleTables
  readonly claims: JsonObject
  readonly connection: JsonObject
  /** Does `->>` give JSON null as NULL? */
  readonly fixedJsonExtract: boolean
}

export type OracleGrant = {
  /** Values of the bucket's parameters by name, and the smallest priority that leads to it. */
  readonly buckets: readonly { readonly parameters: OracleParameters; readonly priority: number }[]
  /** `table/id`, each once. */
  readonly rows: readonly string[]
}

export type OracleParameters = { readonly [name: string]: Scalar }
type Scalar = string | number | null

/** Everything that an expression may see; a part that is not there is not read. */
type Env = {
  readonly world: OracleWorld
  readonly row: OracleRow
  readonly element: JsonValue | undefined
  readonly bucket: OracleParameters
}

export function grantOf(definition: OracleDefinition, world: OracleWorld): OracleGrant {
  const buckets = new Map<string, { readonly parameters: OracleParameters; readonly priority: number }>()
  for (const query of definition.parameters) {
    for (const env of candidates(query, world)) {
      if (!holds(query.where, env)) continue
      const items = query.items.toSorted((a, b) => (a.name < b.name ? -1 : 1))
      const parameters = Object.fromEntries(items.map(({ name, value }) => [name, valueOf(value, env)]))
      const key = JSON.stringify(parameters)
      const priority = Math.min(query.priority ?? 3, buckets.get(key)?.priority ?? 3)
      buckets.set(key, { parameters, priority })
    }
  }
  const rows = [...buckets.values()].flatMap(({ parameters }) =>
    definition.data.flatMap(({ table, where }) =>
      (world.tables[table] ?? []).flatMap((row) =>
        holds(where, { world, row, element: undefined, bucket: parameters }) ? `${table}/${row.id}` : [],
      ),
    ),
  )
  return { buckets: [...buckets.values()], rows: [...new Set(rows)].toSorted() }
}

function candidates({ from }: OracleParameterQuery, world: OracleWorld): readonly Env[] {
  const env: Env = { world, row: { id: '' }, element: undefined, bucket: {} }
  if (from === 'nothing') return [env]
  if ('table' in from) return (world.tables[from.table] ?? []).map((row) => ({ ...env, row }))
  return elementsOf(jsonOf(from.each, env), world).map((element) => ({ ...env, element }))
}

/** Rows of `json_each(… -> 'x')`: those of an array, or the scalar itself. */
function elementsOf(json: JsonValue | undefined, { fixedJsonExtract }: OracleWorld): readonly JsonValue[] {
  if (json === undefined || (json === null && !fixedJsonExtract)) return []
  return isArray(json) ? json : [json]
}

function holds(test: OracleTest | undefined, env: Env): boolean {
  switch (test?.kind) {
    case undefined:
      return true
    case 'and':
      return holds(test.left, env) && holds(test.right, env)
    case 'or':
      return holds(test.left, env) || holds(test.right, env)
    case 'not':
      return !holds(test.test, env)
    case 'is-null':
      return valueOf(test.value, env) === null
    case 'truth': {
      const value = valueOf(test.value, env)
      // A bucket is told by its parameter, which must be what true is.
      if (test.value.kind === 'bucket') return value === 1
      return typeof value === 'string' ? (Number.parseInt(value, 10) || 0) !== 0 : value !== null && value !== 0
    }
    case 'compare': {
      const [left, right] = [valueOf(test.left, env), valueOf(test.right, env)]
      if (left === null || right === null) return false
      if (test.operator === '=' || test.operator === '!=') return (left === right) === (test.operator === '=')
      const isLess = typeof left === typeof right ? left < right : typeof left === 'number'
      return isLess === (test.operator === '<')
    }
    case 'in': {
      const value = valueOf(test.value, env)
      const array = jsonOf(test.array, env)
      if (value === null || array === undefined || !isArray(array)) return false
      return array.some((element) => element !== null && toScalar(element, env.world) === value)
    }
  }
}

function valueOf(value: OracleValue, env: Env): Scalar {
  const json = jsonOf(value, env)
  if (json === undefined) return null
  const isRequest = value.kind === 'claim' || value.kind === 'connection' || value.kind === 'element'
  return json === null && !isRequest ? null : toScalar(json, env.world)
}

function jsonOf(value: OracleValue, { world, row, element, bucket }: Env): JsonValue | undefined {
  switch (value.kind) {
    case 'column':
      return row[value.name]
    case 'literal':
      return value.value
    case 'claim':
      return world.claims[value.name]
    case 'connection':
      return world.connection[value.name]
    case 'element':
      return element
    case 'bucket':
      return bucket[value.name]
  }
}

function toScalar(json: JsonValue, { fixedJsonExtract }: OracleWorld): Scalar {
  if (json === null) return fixedJsonExtract ? null : 'null'
  if (typeof json === 'boolean') return Number(json)
  return typeof json === 'object' ? JSON.stringify(json) : json
}

function isArray(json: JsonValue): json is readonly JsonValue[] {
  return Array.isArray(json)
}

export function printDefinition(definition: OracleDefinition): JsonObject {
  return {
    accept_potentially_dangerous_queries: true,
    parameters: definition.parameters.map(printParameterQuery),
    data: definition.data.map(({ table, where }) => `SELECT id FROM ${table}${printWhere(where)}`),
  }
}

function printParameterQuery({ from, items, priority, where }: OracleParameterQuery): string {
  const selected = items.map(({ name, value }) => `${printValue(value)} AS ${name}`)
  const list = [...selected, ...(priority === undefined ? [] : [`${priority} AS _priority`])].join(', ')
  const source =
    from === 'nothing' ? '' : ` FROM ${'table' in from ? from.table : `json_each(${printArray(from.each)})`}`
  return `SELECT ${list}${source}${printWhere(where)}`
}

function printWhere(where: OracleTest | undefined): string {
  return where === undefined ? '' : ` WHERE ${printTest(where)}`
}

function printTest(test: OracleTest): string {
  switch (test.kind) {
    case 'and':
    case 'or':
      return `(${printTest(test.left)} ${test.kind.toUpperCase()} ${printTest(test.right)})`
    case 'not':
      return `NOT (${printTest(test.test)})`
    case 'is-null':
      return `${printValue(test.value)} IS NULL`
    case 'truth':
      return printValue(test.value)
    case 'compare':
      return `${printValue(test.left)} ${test.operator} ${printValue(test.right)}`
    case 'in':
      return `${printValue(test.value)} IN ${printArray(test.array)}`
  }
}

function printValue(value: OracleValue): string {
  switch (value.kind) {
    case 'column':
      return value.name
    case 'literal':
      return typeof value.value === 'string' ? `'${value.value}'` : String(value.value)
    case 'claim':
      return value.name === 'sub' ? 'request.user_id()' : `(request.jwt() ->> '${value.name}')`
    case 'connection':
      return `(request.parameters() ->> '${value.name}')`
    case 'element':
      return 'value'
    case 'bucket':
      return `bucket.${value.name}`
  }
}

/** A value that is looked into. */
function printArray(value: OracleValue): string {
  if (value.kind === 'claim') return `(request.jwt() -> '${value.name}')`
  return value.kind === 'connection' ? `(request.parameters() -> '${value.name}')` : printValue(value)
}
