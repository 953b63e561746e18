import type { JsonObject } from '@headwater/protocol'

/**
 * For tests: streams of edition 3 as a tree of their own. It is printed as SQL for the compiler (`oracle-print.ts`) and
 * for Postgres (`oracle-postgres.ts`), and evaluated by nested loops (`oracle.ts`).
 */
export type OracleStream = {
  readonly name: string
  readonly autoSubscribe: boolean
  readonly ctes: readonly OracleCte[]
  readonly queries: readonly OracleQuery[]
}

export type OracleCte = { readonly name: string; readonly select: OracleSelect }

export type OracleQuery = {
  readonly from: readonly OracleSource[]
  readonly items: readonly OracleItem[]
  readonly where: OracleCond | undefined
}

/** `star`: of a table or of a subquery. */
export type OracleItem =
  | { readonly kind: 'star'; readonly alias: string }
  | { readonly kind: 'column'; readonly name: string; readonly value: OracleScalar }

/** Select list, sources and condition of a subquery. */
export type OracleSelect = {
  readonly from: readonly OracleSource[]
  readonly columns: readonly { readonly name: string; readonly value: OracleScalar }[]
  readonly where: OracleCond | undefined
}

export type OracleSource = {
  readonly alias: string
  /** Undefined: a comma stands before it. */
  readonly on: OracleCond | 'join' | undefined
  /** LEFT JOIN of a table, an extension of the language: what the condition says without it holds without its rows. */
  readonly isLeft: boolean
  readonly form: OracleSourceForm
}

export type OracleSourceForm =
  | {
      readonly kind: 'table'
      readonly table: string
      /** Rows of this source become objects, under its alias. */
      readonly isPrimary: boolean
    }
  | { readonly kind: 'each'; readonly argument: OracleScalar }
  | { readonly kind: 'subquery'; readonly select: OracleSelect }
  | { readonly kind: 'cte'; readonly cte: OracleCte }

export type OracleCond =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly OracleCond[] }
  | { readonly kind: 'not'; readonly part: OracleCond }
  | {
      readonly kind: 'compare'
      readonly operator: OracleComparison
      readonly left: OracleScalar
      readonly right: OracleScalar
    }
  | {
      readonly kind: 'is'
      readonly what: 'NULL' | 'TRUE' | 'FALSE'
      readonly negated: boolean
      readonly value: OracleScalar
    }
  | {
      readonly kind: 'between'
      readonly negated: boolean
      readonly value: OracleScalar
      readonly low: OracleScalar
      readonly high: OracleScalar
    }
  | {
      readonly kind: 'in-list'
      readonly negated: boolean
      readonly value: OracleScalar
      readonly items: readonly OracleScalar[]
    }
  /** `x NOT IN array`: nothing is joined. */
  | { readonly kind: 'not-in-array'; readonly value: OracleScalar; readonly array: OracleScalar }
  | { readonly kind: 'truth'; readonly value: OracleScalar }
  | { readonly kind: 'in'; readonly value: OracleScalar; readonly right: OracleSet }
  | { readonly kind: 'overlap'; readonly left: OracleSet; readonly right: OracleSet }
  /** `value NOT IN (SELECT …)`, of a value of the request: an extension of the language. */
  | { readonly kind: 'absent'; readonly value: OracleScalar; readonly select: OracleSelect }

export type OracleComparison = '=' | '!=' | '<' | '<=' | '>' | '>='

/** What stands right of IN or beside `&&`. */
export type OracleSet =
  | { readonly kind: 'array'; readonly value: OracleScalar }
  | { readonly kind: 'subquery'; readonly select: OracleSelect }
  | { readonly kind: 'cte'; readonly cte: OracleCte }

export type OracleType = 'text' | 'number' | 'boolean' | 'texts' | 'numbers'

export type OracleScalar =
  | { readonly kind: 'column'; readonly alias: string; readonly column: string; readonly type: OracleType }
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  /** `sub` is written as `auth.user_id()`. */
  | { readonly kind: 'request'; readonly source: OracleRequestSource; readonly name: string; readonly type: OracleType }
  | { readonly kind: 'call'; readonly name: OracleFunction; readonly args: readonly OracleScalar[] }
  | {
      readonly kind: 'case'
      readonly when: OracleCond
      readonly result: OracleScalar
      readonly otherwise: OracleScalar | undefined
    }

export type OracleRequestSource = 'auth' | 'connection' | 'subscription'
export type OracleFunction = 'upper' | 'length' | 'ifnull' | '||' | '+' | '*' | '-'

/** A cell as Postgres prints it; the type of its column says how to read it. */
export type OracleRow = { readonly id: string; readonly [column: string]: string | null }
export type OracleTables = { readonly [table: string]: readonly OracleRow[] }

export type OracleRequest = {
  readonly auth: JsonObject
  readonly connection: JsonObject
  /** Undefined for the evaluation without a subscription. */
  readonly subscription: JsonObject | undefined
}

/** Columns of every table beside the text `id`: Postgres type, and what it is to a query. */
export const ORACLE_COLUMNS: readonly {
  readonly name: string
  readonly postgres: string
  readonly type: OracleType
}[] = [
  { name: 'a', postgres: 'text', type: 'text' },
  { name: 'b', postgres: 'int4', type: 'number' },
  { name: 'c', postgres: 'bool', type: 'boolean' },
  { name: 'd', postgres: 'float8', type: 'number' },
  { name: 'l', postgres: 'jsonb', type: 'texts' },
  { name: 'm', postgres: 'jsonb', type: 'numbers' },
]

export const ORACLE_TABLES = ['t0', 't1', 't2'] as const
