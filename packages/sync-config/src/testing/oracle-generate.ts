import type { Choices } from './choices.ts'
import type { OracleStyle } from './oracle-data.ts'
import { type Atom, atomsOf, isArray, REQUEST_ATOMS } from './oracle-atoms.ts'
import {
  type Around,
  type Leaning,
  makeCond,
  makeEquality,
  makeExpression,
  type OracleScope,
} from './oracle-generate-conditions.ts'
import { findPrimary } from './oracle.ts'
import {
  ORACLE_COLUMNS,
  ORACLE_TABLES,
  type OracleCond,
  type OracleCte,
  type OracleItem,
  type OracleQuery,
  type OracleScalar,
  type OracleSelect,
  type OracleSource,
  type OracleSourceForm,
  type OracleStream,
  type OracleType,
} from './oracle-tree.ts'

/** For tests: streams that the language takes, or that it refuses only because a condition connects nothing. */
export function makeStreams(choices: Choices, style: OracleStyle): readonly OracleStream[] {
  const maker = new QueryMaker(choices, style)
  return Array.from({ length: choices.pick(1, 1, 2) }, (_, index) => maker.makeStream(`s${index}`))
}

/** Aliases that stand for the primary until the name of its objects is known. */
const PRIMARY = '$primary'

const NO_SUBQUERIES: OracleScope = { ctes: [], outer: [], depth: 0 }

/** Makes queries; aliases are never used twice, but for those of primaries with equal columns. */
export class QueryMaker {
  readonly #choices: Choices
  readonly #style: OracleStyle
  #aliases = 0
  #leaning: Leaning = 'mixed'
  /** By what the objects of a query are, so that equal names stand for equal objects. */
  readonly #outputs = new Map<string, string>()

  constructor(choices: Choices, style: OracleStyle) {
    this.#choices = choices
    this.#style = style
  }

  makeStream(name: string): OracleStream {
    const ctes = this.#choices.list(1, (index): OracleCte => {
      return { name: `${name}_cte${index}`, select: this.makeSelect({ ctes: [], outer: [], depth: 1 }, 'free') }
    })
    const count = this.#choices.pick(1, 1, 2, 3)
    const queries = Array.from({ length: count }, () => this.makeQuery(ctes))
    return { name, autoSubscribe: !this.#choices.chance(30), ctes, queries }
  }

  makeQuery(ctes: readonly OracleCte[]): OracleQuery {
    const scope: OracleScope = { ctes, outer: [], depth: 2 }
    this.#leaning = this.#choices.pick('mixed', 'joins')
    const { from, atoms } = this.#makeFrom(scope, true)
    const { alias, items } = this.#makeItems(from, atoms)
    const where = this.#choices.chance(90) ? this.#makeCond(atoms, scope) : undefined
    const query = this.#choices.chance(12) ? this.#addLeftJoin({ from, items, where }, atoms) : { from, items, where }
    const content = JSON.stringify([findPrimary(from).table, items, from.find((source) => source.alias === alias)])
    const output = this.#outputs.get(content) ?? `o${this.#outputs.size}`
    this.#outputs.set(content, output)
    return JSON.parse(JSON.stringify(query).replaceAll(JSON.stringify(PRIMARY), JSON.stringify(output))) as OracleQuery
  }

  /** With a condition that is not true of a row of NULLs, alone or beside a test of the others. */
  #addLeftJoin({ from, items, where }: OracleQuery, atoms: readonly Atom[]): OracleQuery {
    const around = this.#around(NO_SUBQUERIES)
    const [form, alias] = [this.#makeTable(false), this.#makeAlias()]
    const own = atomsOf(form, alias, [])
    const others = [...atoms, ...REQUEST_ATOMS]
    const left = this.#choices.pickFrom(own.filter(({ type }) => type === 'text' || type === 'number'))
    const right = this.#choices.pickFrom(others.filter(({ type }) => type === left.type))
    const equal: OracleCond = { kind: 'compare', operator: '=', left: left.scalar, right: right.scalar }
    const needed: OracleCond = this.#choices.chance(60)
      ? { kind: 'or', parts: [equal, makeCond(around, atoms, 0)] }
      : equal
    return {
      from: [...from, { alias, on: makeEquality(around, own, others), form, isLeft: true }],
      items,
      where: where === undefined ? needed : { kind: 'and', parts: [where, needed] },
    }
  }

  /** `one`: a single column, as right of IN. */
  makeSelect(scope: OracleScope, columns: 'one' | 'free', type?: OracleType): OracleSelect {
    const { from, atoms } = this.#makeFrom(scope, false)
    const count = columns === 'one' ? 1 : this.#choices.pick(1, 2)
    const list = Array.from({ length: count }, (_, index) => {
      const wanted = type ?? this.#choices.pick<OracleType>('text', 'number')
      const owned = atoms.filter((atom) => atom.owner !== 'request' && atom.owner !== 'nothing')
      const fitting = owned.filter((atom) => atom.type === wanted)
      const { owner } = this.#choices.pickFrom(fitting.length === 0 ? owned : fitting)
      return { name: `c${index}`, value: this.#makeExpression(atoms, owner, wanted, 1) }
    })
    const where = this.#choices.chance(75) ? this.#makeCond([...atoms, ...scope.outer], scope) : undefined
    const isTied = this.#style === 'anything' || (columns === 'one' && from.length === 1)
    return { from, columns: list, where: isTied ? where : guard(from, where) }
  }

  #makeCond(atoms: readonly Atom[], scope: OracleScope): OracleCond {
    return makeCond(this.#around(scope), atoms, 2)
  }

  #makeExpression(atoms: readonly Atom[], owner: string, type: OracleType, depth: number): OracleScalar {
    return makeExpression(this.#around(NO_SUBQUERIES), atoms, { owner, type, depth })
  }

  #around(scope: OracleScope): Around {
    const [choices, style, leaning] = [this.#choices, this.#style, this.#leaning]
    return { choices, style, leaning, makeSelect: (inner, type) => this.makeSelect(inner, 'one', type), scope }
  }

  #makeFrom(scope: OracleScope, hasPrimary: boolean): { from: readonly OracleSource[]; atoms: readonly Atom[] } {
    const from: OracleSource[] = []
    const atoms: Atom[] = []
    const add = (form: OracleSourceForm, alias: string): void => {
      const own = atomsOf(form, alias, atoms)
      const on = from.length === 0 ? undefined : this.#makeOn([...atoms, ...scope.outer], own)
      from.push({ alias, on, form, isLeft: false })
      atoms.push(...own)
    }
    if (hasPrimary && this.#choices.chance(15)) add(this.#makePrimarySubquery(), this.#makeAlias())
    else add(this.#makeTable(hasPrimary), hasPrimary ? PRIMARY : this.#makeAlias())
    const more = this.#leaning === 'joins' ? this.#choices.pick(1, 0, 2) : this.#choices.pick(0, 0, 1, 2)
    for (let count = 0; count < more; count += 1) add(this.#makeSource(scope, atoms), this.#makeAlias())
    return { from, atoms }
  }

  #makeAlias(): string {
    this.#aliases += 1
    return `x${this.#aliases}`
  }

  #makeTable(isPrimary: boolean): OracleSourceForm {
    return { kind: 'table', table: this.#choices.pick(...ORACLE_TABLES), isPrimary }
  }

  #makeSource(scope: OracleScope, before: readonly Atom[]): OracleSourceForm {
    const kind = this.#choices.pick('table', 'each', 'subquery', 'table', 'cte')
    const [cte] = scope.ctes
    if (kind === 'cte' && cte !== undefined) return { kind, cte }
    if (kind === 'subquery' && scope.depth > 0) {
      return { kind, select: this.makeSelect({ ctes: scope.ctes, outer: [], depth: scope.depth - 1 }, 'free') }
    }
    if (kind !== 'each') return this.#makeTable(false)
    const arrays = before.filter(({ type, isElement }) => isArray(type) && !isElement)
    return {
      kind,
      argument: this.#choices.pickFrom([...arrays, ...REQUEST_ATOMS.filter(({ type }) => isArray(type))]).scalar,
    }
  }

  /** Columns of a table in parentheses, whose rows become the objects. */
  #makePrimarySubquery(): OracleSourceForm {
    const form = this.#makeTable(true)
    const atoms = atomsOf(form, PRIMARY, [])
    const names = ['id', ...ORACLE_COLUMNS.map(({ name }) => name).filter(() => this.#choices.chance(60))]
    const columns = names.flatMap((name) => {
      const atom = atoms.find(({ scalar }) => scalar.kind === 'column' && scalar.column === name)
      return atom === undefined ? [] : [{ name: name === 'id' ? 'id' : `${name}2`, value: atom.scalar }]
    })
    const where = this.#choices.chance(40) ? this.#makeCond(atoms, NO_SUBQUERIES) : undefined
    return {
      kind: 'subquery',
      select: { from: [{ alias: PRIMARY, on: undefined, form, isLeft: false }], columns, where },
    }
  }

  /** Where types count, every source is tied to what stands before it, for without that Postgres wants it to have rows. */
  #makeOn(before: readonly Atom[], own: readonly Atom[]): OracleSource['on'] {
    const around = this.#around(NO_SUBQUERIES)
    if (this.#style === 'typed') return makeEquality(around, own, [...before, ...REQUEST_ATOMS])
    const kind = this.#choices.pick('on', 'comma', 'join')
    if (kind === 'on') return makeEquality(around, own, [...before, ...REQUEST_ATOMS])
    return kind === 'join' ? 'join' : undefined
  }

  #makeItems(from: readonly OracleSource[], atoms: readonly Atom[]): { alias: string; items: readonly OracleItem[] } {
    const [source] = from
    const alias = source?.alias ?? PRIMARY
    const owner = atoms[0]?.owner ?? PRIMARY
    const own = atoms.filter((atom) => atom.owner === owner && !atom.isElement)
    const id: OracleItem = { kind: 'column', name: 'id', value: { kind: 'column', alias, column: 'id', type: 'text' } }
    const star: OracleItem = { kind: 'star', alias }
    const computed = this.#choices.list(2, (index): OracleItem => {
      const type = this.#choices.pick<OracleType>('text', 'number')
      return {
        kind: 'column',
        name: this.#choices.pick('a', 'b', `n${index}`),
        value: this.#makeExpression(own, owner, type, 2),
      }
    })
    return { alias, items: this.#choices.chance(50) ? [star, ...computed] : [id, ...computed] }
  }
}

/** Names the first source in a test that is always true, so that it counts as one with a condition. */
function guard(from: readonly OracleSource[], where: OracleCond | undefined): OracleCond | undefined {
  const [first] = from
  const atom =
    first === undefined ? undefined : atomsOf(first.form, first.alias, []).find(({ owner }) => owner !== 'request')
  if (atom === undefined) return where
  const test: OracleCond = {
    kind: 'or',
    parts: [true, false].map((negated) => ({ kind: 'is', what: 'NULL', negated, value: atom.scalar })),
  }
  return { kind: 'and', parts: where === undefined ? [test] : [test, where] }
}
