import type { Choices } from './choices.ts'
import type { OracleStyle } from './oracle-data.ts'
import { type Atom, describeScalar, REQUEST_ATOMS } from './oracle-atoms.ts'
import type {
  OracleComparison,
  OracleCond,
  OracleCte,
  OracleScalar,
  OracleSelect,
  OracleSet,
  OracleType,
} from './oracle-tree.ts'

export type OracleScope = {
  readonly ctes: readonly OracleCte[]
  /** What a subquery sees of the queries around it. */
  readonly outer: readonly Atom[]
  /** Subqueries that may still stand inside each other. */
  readonly depth: number
}

/** `joins`: mostly equalities of plain columns, of few different ones, so that several meet in one column. */
export type Leaning = 'mixed' | 'joins'

export type Around = {
  readonly choices: Choices
  readonly style: OracleStyle
  readonly leaning: Leaning
  readonly makeSelect: (scope: OracleScope, type: OracleType) => OracleSelect
  readonly scope: OracleScope
}

/** For tests: a condition over these atoms and the request. Where NOT stands over it, `isNegated`, it joins nothing. */
export function makeCond(around: Around, atoms: readonly Atom[], depth: number, isNegated = false): OracleCond {
  const { choices } = around
  const isJoins = around.leaning === 'joins'
  if (isJoins && depth > 0 && !isNegated && choices.chance(35)) return makeMeeting(around, atoms)
  const inner = isJoins ? choices.pick('and', 'leaf', 'and', 'or') : choices.pick('leaf', 'and', 'or', 'leaf', 'not')
  const kind = depth === 0 ? 'leaf' : inner
  switch (kind) {
    case 'and':
    case 'or': {
      const count = isJoins ? choices.pick(2, 3, 4) : choices.pick(2, 1, 3)
      return { kind, parts: Array.from({ length: count }, () => makeCond(around, atoms, depth - 1, isNegated)) }
    }
    case 'not':
      return { kind, part: makeCond(around, atoms, depth - 1, !isNegated) }
    case 'leaf': {
      const joining = choices.pick('equality', isJoins ? 'equality' : 'test', 'in', 'equality', 'overlap', 'test')
      const form = isNegated ? 'test' : joining
      if (form === 'equality') return makeEquality(around, atoms, [...atoms, ...REQUEST_ATOMS])
      if (form === 'test') return makeTest(around, atoms, makeOwner(around, atoms))
      if (form === 'in')
        return around.scope.depth > 0 && choices.chance(15) ? makeAbsence(around) : makeIn(around, atoms)
      const left = makeSet(around, atoms, choices.pick('text', 'number'))
      return { kind: 'overlap', left: left.set, right: makeSet(around, atoms, left.type).set }
    }
  }
}

/** Several conditions on one column: its values come from all of them. */
function makeMeeting(around: Around, atoms: readonly Atom[]): OracleCond {
  const { choices } = around
  const typed = atoms.filter(({ type }) => type === 'text' || type === 'number')
  const meeting = choices.pickFrom(typed.length === 0 ? atoms : typed)
  const { type } = meeting
  const others = [...atoms, ...REQUEST_ATOMS].filter((atom) => atom.type === type && atom.owner !== meeting.owner)
  const parts = Array.from({ length: choices.pick(2, 3) }, (): OracleCond => {
    if (choices.chance(50)) return { kind: 'in', value: meeting.scalar, right: makeSet(around, atoms, type).set }
    return { kind: 'compare', operator: '=', left: meeting.scalar, right: choices.pickFrom(others).scalar }
  })
  return { kind: 'and', parts }
}

function makeOwner({ choices }: Around, atoms: readonly Atom[]): string {
  const owners = [...new Set(atoms.map(({ owner }) => owner)), 'request']
  return choices.pickFrom(owners)
}

/** `A = B`, each side of one source, of the request, or a literal. */
export function makeEquality(around: Around, left: readonly Atom[], right: readonly Atom[]): OracleCond {
  const types = (['text', 'number'] as const).filter((type) => left.some((atom) => atom.type === type))
  const type = types.length === 0 ? 'text' : around.choices.pickFrom(types)
  const pickOwner = (atoms: readonly Atom[], other?: string): string => {
    const fitting = atoms.filter((atom) => atom.type === type && atom.owner !== other)
    const tables = fitting.filter((atom) => atom.owner !== 'request')
    const wanted = around.leaning === 'joins' && tables.length > 0 && around.choices.chance(60) ? tables : fitting
    return around.choices.pickFrom(wanted.length === 0 ? atoms : wanted).owner
  }
  const first = left.find((atom) => atom.type === type)?.owner
  const owner = first !== undefined && around.leaning === 'joins' && around.choices.chance(60) ? first : pickOwner(left)
  const isSame = around.leaning === 'mixed' && around.choices.chance(20)
  const sides = [
    makeExpression(around, left, { owner, type, depth: 1 }),
    makeExpression(around, right, { owner: pickOwner(right, isSame ? undefined : owner), type, depth: 1 }),
  ]
  const [one = NULL, other = NULL] = around.choices.chance(50) ? sides.toReversed() : sides
  return { kind: 'compare', operator: '=', left: one, right: other }
}

const NULL: OracleScalar = { kind: 'literal', value: null }

function makeIn(around: Around, atoms: readonly Atom[]): OracleCond {
  const { set, type } = makeSet(around, atoms, around.choices.pick('text', 'number'))
  const owner = around.choices.chance(15) ? 'nothing' : makeOwner(around, atoms)
  return { kind: 'in', value: makeExpression(around, atoms, { owner, type, depth: 1 }), right: set }
}

function makeAbsence(around: Around): OracleCond {
  const { choices, scope } = around
  const type = choices.pick<'text' | 'number'>('text', 'number')
  const value = makeExpression(around, [], { owner: 'request', type, depth: 1 })
  const select = around.makeSelect({ ctes: scope.ctes, outer: [], depth: scope.depth - 1 }, type)
  return { kind: 'absent', value, select }
}

function makeSet(around: Around, atoms: readonly Atom[], type: OracleType): { set: OracleSet; type: OracleType } {
  const { choices, makeSelect, scope } = around
  const kind = choices.pick('array', 'subquery', 'cte')
  if (kind === 'subquery' && scope.depth > 0) {
    const inner = { ctes: scope.ctes, outer: [...atoms], depth: scope.depth - 1 }
    return { set: { kind, select: makeSelect(inner, type) }, type }
  }
  const cte = scope.ctes.find((each) => typeOfOnly(each) === type || around.style === 'anything')
  if (kind === 'cte' && cte !== undefined && typeOfOnly(cte) !== undefined) return { set: { kind, cte }, type }
  const wanted = type === 'text' ? 'texts' : 'numbers'
  const arrays = [...atoms, ...REQUEST_ATOMS].filter((atom) => atom.type === wanted && !atom.isElement)
  if (choices.chance(10)) {
    const json = type === 'text' ? '["x","1"]' : '[1,2]'
    return { set: { kind: 'array', value: { kind: 'literal', value: json } }, type }
  }
  return { set: { kind: 'array', value: choices.pickFrom(arrays).scalar }, type }
}

/** Undefined where there are several columns. */
function typeOfOnly({ select }: OracleCte): OracleType | undefined {
  const [column] = select.columns
  return column === undefined || select.columns.length > 1 ? undefined : describeScalar(column.value, []).type
}

const COMPARISONS: readonly OracleComparison[] = ['=', '!=', '<', '<=', '>', '>=']

/** A test over one owner, which NOT may stand over. */
function makeTest(around: Around, atoms: readonly Atom[], owner: string): OracleCond {
  const { choices } = around
  const type = choices.pick<'text' | 'number'>('text', 'number')
  const make = (): OracleScalar => makeExpression(around, atoms, { owner, type, depth: 1 })
  const operand = (): OracleScalar => (choices.chance(70) ? makeLiteral(around, type) : make())
  const negated = choices.chance(30)
  const kind = choices.pick('compare', 'truth', 'is', 'between', 'in-list', 'not-in-array')
  switch (kind) {
    case 'compare':
      return { kind, operator: choices.pickFrom(COMPARISONS), left: make(), right: operand() }
    case 'truth':
      if (around.style === 'anything') return { kind, value: make() }
      return { kind, value: makeExpression(around, atoms, { owner, type: 'boolean', depth: 0 }) }
    case 'is':
      if (choices.chance(50)) return { kind, what: 'NULL', negated, value: make() }
      return {
        kind,
        what: choices.pick('TRUE', 'FALSE'),
        negated,
        value: makeExpression(around, atoms, { owner, type: 'boolean', depth: 0 }),
      }
    case 'between':
      return { kind, negated, value: make(), low: operand(), high: operand() }
    case 'in-list':
      return { kind, negated, value: make(), items: [operand(), operand()] }
    case 'not-in-array': {
      // Only these columns hold nothing but arrays.
      const arrays = allOf(atoms, owner).filter((atom) => atom.type === 'numbers' && !atom.isElement)
      const literal: OracleScalar = { kind: 'literal', value: '[1,null,2]' }
      const array = choices.pickFrom([literal, ...arrays.map(({ scalar }) => scalar)])
      return { kind, value: makeExpression(around, atoms, { owner, type: 'number', depth: 1 }), array }
    }
  }
}

function allOf(atoms: readonly Atom[], owner: string): readonly Atom[] {
  const own = atoms.filter((atom) => atom.owner === owner)
  return owner === 'request' ? [...REQUEST_ATOMS, ...own] : own
}

function makeLiteral({ choices, style }: Around, type: OracleType): OracleScalar {
  const any = style === 'anything' && choices.chance(30)
  if (any)
    return { kind: 'literal', value: choices.pick<string | number | boolean | null>(null, true, '1', 1.5, 'x', 0) }
  if (type === 'boolean') return { kind: 'literal', value: choices.pick(true, false) }
  return {
    kind: 'literal',
    value: type === 'number' ? choices.pick<number>(1, 0, 2, 1.5) : choices.pick('x', 'y', '1'),
  }
}

type Wanted = { readonly owner: string; readonly type: OracleType; readonly depth: number }

/** An expression over one owner; of the type, where types count and the owner has something of it. */
export function makeExpression(around: Around, atoms: readonly Atom[], wanted: Wanted): OracleScalar {
  const { choices, style } = around
  const { owner, type, depth } = wanted
  const own = allOf(atoms, owner)
  const fitting = own.filter((atom) => (style === 'typed' || choices.chance(60) ? atom.type === type : true))
  if (fitting.length === 0)
    return style === 'typed' || own.length === 0 ? makeLiteral(around, type) : choices.pickFrom(own).scalar
  if (around.leaning === 'joins' && choices.chance(90)) {
    const few = fitting
      .filter(({ scalar }) => scalar.kind !== 'column' || scalar.column !== 'id')
      .slice(0, choices.pick(1, 2))
    return choices.pickFrom(few.length === 0 ? fitting : few).scalar
  }
  const form = depth === 0 ? 'atom' : choices.pick('atom', 'atom', 'atom', 'call', 'case')
  const part = (of: OracleType = type): OracleScalar =>
    makeExpression(around, atoms, { owner, type: of, depth: depth - 1 })
  const hasTexts = own.some((atom) => atom.type === 'text')
  switch (form) {
    case 'atom':
      return choices.pickFrom(fitting).scalar
    case 'call':
      if (choices.chance(20)) return { kind: 'call', name: 'ifnull', args: [part(), makeLiteral(around, type)] }
      if (type === 'text') {
        if (choices.chance(50)) return { kind: 'call', name: 'upper', args: [part()] }
        return { kind: 'call', name: '||', args: [part(), makeLiteral(around, type)] }
      }
      if (type !== 'number') return choices.pickFrom(fitting).scalar
      if (hasTexts && choices.chance(30)) return { kind: 'call', name: 'length', args: [part('text')] }
      return { kind: 'call', name: choices.pick('+', '-', '*'), args: [part(), makeLiteral(around, type)] }
    case 'case': {
      const when: OracleCond = { kind: 'is', what: 'NULL', negated: choices.chance(50), value: part() }
      const otherwise = choices.chance(50) ? makeLiteral(around, type) : undefined
      return { kind: 'case', when, result: part(), otherwise }
    }
  }
}
