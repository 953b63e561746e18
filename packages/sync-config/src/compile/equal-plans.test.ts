import {
  assert,
  array,
  constantFrom,
  integer,
  letrec,
  oneof,
  property,
  record,
  tuple,
  type Arbitrary,
} from 'fast-check'
import { expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { streamsConfig } from '../testing/builders.ts'

/** A condition on sources that have numbers instead of names; 0 is the table of the objects. */
type Cond =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Cond[] }
  | { readonly kind: 'not'; readonly part: Cond }
  | { readonly kind: 'equal'; readonly sides: readonly [Value, Value] }
  | { readonly kind: 'true'; readonly value: Value }
  | { readonly kind: 'member'; readonly value: Value; readonly array: Value }
  | { readonly kind: 'overlap'; readonly sides: readonly [Value, Value] }
  | {
      readonly kind: 'rows'
      readonly value: Value
      readonly table: string
      readonly column: string
      readonly where: Cond
    }

type Value =
  | { readonly kind: 'column'; readonly source: number; readonly column: string }
  | { readonly kind: 'parameter'; readonly name: string }

/** What may be written one way or the other: which of two things comes first, and names. */
type Hand = { readonly flip: () => boolean; readonly alias: (source: number) => string }

const SOURCES = ['t', 'u', 'u', 'v']

function print(cond: Cond, hand: Hand, outer = SOURCES.length): string {
  const ordered = (parts: readonly string[]): readonly string[] => (hand.flip() ? parts.toReversed() : parts)
  switch (cond.kind) {
    case 'and':
    case 'or':
      return ordered(cond.parts.map((part) => `(${print(part, hand, outer)})`)).join(` ${cond.kind} `)
    case 'not':
      return `NOT (${print(cond.part, hand, outer)})`
    case 'equal':
      return ordered(cond.sides.map((side) => printValue(side, hand))).join(' = ')
    case 'true':
      return printValue(cond.value, hand)
    case 'member':
      return `${printValue(cond.value, hand)} IN ${printValue(cond.array, hand)}`
    case 'overlap':
      return ordered(cond.sides.map((side) => printValue(side, hand))).join(' && ')
    case 'rows': {
      const name = hand.alias(outer)
      const where = print(cond.where, hand, outer + 1)
      return `${printValue(cond.value, hand)} IN (SELECT ${name}.${cond.column} FROM ${cond.table} AS ${name} WHERE ${where})`
    }
  }
}

function printValue(value: Value, hand: Hand): string {
  if (value.kind === 'column') return `${hand.alias(value.source)}.${value.column}`
  return hand.flip() ? `auth.parameter('${value.name}')` : `(auth.parameters() ->> '${value.name}')`
}

function printQuery(cond: Cond, hand: Hand): string {
  const from = SOURCES.map((table, source) => {
    const name = hand.alias(source)
    return `${table} AS ${source === 0 ? `"${name}"` : name}`
  })
  return `SELECT ${hand.alias(0)}.* FROM ${(hand.flip() ? from.toReversed() : from).join(', ')} WHERE ${print(cond, hand)}`
}

const value: Arbitrary<Value> = oneof(
  record({
    kind: constantFrom('column' as const),
    source: integer({ min: 0, max: SOURCES.length - 1 }),
    column: constantFrom('a', 'b'),
  }),
  record({ kind: constantFrom('parameter' as const), name: constantFrom('x', 'y') }),
)

const { cond } = letrec<{ cond: Cond; leaf: Cond }>((tie) => ({
  leaf: oneof(
    record({ kind: constantFrom('equal' as const), sides: tuple(value, value) }),
    record({ kind: constantFrom('overlap' as const), sides: tuple(value, value) }),
    record({ kind: constantFrom('true' as const), value }),
    record({ kind: constantFrom('member' as const), value, array: value }),
    record({
      kind: constantFrom('rows' as const),
      value,
      table: constantFrom('u', 'v'),
      column: constantFrom('a', 'b'),
      where: tie('cond'),
    }),
  ),
  cond: oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    record({ kind: constantFrom('and' as const), parts: array(tie('cond'), { minLength: 2, maxLength: 4 }) }),
    record({ kind: constantFrom('or' as const), parts: array(tie('cond'), { minLength: 2, maxLength: 2 }) }),
    record({ kind: constantFrom('not' as const), part: tie('cond') }),
  ),
}))

/** The hash of the plan, or that it was refused. */
function outcomeOf(query: string): string {
  const result = compileSyncConfig(streamsConfig({ s: query }))
  return result.kind === 'compiled' ? result.plan.hash : 'refused'
}

test('a condition has one plan, in whatever order and with whatever names it is written', () => {
  let compiled = 0
  assert(
    property(cond, integer({ min: 1 }), (condition, seed) => {
      let state = seed
      const flip = (): boolean => {
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31
        return state > 2 ** 30
      }
      const one = printQuery(condition, { flip: () => false, alias: (source) => `s${source}` })
      const other = printQuery(condition, { flip, alias: (source) => (source === 0 ? 's0' : `z${9 - source}`) })
      const outcome = outcomeOf(one)
      if (outcome !== 'refused') compiled++
      expect(outcomeOf(other), `${one}\n${other}`).toBe(outcome)
    }),
    { numRuns: 150 },
  )
  expect(compiled).toBeGreaterThan(10)
})
