import type {
  OracleCond,
  OracleQuery,
  OracleRequest,
  OracleScalar,
  OracleSelect,
  OracleSet,
  OracleSource,
  OracleStream,
} from './oracle-tree.ts'

/** A statement of Postgres and what its `$1`, `$2` … stand for. */
export type PostgresQuery = { readonly text: string; readonly values: readonly (string | number | boolean | null)[] }

/**
 * For tests: the ids that a query gives, in the words of Postgres. What differs: a parameter of the request is a `$n`,
 * json_each is a lateral subquery, and every test is put into `coalesce(…, false)`, as NULL counts as false before NOT.
 * All types must fit, and every source must be tied to another by a condition of its join.
 */
export function printForPostgres(
  { from, items, where }: OracleQuery,
  { ctes }: Pick<OracleStream, 'ctes'>,
  request: OracleRequest,
): PostgresQuery {
  const printer = new Printer(request)
  const id = items.find((item) => item.kind === 'star' || item.name === 'id')
  if (id === undefined) throw new Error('Invariant: an object has an id')
  const column = id.kind === 'star' ? `"${id.alias}"."id"` : printer.scalar(id.value)
  const named = ctes.map(({ name, select }) => `${name} AS (${printer.select(select)})`)
  const text = `SELECT DISTINCT ${column} AS id FROM ${printer.from(from)}${printer.where(where)}`
  return { text: named.length === 0 ? text : `WITH ${named.join(', ')} ${text}`, values: printer.values }
}

class Printer {
  readonly values: (string | number | boolean | null)[] = []
  readonly #request: OracleRequest

  constructor(request: OracleRequest) {
    this.#request = request
  }

  select({ from, columns, where }: OracleSelect): string {
    const list = columns.map(({ name, value }) => `${this.scalar(value)} AS "${name}"`).join(', ')
    return `SELECT ${list} FROM ${this.from(from)}${this.where(where)}`
  }

  where(where: OracleCond | undefined): string {
    return where === undefined ? '' : ` WHERE ${this.cond(where)}`
  }

  from(from: readonly OracleSource[]): string {
    return from
      .map(({ on, alias, form, isLeft }, index) => {
        const source = `${this.#form(form)} AS "${alias}"`
        if (index === 0) return source
        return ` ${isLeft ? 'LEFT ' : ''}JOIN ${source} ON ${on === undefined || on === 'join' ? 'true' : this.cond(on)}`
      })
      .join('')
  }

  #form(form: OracleSource['form']): string {
    switch (form.kind) {
      case 'table':
        return form.table
      case 'each':
        return `LATERAL (SELECT place - 1 AS key, ${this.#element(form.argument)})`
      case 'subquery':
        return `(${this.select(form.select)})`
      case 'cte':
        return form.cte.name
    }
  }

  /** Select list and source of the elements of an array. */
  #element(array: OracleScalar): string {
    const cast = typeOf(array) === 'numbers' ? '::float8' : ' COLLATE "C"'
    const argument = `CAST(${this.scalar(array)} AS jsonb)`
    return `element${cast} AS value FROM jsonb_array_elements_text(${argument}) WITH ORDINALITY AS each(element, place)`
  }

  /** Never NULL. */
  cond(cond: OracleCond): string {
    switch (cond.kind) {
      case 'and':
      case 'or':
        return cond.parts.map((part) => `(${this.cond(part)})`).join(` ${cond.kind.toUpperCase()} `)
      case 'not':
        return `NOT (${this.cond(cond.part)})`
      case 'compare':
        if (cond.operator === '!=')
          return `NOT ${this.#decided(`${this.scalar(cond.left)} = ${this.scalar(cond.right)}`)}`
        return this.#decided(`${this.scalar(cond.left)} ${cond.operator} ${this.scalar(cond.right)}`)
      case 'is':
        return `${this.scalar(cond.value)} IS ${cond.negated ? 'NOT ' : ''}${cond.what}`
      case 'between': {
        const between = `${this.scalar(cond.value)} BETWEEN ${this.scalar(cond.low)} AND ${this.scalar(cond.high)}`
        return `${cond.negated ? 'NOT ' : ''}${this.#decided(between)}`
      }
      case 'in-list': {
        const list = cond.items.map((item) => this.scalar(item)).join(', ')
        return `${cond.negated ? 'NOT ' : ''}${this.#decided(`${this.scalar(cond.value)} IN (${list})`)}`
      }
      case 'not-in-array':
        return `NOT ${this.#decided(`${this.scalar(cond.value)} IN (SELECT ${this.#element(cond.array)})`)}`
      case 'truth':
        return this.#decided(this.scalar(cond.value))
      case 'in':
        return this.#decided(`${this.scalar(cond.value)} IN ${this.#set(cond.right)}`)
      case 'absent': {
        const value = this.scalar(cond.value)
        return `${value} IS NOT NULL AND NOT ${this.#decided(`${value} IN (${this.select(cond.select)})`)}`
      }
      case 'overlap':
        return `EXISTS (SELECT FROM ${this.#set(cond.left)} AS one(value) JOIN ${this.#set(cond.right)} AS other(value) ON one.value = other.value)`
    }
  }

  #decided(test: string): string {
    return `coalesce((${test}), false)`
  }

  #set(set: OracleSet): string {
    switch (set.kind) {
      case 'array':
        return `(SELECT ${this.#element(set.value)})`
      case 'subquery':
        return `(${this.select(set.select)})`
      case 'cte':
        return `(SELECT * FROM ${set.cte.name})`
    }
  }

  scalar(scalar: OracleScalar): string {
    switch (scalar.kind) {
      case 'column':
        return `"${scalar.alias}"."${scalar.column}"`
      case 'literal':
        return typeof scalar.value === 'string' ? `'${scalar.value}'` : String(scalar.value)
      case 'request':
        return this.#parameter(scalar)
      case 'call': {
        const args = scalar.args.map((arg) => this.scalar(arg))
        if (!/\w/.test(scalar.name)) return `(${args.join(` ${scalar.name} `)})`
        return `${scalar.name === 'ifnull' ? 'coalesce' : scalar.name}(${args.join(', ')})`
      }
      case 'case': {
        const otherwise = scalar.otherwise === undefined ? '' : ` ELSE ${this.scalar(scalar.otherwise)}`
        return `CASE WHEN ${this.cond(scalar.when)} THEN ${this.scalar(scalar.result)}${otherwise} END`
      }
    }
  }

  #parameter({ source, name, type }: OracleScalar & { readonly kind: 'request' }): string {
    const value = this.#request[source]?.[name] ?? null
    this.values.push(typeof value === 'object' && value !== null ? JSON.stringify(value) : value)
    const cast = { text: 'text COLLATE "C"', number: 'float8', boolean: 'bool', texts: 'jsonb', numbers: 'jsonb' }[type]
    return `($${this.values.length}::${cast})`
  }
}

/** `texts` or `numbers`, of what an array is written as. */
function typeOf(array: OracleScalar): 'texts' | 'numbers' {
  if (array.kind === 'column' || array.kind === 'request') return array.type === 'numbers' ? 'numbers' : 'texts'
  return array.kind === 'literal' && array.value === '["x","1"]' ? 'texts' : 'numbers'
}
