import type { Expression } from '../plan.ts'
import type { DraftExpansion } from './expansions.ts'
import type { Ordered } from './order.ts'
import type { SourceList } from './query-scope.ts'
import type { EachSource, Operand, Owner, TableSource } from './scope.ts'
import type { Term } from './terms.ts'

/**
 * How the rows of one table are found from a request when all terms of a conjunction must hold.
 *
 * Each source becomes filters, and keys whose values come from elsewhere. Those of the primary table make the bucket;
 * any other source is a step: a lookup read under its keys, or an array of the request, whose outputs are the values
 * that others need.
 *
 *     pieces.room = rooms.number, rooms.wing = guards.wing, guards.badge = auth.user_id()
 *
 *     request ── badge ──▶ step guards ── wing ──▶ step rooms ── number ──▶ bucket of pieces by room
 */
export type DraftRoute = DraftWay & { readonly primary: DraftSource }

/** What leads from a request to values, or shows that something exists. */
export type DraftWay = {
  /** Over the request. */
  readonly filters: readonly Expression[]
  /** Each uses outputs of earlier ones only. */
  readonly steps: readonly DraftSource[]
  /** None of these finds anything. */
  readonly absences: readonly DraftWay[]
}

export type DraftSource = {
  readonly source: StepSource
  /** Arrays of its rows that are taken apart. */
  readonly expansions: readonly DraftExpansion[]
  readonly filters: readonly Expression[]
  readonly keys: readonly DraftKey[]
  /** Outputs that others take their values from. */
  readonly outputs: readonly Expression[]
  /** Tells steps that do the same apart by what they do it for; empty where there are none. */
  readonly label: string
}

/** Identifies a step: values name the source they come from. */
export type StepSource = Pick<TableSource, 'kind' | 'table'> | Pick<EachSource, 'kind' | 'number' | 'argument'>

export type DraftKey = { readonly expression: Expression; readonly values: readonly DraftValue[] }

export type DraftValue =
  | { readonly kind: 'request'; readonly expression: Expression }
  | { readonly kind: 'output'; readonly source: StepSource; readonly expression: Expression }

/** The term that could not be connected to anything is the result where there is one. */
export function draftRoute(
  primary: TableSource,
  ordered: Ordered,
  sources: SourceList,
): DraftRoute | { readonly unconnected: Term } {
  const builder = new RouteBuilder(primary, ordered)
  const main = builder.resolve(primary)
  const way = finishWay(builder, ordered, sources)
  return 'unconnected' in way ? way : { ...way, primary: finishSource(main, ordered, sources) }
}

/** Likewise where all that is asked is whether there are such rows. */
export function draftWay(ordered: Ordered, sources: SourceList): DraftWay | { readonly unconnected: Term } {
  return finishWay(new RouteBuilder(undefined, ordered), ordered, sources)
}

function finishWay(
  builder: RouteBuilder,
  ordered: Ordered,
  sources: SourceList,
): DraftWay | { readonly unconnected: Term } {
  builder.addExistenceSteps()
  const filters = builder.takeRequestTerms()
  const absences = builder.takeAbsences()
  const [unconnected] = builder.pending
  if (unconnected !== undefined) return { unconnected }
  return { filters, steps: builder.steps.map((step) => finishSource(step, ordered, sources)), absences }
}

type RowSource = TableSource | EachSource

type Building = {
  readonly source: RowSource
  readonly filters: Expression[]
  readonly keys: { readonly expression: Expression; readonly values: DraftValue[] }[]
  readonly outputs: Expression[]
}

function finishSource(
  { source, filters, keys, outputs }: Building,
  ordered: Ordered,
  sources: SourceList,
): DraftSource {
  const used = sources.eachesIn([...filters, ...keys.map(({ expression }) => expression), ...outputs])
  const expansions = source.kind === 'each' ? [] : used
  const byLabel = expansions.toSorted((a, b) => (ordered.labelOf(a) < ordered.labelOf(b) ? -1 : 1))
  return { source, expansions: byLabel, filters, keys, outputs, label: ordered.labelOf(source) }
}

/** Invariant: a term is either pending or has been taken by exactly one source. */
class RouteBuilder {
  /** Terms may be deleted from it while it is walked; those are then not met again. */
  readonly pending: Set<Term>
  /** Complete ones, so in an order in which each comes after those it uses. */
  readonly steps: Building[] = []
  readonly #primary: TableSource | undefined
  readonly #stack: RowSource[] = []

  constructor(primary: TableSource | undefined, { terms }: Ordered) {
    this.#primary = primary
    this.pending = new Set(terms)
  }

  resolve(source: RowSource): Building {
    const building: Building = { source, filters: [], keys: [], outputs: [] }
    this.#stack.push(source)
    for (const term of this.pending) {
      if (term.kind === 'expression') {
        if (term.owner !== source) continue
        this.pending.delete(term)
        addOnce(building.filters, term.expression)
      } else if (term.kind === 'equal') {
        this.#resolveEqual(building, term)
      }
    }
    this.#stack.pop()
    return building
  }

  /** What is left and says something about a source: there must be such a row, whatever is in it. */
  addExistenceSteps(): void {
    for (;;) {
      const source = this.#nextExistence()
      if (source === undefined) return
      this.#addStep(source)
    }
  }

  /** What is known of the request alone, or always. */
  takeRequestTerms(): readonly Expression[] {
    const filters: Expression[] = []
    for (const term of this.pending) {
      if (term.kind !== 'expression' || isRowSource(term.owner)) continue
      this.pending.delete(term)
      addOnce(filters, term.expression)
    }
    return splitFilters(filters)
  }

  takeAbsences(): readonly DraftWay[] {
    const absent = [...this.pending].filter((term) => term.kind === 'absent')
    for (const term of absent) this.pending.delete(term)
    return absent.flatMap(({ ways }) => ways)
  }

  #resolveEqual(building: Building, term: Term & { kind: 'equal' }): void {
    const { left, right } = term
    const own = left.owner === building.source ? left : right.owner === building.source ? right : undefined
    if (own === undefined) return
    const other = own === left ? right : left
    if (isRowSource(other.owner)) {
      // We came from there: the source on the stack takes the term later.
      if (this.#stack.includes(other.owner)) return
      if (this.#isBetterAfter(other.owner, building)) return
    }
    this.pending.delete(term)
    addKey(building, own.expression, this.#valueOf(other))
  }

  /**
   * Nothing on the far side of `other` is known from the request, while this source is found without it: then it is
   * looked up under what is found here, as a test of existence, instead of reading all of its rows.
   */
  #isBetterAfter(other: RowSource, { source, keys }: Building): boolean {
    if (source === this.#primary || this.#stepOf(other) !== undefined) return false
    const isFound = keys.length > 0 || this.#isReached(source, [other])
    return isFound && !this.#isReached(other, this.#stack)
  }

  /** Does a chain of equalities lead from the request, or from a step, to the source without passing `avoided`? */
  #isReached(source: RowSource, avoided: readonly RowSource[]): boolean {
    const met = new Set<RowSource>([source])
    for (const at of met) {
      if (at.kind === 'each' || this.#stepOf(at) !== undefined) return true
      for (const term of this.pending) {
        const other = term.kind === 'equal' ? otherSide(term, at)?.owner : undefined
        if (other === undefined) continue
        if (!isRowSource(other)) return true
        if (!avoided.includes(other) && !this.#stack.includes(other)) met.add(other)
      }
    }
    return false
  }

  #valueOf({ owner, expression }: Operand): DraftValue {
    if (!isRowSource(owner)) return { kind: 'request', expression }
    const step = this.#stepOf(owner) ?? this.#addStep(owner)
    addOnce(step.outputs, expression)
    return { kind: 'output', source: owner, expression }
  }

  #stepOf(source: RowSource): Building | undefined {
    return this.steps.find((step) => step.source === source)
  }

  #addStep(source: RowSource): Building {
    const step = this.resolve(source)
    this.steps.push(step)
    return step
  }

  /** A source that the request or a step leads to; else one that is tested by itself. */
  #nextExistence(): RowSource | undefined {
    let tested: RowSource | undefined
    for (const term of this.pending) {
      if (term.kind === 'expression') {
        tested ??= isRowSource(term.owner) ? term.owner : undefined
        continue
      }
      if (term.kind === 'absent') continue
      const [left, right] = [term.left.owner, term.right.owner]
      if (isRowSource(left) && this.#isKnown(right)) return left
      if (isRowSource(right) && this.#isKnown(left)) return right
    }
    return tested
  }

  #isKnown(owner: Owner): boolean {
    return owner.kind !== 'table' || this.#stepOf(owner) !== undefined
  }
}

function isRowSource(owner: Owner): owner is RowSource {
  return owner.kind === 'table' || owner.kind === 'each'
}

function otherSide({ left, right }: Term & { kind: 'equal' }, source: RowSource): Operand | undefined {
  if (left.owner === source) return right
  return right.owner === source ? left : undefined
}

function addKey(building: Building, expression: Expression, value: DraftValue): void {
  const text = JSON.stringify(expression)
  const key = building.keys.find((other) => JSON.stringify(other.expression) === text)
  if (key === undefined) building.keys.push({ expression, values: [value] })
  else key.values.push(value)
}

function addOnce(expressions: Expression[], expression: Expression): void {
  const text = JSON.stringify(expression)
  if (!expressions.some((other) => JSON.stringify(other) === text)) expressions.push(expression)
}

/** Filters as a set: `a AND b` is two. */
export function splitFilters(filters: readonly Expression[]): readonly Expression[] {
  const split = filters.flatMap((filter) => (filter.kind === 'and' ? filter.operands : [filter]))
  return distinctByText(split)
}

/** In one order, without repeats. */
export function distinctByText<Part>(parts: readonly Part[]): readonly Part[] {
  return sortByText([...new Map(parts.map((part) => [JSON.stringify(part), part])).values()])
}

export function sortByText<Part>(parts: readonly Part[]): readonly Part[] {
  return parts
    .map((part) => ({ part, text: JSON.stringify(part) }))
    .toSorted((a, b) => (a.text < b.text ? -1 : Number(a.text > b.text)))
    .map(({ part }) => part)
}
