import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'

/** What evaluating gives: a value of a kind, or that it fails. */
export type Outcome = { readonly value: SqliteValue } | 'fails'

export type Row = { readonly [column: string]: SqliteValue }

const STATEMENTS_MAX = 20

/** For tests: evaluates expressions of a plan in SQLite itself. */
export class RealSqlite {
  readonly #database = new DatabaseSync(':memory:')
  readonly #statements = new Map<string, StatementSync>()

  evaluate(expression: Expression, row: Row = {}): Outcome {
    const { sql, values } = printExpression(expression, row)
    return this.run(sql, values)
  }

  /** What an SQL expression gives; its parameters are `?1`, `?2`, … Numbers are reals, bigints integers. */
  run(sql: string, values: readonly SqliteValue[]): Outcome {
    return read(this.#prepare(`SELECT ${sql} AS v`), values)
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#database.prepare(sql)
    statement.setReadBigInts(true)
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear()
    this.#statements.set(sql, statement)
    return statement
  }

  /** A function for what SQL cannot say. */
  define(name: string, implementation: (value: SqliteValue) => SqliteValue): void {
    this.#database.function(
      name,
      { useBigIntArguments: true, deterministic: true },
      implementation as () => SqliteValue,
    )
  }
}

function read(statement: StatementSync, values: readonly SqliteValue[]): Outcome {
  try {
    return { value: statement.get(...values)?.['v'] ?? null }
  } catch (error) {
    if (error instanceof Error && /malformed JSON|bad JSON path|JSON path error/.test(error.message)) return 'fails'
    throw error
  }
}

type Printed = { readonly sql: string; readonly values: readonly SqliteValue[] }

function printExpression(expression: Expression, row: Row): Printed {
  const values: SqliteValue[] = []
  const bind = (value: SqliteValue): string => {
    values.push(value)
    return `?${values.length}`
  }
  const print = (part: Expression): string => {
    switch (part.kind) {
      case 'null':
        return 'NULL'
      case 'integer':
        return bind(BigInt(part.digits))
      case 'real':
      case 'text':
        return bind(part.value)
      case 'column':
        return bind(row[part.name] ?? null)
      case 'compare':
        return `(${print(part.left)} ${part.operator} ${print(part.right)})`
      case 'is-null':
        return `(${print(part.operand)} IS NULL)`
      case 'not':
        return `(NOT ${print(part.operand)})`
      case 'and':
      case 'or':
        return `(${part.operands.map(print).join(` ${part.kind.toUpperCase()} `)})`
      case 'call':
        return printCall(part.name, part.args.map(print))
      case 'case': {
        const branches = part.branches.map(({ when, result }) => `WHEN ${print(when)} THEN ${print(result)}`)
        return `(CASE ${branches.join(' ')} ELSE ${print(part.otherwise)} END)`
      }
      case 'element':
      case 'table':
      case 'request':
        throw new Error(`Invariant: SQLite has no ${part.kind}`)
    }
  }
  return { sql: print(expression), values }
}

function printCall(name: string, args: readonly string[]): string {
  const [first = '', second = '', third = ''] = args
  if (/^\W+$/.test(name)) return `(${first} ${name} ${second})`
  if (name.startsWith('cast_')) return `CAST(${first} AS ${name.slice('cast_'.length)})`
  switch (name) {
    case 'between':
      return `(${first} BETWEEN ${second} AND ${third})`
    case 'in_list':
      return `(${first} IN (${args.slice(1).join(', ')}))`
    case 'in_json':
      return `(${first} IN (SELECT value FROM json_each(${second})))`
    default:
      return `${name}(${args.join(', ')})`
  }
}
