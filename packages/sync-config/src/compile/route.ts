import type { Expression } from '../plan.ts'
import type { Conjunction, Term } from './condition.ts'
import type { Operand } from './operand.ts'
import type { TableSource } from './scope.ts'

/**
 * How the rows of one table are found from a request when all terms of a conjunction must hold.
 *
 * Each source becomes filters, and keys whose values come from elsewhere. Those of the primary table make the bucket;
 * any other source is a step: a lookup read under its keys, whose outputs are the values that others need.
 *
 *     pieces.room = rooms.number, rooms.wing = guards.wing, guards.badge = auth.user_id()
 *
 *     request ── badge ──▶ step guards ── wing ──▶ step rooms ── number ──▶ bucket of pieces by room
 */
export type DraftRoute = {
  readonly primary: DraftSource
  /** Over the request. */
  readonly filters: readonly Expression[]
  /** Each uses outputs of earlier ones only. */
  readonly steps: readonly DraftSource[]
}

export type DraftSource = {
  readonly source: TableSource
  readonly filters: readonly Expression[]
  readonly keys: readonly DraftKey[]
  /** Outputs that others take their values from. */
  readonly outputs: readonly Expression[]
}

export type DraftKey = { readonly expression: Expression; readonly values: readonly DraftValue[] }

export type DraftValue =
  | { readonly kind: 'request'; readonly expression: Expression }
  | { readonly kind: 'output'; readonly source: TableSource; readonly expression: Expression }

/** The term that could not be connected to anything is the result where there is one. */
export function draftRoute(primary: TableSource, terms: Conjunction): DraftRoute | { readonly unconnected: Term } {
  const builder = new RouteBuilder(terms)
  const main = builder.resolve(primary)
  builder.addExistenceSteps()
  const filters = builder.takeRequestTerms()
  const [unconnected] = builder.pending
  return unconnected === undefined ? { primary: main, filters, steps: builder.steps } : { unconnected }
}

type Building = {
  readonly source: TableSource
  readonly filters: Expression[]
  readonly keys: { readonly expression: Expression; readonly values: DraftValue[] }[]
  readonly outputs: Expression[]
}

/** Invariant: a term is either pending or has been taken by exactly one source. */
class RouteBuilder {
  /** Terms may be deleted from it while it is walked; those are then not met again. */
  readonly pending: Set<Term>
  /** Complete ones, so in an order in which each comes after those it uses. */
  readonly steps: Building[] = []
  readonly #stack: TableSource[] = []

  constructor(terms: Conjunction) {
    // In an order that does not depend on how the query was written, so that equal queries give equal plans.
    this.pending = new Set(terms.toSorted((a, b) => (termText(a) < termText(b) ? -1 : 1)))
  }

  resolve(source: TableSource): Building {
    const building: Building = { source, filters: [], keys: [], outputs: [] }
    this.#stack.push(source)
    for (const term of this.pending) {
      if (term.kind === 'expression') {
        if (term.owner !== source) continue
        this.pending.delete(term)
        addOnce(building.filters, term.expression)
      } else {
        this.#resolveEqual(building, term)
      }
    }
    this.#stack.pop()
    return building
  }

  /** What is left and says something about a source: there must be such a row, whatever is in it. */
  addExistenceSteps(): void {
    for (const term of this.pending) {
      const source = existenceSource(term)
      if (source !== undefined) this.#addStep(source)
    }
  }

  takeRequestTerms(): readonly Expression[] {
    const filters: Expression[] = []
    for (const term of this.pending) {
      if (term.kind === 'expression' && term.owner.kind !== 'table') {
        this.pending.delete(term)
        addOnce(filters, term.expression)
      }
    }
    return sortByText(filters)
  }

  #resolveEqual(building: Building, term: Term & { kind: 'equal' }): void {
    const { left, right } = term
    const own = left.owner === building.source ? left : right.owner === building.source ? right : undefined
    if (own === undefined) return
    const other = own === left ? right : left
    // We came from there: the source on the stack takes the term later.
    if (other.owner.kind === 'table' && this.#stack.includes(other.owner)) return
    this.pending.delete(term)
    addKey(building, own.expression, this.#valueOf(other))
  }

  #valueOf({ owner, expression }: Operand): DraftValue {
    if (owner.kind !== 'table') return { kind: 'request', expression }
    const step = this.steps.find(({ source }) => source === owner) ?? this.#addStep(owner)
    addOnce(step.outputs, expression)
    return { kind: 'output', source: owner, expression }
  }

  #addStep(source: TableSource): Building {
    const step = this.resolve(source)
    this.steps.push(step)
    return step
  }
}

/** The source that a term tests by itself, or compares with the request. */
function existenceSource(term: Term): TableSource | undefined {
  if (term.kind === 'expression') return term.owner.kind === 'table' ? term.owner : undefined
  const { left, right } = term
  if (left.owner.kind === 'table') return right.owner.kind === 'table' ? undefined : left.owner
  return right.owner.kind === 'table' ? right.owner : undefined
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

export function sortByText<Part>(parts: readonly Part[]): readonly Part[] {
  return parts
    .map((part) => ({ part, text: JSON.stringify(part) }))
    .toSorted((a, b) => (a.text < b.text ? -1 : Number(a.text > b.text)))
    .map(({ part }) => part)
}

function termText(term: Term): string {
  if (term.kind === 'expression') return JSON.stringify([ownerText(term), term.expression])
  const sides = [term.left, term.right].map((side) => JSON.stringify([ownerText(side), side.expression]))
  return JSON.stringify(sides.toSorted())
}

function ownerText({ owner }: Pick<Operand, 'owner'>): string {
  return owner.kind === 'table' ? JSON.stringify(owner.table) : owner.kind
}
