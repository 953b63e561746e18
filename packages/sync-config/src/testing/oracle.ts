import type { JsonObject, JsonValue } from '@headwater/protocol'

/**
 * A second, slow opinion on what a query grants, for tests: nested loops over all rows, no plan, no buckets. It has its
 * own tree, which is printed as SQL for the compiler, and its own rules of truth and equality.
 */
export type Query = { readonly table: string; readonly alias: string; readonly where: Cond | undefined }

export type Cond =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Cond[] }
  | { readonly kind: 'not'; readonly part: Cond }
  | {
      readonly kind: 'compare'
      readonly operator: '=' | '!=' | '<' | '>='
      readonly left: Operand
      readonly right: Operand
    }
  | { readonly kind: 'is-null'; readonly operand: Operand }
  | { readonly kind: 'truth'; readonly operand: Operand }
  | { readonly kind: 'in'; readonly operand: Operand; readonly query: Query; readonly column: string }

export type Operand =
  | { readonly kind: 'column'; readonly alias: string; readonly column: string }
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'request'; readonly source: 'auth' | 'connection' | 'subscription'; readonly name: string }

export type OracleRow = { readonly [column: string]: string | number | boolean | null }
export type OracleTables = { readonly [table: string]: readonly OracleRow[] }
export type OracleRequest = {
  readonly auth: JsonObject
  readonly connection: JsonObject
  readonly subscription: JsonObject | undefined
}

/** Rows of the query's table that the request is granted. */
export function grantedRows(query: Query, tables: OracleTables, request: OracleRequest): readonly OracleRow[] {
  return (tables[query.table] ?? []).filter((row) => holds(query.where, { [query.alias]: row }, { tables, request }))
}

type Env = { readonly [alias: string]: OracleRow }
type World = { readonly tables: OracleTables; readonly request: OracleRequest }

function holds(cond: Cond | undefined, env: Env, world: World): boolean {
  switch (cond?.kind) {
    case undefined:
      return true
    case 'and':
      return cond.parts.every((part) => holds(part, env, world))
    case 'or':
      return cond.parts.some((part) => holds(part, env, world))
    case 'not':
      return !holds(cond.part, env, world)
    case 'is-null':
      return valueOf(cond.operand, env, world) === null
    case 'truth':
      return isTruthy(valueOf(cond.operand, env, world))
    case 'compare': {
      const [left, right] = [valueOf(cond.left, env, world), valueOf(cond.right, env, world)]
      if (left === null || right === null) return cond.operator === '!='
      if (cond.operator === '=' || cond.operator === '!=') return (left === right) === (cond.operator === '=')
      const isLess = typeof left === typeof right ? left < right : typeof left === 'number'
      return isLess === (cond.operator === '<')
    }
    case 'in': {
      const { table, alias, where } = cond.query
      const wanted = valueOf(cond.operand, env, world)
      return (world.tables[table] ?? []).some((row) => {
        const found = toValue(row[cond.column] ?? null)
        return found !== null && found === wanted && holds(where, { ...env, [alias]: row }, world)
      })
    }
  }
}

function valueOf(operand: Operand, env: Env, { request }: World): string | number | null {
  switch (operand.kind) {
    case 'column':
      return toValue(env[operand.alias]?.[operand.column] ?? null)
    case 'literal':
      return toValue(operand.value)
    case 'request':
      return toValue(request[operand.source]?.[operand.name] ?? null)
  }
}

function toValue(value: JsonValue): string | number | null {
  if (typeof value === 'boolean') return Number(value)
  return typeof value === 'object' ? null : value
}

function isTruthy(value: string | number | null): boolean {
  if (typeof value === 'string') return (Number.parseInt(value, 10) || 0) !== 0
  return value !== null && value !== 0
}

export function printQuery({ table, alias, where }: Query, columns: string): string {
  return `SELECT ${columns} FROM ${table} AS ${alias}${where === undefined ? '' : ` WHERE ${printCond(where)}`}`
}

function printCond(cond: Cond): string {
  switch (cond.kind) {
    case 'and':
    case 'or':
      return cond.parts.map((part) => `(${printCond(part)})`).join(` ${cond.kind.toUpperCase()} `)
    case 'not':
      return `NOT (${printCond(cond.part)})`
    case 'is-null':
      return `${printOperand(cond.operand)} IS NULL`
    case 'truth':
      return printOperand(cond.operand)
    case 'compare':
      return `${printOperand(cond.left)} ${cond.operator} ${printOperand(cond.right)}`
    case 'in':
      return `${printOperand(cond.operand)} IN (${printQuery(cond.query, cond.column)})`
  }
}

function printOperand(operand: Operand): string {
  switch (operand.kind) {
    case 'column':
      return `${operand.alias}.${operand.column}`
    case 'literal':
      return typeof operand.value === 'string' ? `'${operand.value}'` : String(operand.value)
    case 'request':
      return operand.name === 'sub' ? 'auth.user_id()' : `${operand.source}.parameter('${operand.name}')`
  }
}
