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

/** Sources that one test names; two of them in an equality. */
type Term = readonly string[]
/** One way to meet a condition: all of these. */
type Conjunction = readonly Term[]

/** Conjunctions that a query may become here. The language allows more, which take long to compile. */
const WAYS_MAX = 30

/** Of all its common table expressions and queries. */
export function findObstacles({ ctes, queries }: OracleStream): readonly Obstacle[] {
  return [...ctes.map(findObstacleInCte), ...queries.map(findObstacle)].filter((found) => found !== undefined)
}

export type Obstacle = 'unconnected' | 'too many ways'

/**
 * For tests: what keeps the query from being compared. Every source that a condition names must hang together with the
 * primary, with the request, or with a test of its own; sources that are connected only to each other are refused.
 */
export function findObstacle(query: OracleQuery): Obstacle | undefined {
  const scope = scopeOf(query.from, '', undefined)
  const inner = product([conditionsOf(query.from, scope), waysToMeet(query.where, scope)])
  const ways = inner.flatMap((way) => withLeftJoins(way, query.from, scope))
  if (ways.length > WAYS_MAX) return 'too many ways'
  const primary = pathOfPrimary(query.from, '')
  return ways.every((way) => hangsTogether(way, primary)) ? undefined : 'unconnected'
}

/** The same for a common table expression that no query may refer to: what is behind NOT IN is looked at all the same. */
export function findObstacleInCte({ select }: OracleCte): Obstacle | undefined {
  const scope = scopeOf(select.from, '', undefined)
  const ways = product([conditionsOf(select.from, scope), waysToMeet(select.where, scope)])
  if (ways.length > WAYS_MAX) return 'too many ways'
  return ways.some((way) => way.includes(NOWHERE)) ? 'unconnected' : undefined
}

/** Only what names the table behind LEFT JOIN needs its condition. */
function withLeftJoins(way: Conjunction, from: readonly OracleSource[], scope: Scope): readonly Conjunction[] {
  const named = new Set(way.flat())
  const joined = from.filter(({ alias, isLeft }) => isLeft && named.has(`/${alias}`))
  return product([[way], ...joined.map(({ on }) => waysToMeet(on === 'join' ? undefined : on, scope))])
}

function pathOfPrimary(from: readonly OracleSource[], path: string): readonly string[] {
  return from.flatMap((source) => {
    const name = `${path}/${source.alias}`
    if (source.form.kind === 'table') return source.form.isPrimary ? [name] : []
    return pathOfPrimary(selectOf(source)?.from ?? [], name)
  })
}

function hangsTogether(way: Conjunction, primary: readonly string[]): boolean {
  const anchored = new Set([...primary, ...way.filter(({ length }) => length === 1).flat()])
  const named = new Set(way.flat())
  for (const source of named) if (source.startsWith(REQUEST)) anchored.add(source)
  for (let hasGrown = true; hasGrown;) {
    const reached = way.filter((term) => term.some((source) => anchored.has(source))).flat()
    hasGrown = reached.some((source) => !anchored.has(source))
    for (const source of reached) anchored.add(source)
  }
  return [...named].every((source) => anchored.has(source))
}

/** Begins the names of what depends on the request alone. */
const REQUEST = 'request'

type Scope = {
  readonly path: string
  /** Sources that a column depends on: one, or none. */
  readonly resolve: (alias: string, column: string) => readonly string[]
}

function scopeOf(from: readonly OracleSource[], path: string, outer: Scope | undefined): Scope {
  const scope: Scope = {
    path,
    resolve: (alias, column) => {
      const source = from.find((each) => each.alias === alias)
      if (source === undefined) return outer?.resolve(alias, column) ?? []
      const name = `${path}/${alias}`
      switch (source.form.kind) {
        case 'table':
          return [name]
        case 'each': {
          const owners = ownersOf(source.form.argument, scope)
          return owners.every((owner) => owner.startsWith(REQUEST)) ? [`${REQUEST} ${name}`] : owners
        }
        default: {
          const inner = selectOf(source)
          const value = inner?.columns.find((each) => each.name === column)?.value
          return inner === undefined || value === undefined ? [] : ownersOf(value, scopeOf(inner.from, name, undefined))
        }
      }
    },
  }
  return scope
}

function selectOf({ form }: OracleSource): OracleSelect | undefined {
  if (form.kind === 'cte') return form.cte.select
  return form.kind === 'subquery' ? form.select : undefined
}

/** Of the joins, and of the subqueries in FROM. */
function conditionsOf(from: readonly OracleSource[], scope: Scope): readonly Conjunction[] {
  return product(
    from.flatMap((source) => {
      const joined = source.on === 'join' || source.isLeft ? undefined : source.on
      const inner = selectOf(source)
      const innerScope = inner && scopeOf(inner.from, `${scope.path}/${source.alias}`, undefined)
      const own =
        inner === undefined || innerScope === undefined
          ? []
          : [conditionsOf(inner.from, innerScope), waysToMeet(inner.where, innerScope)]
      return [waysToMeet(joined, scope), ...own]
    }),
  )
}

/** Two sources that nothing reaches. */
const NOWHERE: Term = ['nowhere', 'nowhere either']

function waysToMeet(cond: OracleCond | undefined, scope: Scope, isNegated = false): readonly Conjunction[] {
  if (cond === undefined) return [[]]
  switch (cond.kind) {
    case 'and':
    case 'or': {
      const parts = cond.parts.map((part) => waysToMeet(part, scope, isNegated))
      return (cond.kind === 'and') === isNegated ? parts.flat() : product(parts)
    }
    case 'not':
      return waysToMeet(cond.part, scope, !isNegated)
    case 'in':
    case 'overlap': {
      const left =
        cond.kind === 'in' ? { ways: [[]], owners: ownersOf(cond.value, scope) } : membersOf(cond.left, scope)
      const right = membersOf(cond.right, scope)
      return product([left.ways, right.ways, [[[...new Set([...left.owners, ...right.owners])]]]])
    }
    case 'absent': {
      const { ways, owners } = membersOf({ kind: 'subquery', select: cond.select }, { ...scope, resolve: () => [] })
      if (ways.length > WAYS_MAX) return ways
      const isReached = product([ways, [[owners]]]).every((way) => hangsTogether(way, []))
      return isReached ? [[]] : [[NOWHERE]]
    }
    default:
      return [[[...new Set(ownersOfTest(cond, scope))]]]
  }
}

let sets = 0

function membersOf(set: OracleSet, scope: Scope): { readonly ways: readonly Conjunction[]; readonly owners: Term } {
  sets += 1
  const path = `${scope.path}/set${sets}`
  if (set.kind === 'array') {
    const owners = ownersOf(set.value, scope)
    return { ways: [[]], owners: owners.every((owner) => owner.startsWith(REQUEST)) ? [`${REQUEST} ${path}`] : owners }
  }
  const select = set.kind === 'cte' ? set.cte.select : set.select
  const inner = scopeOf(select.from, path, set.kind === 'cte' ? undefined : scope)
  const [column] = select.columns
  return {
    ways: product([conditionsOf(select.from, inner), waysToMeet(select.where, inner)]),
    owners: column === undefined ? [] : ownersOf(column.value, inner),
  }
}

/** Cut off behind the limit. */
function product(parts: readonly (readonly Conjunction[])[]): readonly Conjunction[] {
  return parts.reduce<readonly Conjunction[]>(
    (ways, part) => ways.flatMap((way) => part.map((other) => [...way, ...other])).slice(0, WAYS_MAX + 1),
    [[]],
  )
}

function ownersOfTest(cond: OracleCond, scope: Scope): readonly string[] {
  switch (cond.kind) {
    case 'and':
    case 'or':
      return cond.parts.flatMap((part) => ownersOfTest(part, scope))
    case 'not':
      return ownersOfTest(cond.part, scope)
    case 'compare':
      return [...ownersOf(cond.left, scope), ...ownersOf(cond.right, scope)]
    case 'between':
      return [cond.value, cond.low, cond.high].flatMap((scalar) => ownersOf(scalar, scope))
    case 'in-list':
      return [cond.value, ...cond.items].flatMap((scalar) => ownersOf(scalar, scope))
    case 'not-in-array':
      return [cond.value, cond.array].flatMap((scalar) => ownersOf(scalar, scope))
    case 'is':
    case 'truth':
      return ownersOf(cond.value, scope)
    default:
      return []
  }
}

/** The request itself is not among them: it is there for everybody. */
function ownersOf(scalar: OracleScalar, scope: Scope): readonly string[] {
  switch (scalar.kind) {
    case 'column':
      return scope.resolve(scalar.alias, scalar.column)
    case 'literal':
    case 'request':
      return []
    case 'call':
      return [...new Set(scalar.args.flatMap((part) => ownersOf(part, scope)))]
    case 'case': {
      const parts = [scalar.result, ...(scalar.otherwise === undefined ? [] : [scalar.otherwise])]
      return [...new Set([...ownersOfTest(scalar.when, scope), ...parts.flatMap((part) => ownersOf(part, scope))])]
    }
  }
}
