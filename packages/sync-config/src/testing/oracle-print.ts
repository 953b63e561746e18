import type {
  OracleCond,
  OracleItem,
  OracleQuery,
  OracleScalar,
  OracleSelect,
  OracleSet,
  OracleSource,
  OracleStream,
} from './oracle-tree.ts'
import type { JsonNull } from './oracle-values.ts'

/** For tests: the config with these streams. JSON is YAML. */
export function printConfig(streams: readonly OracleStream[], jsonNull: JsonNull = null): string {
  const entries = streams.map(({ name, autoSubscribe, ctes, queries }) => {
    const written = queries.map(printQuery)
    const list = Object.fromEntries(ctes.map((cte) => [cte.name, printSelect(cte.select)]))
    return [name, { auto_subscribe: autoSubscribe, ...(ctes.length === 0 ? {} : { with: list }), queries: written }]
  })
  const hasExtension = /"kind":"absent"|"isLeft":true/.test(JSON.stringify(streams))
  const extensions = hasExtension ? { extensions: true } : {}
  const config = { edition: 3, fixed_json_extract: jsonNull === null, ...extensions }
  return JSON.stringify({ config, streams: Object.fromEntries(entries) }, null, 1)
}

export function printQuery({ from, items, where }: OracleQuery): string {
  return `SELECT ${items.map(printItem).join(', ')} FROM ${printFrom(from)}${printWhere(where)}`
}

function printItem(item: OracleItem): string {
  return item.kind === 'star' ? `"${item.alias}".*` : `${printScalar(item.value)} AS "${item.name}"`
}

function printSelect({ from, columns, where }: OracleSelect): string {
  const list = columns.map(({ name, value }) => `${printScalar(value)} AS "${name}"`).join(', ')
  return `SELECT ${list} FROM ${printFrom(from)}${printWhere(where)}`
}

function printWhere(where: OracleCond | undefined): string {
  return where === undefined ? '' : ` WHERE ${printCond(where)}`
}

function printFrom(from: readonly OracleSource[]): string {
  return from
    .map(({ on, alias, form, isLeft }, index) => {
      const source = `${printForm(form)} AS "${alias}"`
      if (index === 0) return source
      if (on === undefined) return `, ${source}`
      return on === 'join' ? ` JOIN ${source}` : ` ${isLeft ? 'LEFT ' : ''}JOIN ${source} ON ${printCond(on)}`
    })
    .join('')
}

function printForm(form: OracleSource['form']): string {
  switch (form.kind) {
    case 'table':
      return form.table
    case 'each':
      return `json_each(${printScalar(form.argument)})`
    case 'subquery':
      return `(${printSelect(form.select)})`
    case 'cte':
      return form.cte.name
  }
}

function printCond(cond: OracleCond): string {
  const not = 'negated' in cond && cond.negated ? 'NOT ' : ''
  switch (cond.kind) {
    case 'and':
    case 'or':
      if (cond.parts.length === 0) return cond.kind === 'and' ? 'TRUE' : 'FALSE'
      return cond.parts.map((part) => `(${printCond(part)})`).join(` ${cond.kind.toUpperCase()} `)
    case 'not':
      return `NOT (${printCond(cond.part)})`
    case 'compare':
      return `${printScalar(cond.left)} ${cond.operator} ${printScalar(cond.right)}`
    case 'is':
      return `${printScalar(cond.value)} IS ${not}${cond.what}`
    case 'between':
      return `${printScalar(cond.value)} ${not}BETWEEN ${printScalar(cond.low)} AND ${printScalar(cond.high)}`
    case 'in-list':
      return `${printScalar(cond.value)} ${not}IN ARRAY[${cond.items.map(printScalar).join(', ')}]`
    case 'not-in-array':
      return `${printScalar(cond.value)} NOT IN ${printScalar(cond.array)}`
    case 'truth':
      return printScalar(cond.value)
    case 'in':
      return `${printScalar(cond.value)} IN ${printSet(cond.right)}`
    case 'absent':
      return `${printScalar(cond.value)} NOT IN (${printSelect(cond.select)})`
    case 'overlap':
      return `${printSet(cond.left)} && ${printSet(cond.right)}`
  }
}

function printSet(set: OracleSet): string {
  switch (set.kind) {
    case 'array':
      return printScalar(set.value)
    case 'subquery':
      return `(${printSelect(set.select)})`
    case 'cte':
      return set.cte.name
  }
}

function printScalar(scalar: OracleScalar): string {
  switch (scalar.kind) {
    case 'column':
      return `"${scalar.alias}"."${scalar.column}"`
    case 'literal':
      return typeof scalar.value === 'string' ? `'${scalar.value}'` : String(scalar.value)
    case 'request':
      return scalar.name === 'sub' ? 'auth.user_id()' : `${scalar.source}.parameter('${scalar.name}')`
    case 'call': {
      const args = scalar.args.map(printScalar)
      return /\w/.test(scalar.name) ? `${scalar.name}(${args.join(', ')})` : `(${args.join(` ${scalar.name} `)})`
    }
    case 'case': {
      const otherwise = scalar.otherwise === undefined ? '' : ` ELSE ${printScalar(scalar.otherwise)}`
      return `CASE WHEN ${printCond(scalar.when)} THEN ${printScalar(scalar.result)}${otherwise} END`
    }
  }
}
