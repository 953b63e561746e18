import type {
  OracleCond,
  OracleCte,
  OracleQuery,
  OracleScalar,
  OracleSelect,
  OracleSet,
  OracleSource,
  OracleStream,
} from './oracle-tree.ts'

/**
 * For tests: the same streams, said in another way: parts of AND and OR and sides of `=` in another order, other aliases
 * and names of common table expressions, commas for JOIN and JOIN for commas. Aliases of primaries stay, for they name
 * the objects.
 */
export function rewriteStreams(streams: readonly OracleStream[]): readonly OracleStream[] {
  return streams.map(({ ctes, queries, ...stream }) => {
    return { ...stream, ctes: ctes.map(rewriteCte), queries: queries.map(rewriteQuery) }
  })
}

function rewriteCte({ name, select }: OracleCte): OracleCte {
  return { name: `other_${name}`, select: rewriteSelect(select) }
}

function rewriteQuery({ from, items, where }: OracleQuery): OracleQuery {
  return {
    from: from.map((source) => rewriteSource(source)),
    items: items.map((item) =>
      item.kind === 'star' ? { ...item, alias: rename(item.alias) } : { ...item, value: rewriteScalar(item.value) },
    ),
    where: where && rewriteCond(where),
  }
}

function rewriteSelect({ from, columns, where }: OracleSelect): OracleSelect {
  return {
    from: from.map((source) => rewriteSource(source)),
    columns: columns.map(({ name, value }) => ({ name, value: rewriteScalar(value) })),
    where: where && rewriteCond(where),
  }
}

function rewriteSource({ alias, on, form, isLeft }: OracleSource): OracleSource {
  const rewritten = on === 'join' || on === undefined ? swapJoin(on) : rewriteCond(on)
  return { alias: rename(alias), on: rewritten, form: rewriteForm(form), isLeft }
}

function swapJoin(on: 'join' | undefined): 'join' | undefined {
  return on === 'join' ? undefined : 'join'
}

function rewriteForm(form: OracleSource['form']): OracleSource['form'] {
  switch (form.kind) {
    case 'table':
      return form
    case 'each':
      return { ...form, argument: rewriteScalar(form.argument) }
    case 'subquery':
      return { ...form, select: rewriteSelect(form.select) }
    case 'cte':
      return { ...form, cte: rewriteCte(form.cte) }
  }
}

/** `x1`, `x2` are aliases that are nobody's name on the client. */
function rename(alias: string): string {
  return alias.startsWith('x') ? `Another ${alias}` : alias
}

function rewriteCond(cond: OracleCond): OracleCond {
  switch (cond.kind) {
    case 'and':
    case 'or':
      return { ...cond, parts: cond.parts.map(rewriteCond).toReversed() }
    case 'not':
      return { ...cond, part: rewriteCond(cond.part) }
    case 'compare': {
      const [left, right] = [rewriteScalar(cond.left), rewriteScalar(cond.right)]
      return cond.operator === '=' ? { ...cond, left: right, right: left } : { ...cond, left, right }
    }
    case 'between':
      return { ...cond, value: rewriteScalar(cond.value), low: rewriteScalar(cond.low), high: rewriteScalar(cond.high) }
    case 'in-list':
      return { ...cond, value: rewriteScalar(cond.value), items: cond.items.map(rewriteScalar) }
    case 'not-in-array':
      return { ...cond, value: rewriteScalar(cond.value), array: rewriteScalar(cond.array) }
    case 'is':
    case 'truth':
      return { ...cond, value: rewriteScalar(cond.value) }
    case 'in':
      return { ...cond, value: rewriteScalar(cond.value), right: rewriteSet(cond.right) }
    case 'absent':
      return { ...cond, value: rewriteScalar(cond.value), select: rewriteSelect(cond.select) }
    case 'overlap':
      return { ...cond, left: rewriteSet(cond.right), right: rewriteSet(cond.left) }
  }
}

function rewriteSet(set: OracleSet): OracleSet {
  switch (set.kind) {
    case 'array':
      return { ...set, value: rewriteScalar(set.value) }
    case 'subquery':
      return { ...set, select: rewriteSelect(set.select) }
    case 'cte':
      return { ...set, cte: rewriteCte(set.cte) }
  }
}

function rewriteScalar(scalar: OracleScalar): OracleScalar {
  switch (scalar.kind) {
    case 'column':
      return { ...scalar, alias: rename(scalar.alias) }
    case 'literal':
    case 'request':
      return scalar
    case 'call':
      return { ...scalar, args: scalar.args.map(rewriteScalar) }
    case 'case':
      return {
        ...scalar,
        when: rewriteCond(scalar.when),
        result: rewriteScalar(scalar.result),
        otherwise: scalar.otherwise && rewriteScalar(scalar.otherwise),
      }
  }
}
