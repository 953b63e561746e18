import {
  collect,
  join,
  type Making,
  multiply,
  project,
  type Relation,
  type RelationRow,
  select,
  UNIT,
} from './relation.ts'

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
  readonly #making: Making
  #parts: readonly Relation[] = []

  /** `rowsMax`: combinations that may be held at once; above it `TooManyRows` is thrown. */
  constructor(making: Making) {
    this.#making = making
  }

  /**
   * Brings values together into one relation and takes it out; `add` puts what became of it back.
   * Undefined when there is no combination: values that must be equal never are.
   */
  async take(values: readonly ValuePlace[]): Promise<Bound | undefined> {
    const places = await this.#settle(values)
    return places === undefined ? undefined : this.#bind(places, this.#used(places))
  }

  /** Likewise for the last time, so that only what the values need is multiplied out. */
  async takeLast(values: readonly ValuePlace[]): Promise<Bound | undefined> {
    const places = await this.#settle(values)
    if (places === undefined) return undefined
    const columns = places.flatMap((place) => (place.kind === 'column' ? place.column : []))
    const parts: Relation[] = []
    for (const part of this.#used(places)) parts.push(await project(part, columns, this.#making.turn))
    return this.#bind(places, parts)
  }

  /** Adds the rows' `kept` columns. False when there are no rows; without columns they only say that something exists. */
  async add(columns: readonly string[], rows: Iterable<RelationRow>, kept: readonly string[]): Promise<boolean> {
    const relation = await collect(columns, { kept, rows }, this.#making)
    if (relation.columns.length > 0) this.#parts = [...this.#parts, relation]
    return relation.rows.length > 0
  }

  async #settle(values: readonly ValuePlace[]): Promise<readonly SinglePlace[] | undefined> {
    const places: SinglePlace[] = []
    for (const value of values) {
      const place = value.kind === 'all' ? await this.#single(value) : value
      if (place === undefined) return undefined
      places.push(place)
    }
    // Values that had to be equal may have left a relation empty, also one that no value is read from.
    return this.#parts.some(({ rows }) => rows.length === 0) ? undefined : places
  }

  /** Takes out the relations that the places are read from. */
  #used(places: readonly SinglePlace[]): readonly Relation[] {
    const used = new Set(places.flatMap((place) => (place.kind === 'column' ? this.#partOf(place.column) : [])))
    this.#parts = this.#parts.filter((part) => !used.has(part))
    return [...used]
  }

  async #bind(places: readonly SinglePlace[], parts: readonly Relation[]): Promise<Bound> {
    const [first = UNIT, ...others] = parts
    let relation = first
    for (const other of others) relation = await multiply(relation, other, this.#making)
    const read = places.map((place) => {
      if (place.kind === 'constant') return () => place.text
      const index = relation.columns.indexOf(place.column)
      return (row: RelationRow) => row[index] ?? ''
    })
    return { relation, read }
  }

  async #single(value: ValuePlace): Promise<SinglePlace | undefined> {
    if (value.kind !== 'all') return value
    let common: SinglePlace | undefined
    for (const part of value.places) {
      const place = await this.#single(part)
      if (place === undefined) return undefined
      common = common === undefined ? place : await this.#equate(common, place)
      if (common === undefined) return undefined
    }
    return common
  }

  /** Keeps only combinations in which both have the same value; undefined when two constants differ. */
  async #equate(a: SinglePlace, b: SinglePlace): Promise<SinglePlace | undefined> {
    if (a.kind === 'constant' && b.kind === 'constant') return a.text === b.text ? a : undefined
    if (a.kind === 'constant') return this.#equate(b, a)
    const part = this.#partOf(a.column)
    const { column } = a
    const { turn } = this.#making
    if (b.kind === 'constant') {
      this.#exchange([part], await select(part, { column, wanted: () => b.text }, turn))
      return b
    }
    const other = this.#partOf(b.column)
    if (part === other) {
      const index = part.columns.indexOf(b.column)
      this.#exchange([part], await select(part, { column, wanted: (row) => row[index] }, turn))
    } else {
      const joined = await join({ relation: part, column }, { relation: other, column: b.column }, this.#making)
      this.#exchange([part, other], joined)
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
