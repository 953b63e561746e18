import { collect, join, multiply, project, type Relation, type RelationRow, select, UNIT } from './relation.ts'

/** What stands in the place of a value of a key: always the same, or what a column of each combination says. */
export type ValuePlace =
  | { readonly kind: 'constant'; readonly text: string }
  | { readonly kind: 'column'; readonly column: string }
  /** Several that must be equal. */
  | { readonly kind: 'all'; readonly places: readonly ValuePlace[] }

export type Bound = {
  readonly relation: Relation
  /** How to read each value off a row of the relation. */
  readonly read: readonly ((row: RelationRow) => string)[]
}

/** A place of which the equality is settled. */
type SinglePlace = Exclude<ValuePlace, { readonly kind: 'all' }>

/**
 * What was found so far: relations that do not depend on each other. Values found independently are only combined where
 * something needs them together; values of one row stay together all the way.
 *
 * Invariant: no column is in two of the relations.
 */
export class Combinations {
  readonly #rowsMax: number
  #parts: readonly Relation[] = []

  /** `rowsMax`: combinations that may be held at once; above it `TooManyRows` is thrown. */
  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax
  }

  /**
   * Brings values together into one relation and takes it out; `add` puts what became of it back.
   * Undefined when there is no combination: values that must be equal never are.
   */
  take(values: readonly ValuePlace[]): Bound | undefined {
    const places = this.#settle(values)
    return places === undefined ? undefined : this.#bind(places, this.#used(places))
  }

  /** Likewise for the last time, so that only what the values need is multiplied out. */
  takeLast(values: readonly ValuePlace[]): Bound | undefined {
    const places = this.#settle(values)
    if (places === undefined) return undefined
    const columns = places.flatMap((place) => (place.kind === 'column' ? place.column : []))
    return this.#bind(
      places,
      this.#used(places).map((part) => project(part, columns)),
    )
  }

  /** Adds the rows' `kept` columns. False when there are no rows; without columns they only say that something exists. */
  add(columns: readonly string[], rows: Iterable<RelationRow>, kept: readonly string[]): boolean {
    const relation = collect(columns, { kept, rows, rowsMax: this.#rowsMax })
    if (relation.columns.length > 0) this.#parts = [...this.#parts, relation]
    return relation.rows.length > 0
  }

  #settle(values: readonly ValuePlace[]): readonly SinglePlace[] | undefined {
    const places = values.map((value) => this.#single(value))
    // Values that had to be equal may have left a relation empty, also one that no value is read from.
    if (this.#parts.some(({ rows }) => rows.length === 0)) return undefined
    const known = places.filter((place) => place !== undefined)
    return known.length === places.length ? known : undefined
  }

  /** Takes out the relations that the places are read from. */
  #used(places: readonly SinglePlace[]): readonly Relation[] {
    const used = new Set(places.flatMap((place) => (place.kind === 'column' ? this.#partOf(place.column) : [])))
    this.#parts = this.#parts.filter((part) => !used.has(part))
    return [...used]
  }

  #bind(places: readonly SinglePlace[], parts: readonly Relation[]): Bound {
    const [first = UNIT, ...others] = parts
    const relation = others.reduce((left, right) => multiply(left, right, this.#rowsMax), first)
    const read = places.map((place) => {
      if (place.kind === 'constant') return () => place.text
      const index = relation.columns.indexOf(place.column)
      return (row: RelationRow) => row[index] ?? ''
    })
    return { relation, read }
  }

  #single(value: ValuePlace): SinglePlace | undefined {
    if (value.kind !== 'all') return value
    let common: SinglePlace | undefined
    for (const part of value.places) {
      const place = this.#single(part)
      if (place === undefined) return undefined
      common = common === undefined ? place : this.#equate(common, place)
      if (common === undefined) return undefined
    }
    return common
  }

  /** Keeps only combinations in which both have the same value; undefined when two constants differ. */
  #equate(a: SinglePlace, b: SinglePlace): SinglePlace | undefined {
    if (a.kind === 'constant' && b.kind === 'constant') return a.text === b.text ? a : undefined
    if (a.kind === 'constant') return this.#equate(b, a)
    const part = this.#partOf(a.column)
    if (b.kind === 'constant') {
      const matching = select(part, a.column, (value) => value === b.text)
      this.#exchange([part], matching)
      return b
    }
    const other = this.#partOf(b.column)
    if (part === other) {
      const index = part.columns.indexOf(b.column)
      const matching = select(part, a.column, (value, row) => value === row[index])
      this.#exchange([part], matching)
    } else {
      this.#exchange([part, other], join(part, other, { left: a.column, right: b.column, rowsMax: this.#rowsMax }))
    }
    return a
  }

  #exchange(old: readonly Relation[], relation: Relation): void {
    this.#parts = [...this.#parts.filter((part) => !old.includes(part)), relation]
  }

  #partOf(column: string): Relation {
    const part = this.#parts.find(({ columns }) => columns.includes(column))
    if (part === undefined) throw new Error('Invariant: a value is found before it is used, and kept until then')
    return part
  }
}
