import {
  type Expression,
  partText,
  type PartText,
  type PlanBody,
  type PlanBucket,
  type PlanColumn,
  type PlanEvaluator,
  type PlanLookup,
  type PlanRoute,
  type PlanStep,
  type PlanStream,
  type PlanValue,
  shortHash,
  toLookupId,
} from '../plan.ts'
import type { LookupId } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { type DraftRoute, type DraftSource, type DraftValue, sortByText } from './route.ts'
import type { TableSource } from './scope.ts'

/** A stream, or a bucket definition, whose queries have been compiled. */
export type DraftStream = {
  readonly name: string
  readonly kind: PlanStream['kind']
  readonly isDefault: boolean
  readonly priority: number
  readonly routes: readonly DraftStreamRoute[]
}

export type DraftStreamRoute = {
  /** Number of the query it comes from; the order of routes of one query does not matter. */
  readonly query: number
  readonly filters: readonly Expression[]
  readonly steps: readonly DraftSource[]
  /** One per key of each evaluator. */
  readonly values: readonly (readonly DraftValue[])[]
  readonly evaluators: readonly PlanEvaluator[]
  readonly priority: number | null
}

/** The evaluator and the way to it of one conjunction of a stream's query. */
export function draftStreamRoute(
  route: DraftRoute,
  query: { readonly number: number; readonly columns: readonly PlanColumn[]; readonly output: string },
): DraftStreamRoute {
  const keys = sortByText(route.primary.keys)
  const evaluator: PlanEvaluator = {
    table: route.primary.source.table,
    expansions: [],
    filters: sortByText(route.primary.filters),
    keys: keys.map(({ expression }) => expression),
    columns: query.columns,
    output: query.output,
  }
  return {
    query: query.number,
    filters: route.filters,
    steps: route.steps,
    values: keys.map(({ values }) => values),
    evaluators: [evaluator],
    priority: null,
  }
}

/**
 * Puts the streams of a config together and shares what is equal: evaluators and lookups everywhere, routes within a
 * stream, buckets with the same evaluators everywhere. Sharing changes costs, never results.
 */
export function assemble(
  streams: readonly DraftStream[],
  values: ValueOptions,
  { references, events }: Pick<PlanBody, 'references' | 'events'>,
): PlanBody {
  const assembly = new Assembly(values)
  const planStreams = streams.map((stream) => assembly.addStream(stream))
  return {
    values,
    evaluators: assembly.evaluators,
    lookups: assembly.lookups,
    buckets: assembly.buckets,
    streams: planStreams,
    events,
    references,
  }
}

type RoutePlan = Pick<PlanRoute, 'filters' | 'steps' | 'values' | 'priority'>
type LookupDraft = { readonly id: LookupId; readonly outputs: readonly Expression[] }

class Assembly {
  readonly #values: ValueOptions
  readonly #evaluators = new Map<PartText, { readonly index: number; readonly evaluator: PlanEvaluator }>()
  readonly #lookups = new Map<LookupId, { readonly lookup: Omit<PlanLookup, 'usedBy'>; readonly usedBy: Set<string> }>()
  readonly #buckets = new Map<string, { readonly index: number; readonly bucket: PlanBucket }>()

  constructor(values: ValueOptions) {
    this.#values = values
  }

  get evaluators(): readonly PlanEvaluator[] {
    return [...this.#evaluators.values()].map(({ evaluator }) => evaluator)
  }

  get lookups(): readonly PlanLookup[] {
    const lookups = [...this.#lookups.values()].map(({ lookup, usedBy }) => ({ ...lookup, usedBy: [...usedBy] }))
    return lookups.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  get buckets(): readonly PlanBucket[] {
    return [...this.#buckets.values()].map(({ bucket }) => bucket)
  }

  addStream(stream: DraftStream): PlanStream {
    const byWay = new Map<string, { readonly plan: RoutePlan; readonly evaluators: Set<number> }>()
    const planned = stream.routes.map((route) => ({ route, plan: this.#planRoute(stream, route) }))
    const ordered = planned
      .map((each) => ({
        ...each,
        way: JSON.stringify(each.plan),
        text: JSON.stringify([each.plan, each.route.evaluators]),
      }))
      .toSorted((a, b) => a.route.query - b.route.query || (a.text < b.text ? -1 : Number(a.text > b.text)))
    for (const { route, plan, way } of ordered) {
      const known = byWay.get(way) ?? { plan, evaluators: new Set() }
      byWay.set(way, known)
      for (const evaluator of route.evaluators) known.evaluators.add(this.#addEvaluator(evaluator))
    }
    const routes = [...byWay.values()].map(({ plan, evaluators }) => {
      return { ...plan, bucket: this.#addBucket(stream.name, [...evaluators]) }
    })
    const { name, kind, isDefault, priority } = stream
    return { name, kind, isDefault, priority, routes }
  }

  #planRoute(stream: DraftStream, route: DraftStreamRoute): RoutePlan {
    const numbers = new Map<TableSource, { readonly step: number; readonly outputs: readonly Expression[] }>()
    const toValue = (value: DraftValue): PlanValue => {
      if (value.kind === 'request') return value
      const found = numbers.get(value.source)
      const text = JSON.stringify(value.expression)
      const output = found?.outputs.findIndex((other) => JSON.stringify(other) === text) ?? -1
      if (found === undefined || output === -1) throw new Error('Invariant: a step comes before those who use it')
      return { kind: 'output', step: found.step, output }
    }
    const steps: PlanStep[] = []
    for (const step of inCanonicalOrder(route.steps)) {
      const keys = sortByText(step.keys)
      const lookup = this.#addLookup(
        stream,
        step,
        keys.map(({ expression }) => expression),
      )
      numbers.set(step.source, { step: steps.length, outputs: lookup.outputs })
      steps.push({ kind: 'lookup', lookup: lookup.id, inputs: keys.map(({ values }) => oneOf(values.map(toValue))) })
    }
    const values = route.values.map((parts) => oneOf(parts.map(toValue)))
    return { filters: route.filters, steps, values, priority: route.priority }
  }

  #addLookup(stream: DraftStream, step: DraftSource, keys: readonly Expression[]): LookupDraft {
    const { table } = step.source
    const part = {
      table,
      expansions: [],
      filters: sortByText(step.filters),
      keys,
      outputs: sortByText(step.outputs),
      keepsNull: stream.kind === 'definition',
    }
    const id = toLookupId(partText({ ...part, values: this.#values }))
    const known = this.#lookups.get(id) ?? { lookup: { id, ...part }, usedBy: new Set<string>() }
    this.#lookups.set(id, known)
    known.usedBy.add(stream.name)
    return { id, outputs: part.outputs }
  }

  #addEvaluator(evaluator: PlanEvaluator): number {
    const text = partText(evaluator)
    const index = this.#evaluators.get(text)?.index ?? this.#evaluators.size
    this.#evaluators.set(text, { index, evaluator })
    return index
  }

  #addBucket(name: string, evaluators: readonly number[]): number {
    const texts = [...this.#evaluators.keys()]
    const parts = evaluators.map((index) => texts[index] ?? '')
    // Order matters only where two evaluators may make the same object.
    const canonical = JSON.stringify(this.#mayCollide(evaluators) ? parts : parts.toSorted())
    const known = this.#buckets.get(canonical)
    if (known !== undefined) return known.index
    const hash = shortHash(JSON.stringify([name, this.#values, canonical]))
    const index = this.#buckets.size
    if (this.buckets.some((other) => other.hash === hash)) throw new Error('Invariant: buckets differ in their hashes')
    this.#buckets.set(canonical, { index, bucket: { name, hash, evaluators } })
    return index
  }

  #mayCollide(indexes: readonly number[]): boolean {
    const all = this.evaluators
    const places = indexes.map((index) => partText([all[index]?.table ?? {}, { output: all[index]?.output ?? '' }]))
    return new Set(places).size < places.length
  }
}

/**
 * Steps in an order that does not depend on how the query was written: by how many steps must come before, then by what
 * they do.
 */
function inCanonicalOrder(steps: readonly DraftSource[]): readonly DraftSource[] {
  const known = new Map<TableSource, { readonly step: DraftSource; readonly depth: number; readonly text: string }>()
  for (const step of steps) {
    const depths: number[] = []
    const textOf = (value: DraftValue): string => {
      if (value.kind === 'request') return JSON.stringify(value.expression)
      const from = known.get(value.source)
      depths.push((from?.depth ?? 0) + 1)
      return JSON.stringify([from?.text, value.expression])
    }
    const inputs = sortByText(step.keys).map(({ expression, values }) => [expression, values.map(textOf).toSorted()])
    const text = JSON.stringify([step.source.table, sortByText(step.filters), inputs, sortByText(step.outputs)])
    known.set(step.source, { step, depth: Math.max(0, ...depths), text })
  }
  return [...known.values()]
    .toSorted((a, b) => a.depth - b.depth || (a.text < b.text ? -1 : Number(a.text > b.text)))
    .map(({ step }) => step)
}

function oneOf(values: readonly PlanValue[]): PlanValue {
  const byText = new Map(sortByText(values).map((value) => [JSON.stringify(value), value]))
  const [first] = byText.values()
  return byText.size === 1 && first !== undefined ? first : { kind: 'all', values: [...byText.values()] }
}
