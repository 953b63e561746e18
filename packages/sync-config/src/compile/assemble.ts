import { mayShareTable } from '../match-table.ts'
import {
  type Expression,
  partText,
  type PartText,
  type PlanBody,
  type PlanBucket,
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
import {
  type DraftRoute,
  type DraftSource,
  type DraftValue,
  type DraftWay,
  distinctByText,
  sortByText,
  splitFilters,
  type StepSource,
} from './route.ts'
import { planSource, planSteps, type StepPart } from './steps.ts'

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
  /** None of these finds anything. */
  readonly absences: readonly DraftWay[]
  /** One per key of each evaluator. */
  readonly values: readonly (readonly DraftValue[])[]
  readonly evaluators: readonly PlanEvaluator[]
  readonly priority: number | null
}

/** The evaluator and the way to it of one conjunction of a stream's query. */
export function draftStreamRoute(
  route: DraftRoute,
  query: Pick<PlanEvaluator, 'columns' | 'output'> & { readonly number: number },
): DraftStreamRoute {
  const { inputs, ...source } = planSource(route.primary)
  return {
    query: query.number,
    filters: route.filters,
    steps: route.steps,
    absences: route.absences,
    values: inputs,
    evaluators: [{ ...source, columns: query.columns, output: query.output }],
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

type PlanWay = Pick<PlanRoute, 'filters' | 'steps'> & { readonly toValue: (value: DraftValue) => PlanValue }
type RoutePlan = Pick<PlanRoute, 'filters' | 'steps' | 'values' | 'priority'>

class Assembly {
  readonly #values: ValueOptions
  readonly evaluators: PlanEvaluator[] = []
  readonly buckets: PlanBucket[] = []
  readonly #evaluatorTexts: PartText[] = []
  /** Index of an evaluator, by its text. */
  readonly #evaluatorIndexes = new Map<PartText, number>()
  /** Index of a bucket, by the text of its evaluators. */
  readonly #bucketIndexes = new Map<string, number>()
  readonly #bucketHashes = new Set<string>()
  readonly #lookups = new Map<LookupId, { readonly lookup: Omit<PlanLookup, 'usedBy'>; readonly usedBy: Set<string> }>()

  constructor(values: ValueOptions) {
    this.#values = values
  }

  get lookups(): readonly PlanLookup[] {
    const lookups = [...this.#lookups.values()].map(({ lookup, usedBy }) => ({ ...lookup, usedBy: [...usedBy] }))
    return lookups.toSorted((a, b) => (a.id < b.id ? -1 : 1))
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
    const { toValue, ...way } = this.#planWay(stream, route)
    const values = route.values.map((parts) => oneOf(parts.map(toValue)))
    return { ...way, values, priority: route.priority }
  }

  #planWay(stream: DraftStream, way: DraftWay): PlanWay {
    const numbers = new Map<StepSource, { readonly step: number; readonly part: StepPart }>()
    const toValue = (value: DraftValue): PlanValue => {
      if (value.kind === 'request') return value
      const found = numbers.get(value.source)
      const output = found?.part.outputIndex.get(JSON.stringify(value.expression))
      if (found === undefined || output === undefined) {
        throw new Error('Invariant: a step comes before those who use it')
      }
      return { kind: 'output', step: found.step, output }
    }
    const steps = planSteps(way.steps).map((part, step): PlanStep => {
      numbers.set(part.draft.source, { step, part })
      const inputs = part.inputs.map((values) => oneOf(values.map(toValue)))
      if (part.body.kind === 'each') return { ...part.body, inputs }
      return { kind: 'lookup', lookup: this.#addLookup(stream, part.body), inputs }
    })
    const absences = way.absences.map((absence): PlanStep => {
      const { filters, steps: tested } = this.#planWay(stream, absence)
      return { kind: 'absent', filters, steps: tested }
    })
    return { filters: splitFilters(way.filters), steps: [...steps, ...distinctByText(absences)], toValue }
  }

  #addLookup(stream: DraftStream, body: StepPart['body'] & { kind: 'lookup' }): LookupId {
    const { table, expansions, filters, keys, outputs } = body
    const part = { table, expansions, filters, keys, outputs, keepsNull: stream.kind === 'definition' }
    const id = toLookupId(partText({ ...part, values: this.#values }))
    const known = this.#lookups.get(id) ?? { lookup: { id, ...part }, usedBy: new Set<string>() }
    this.#lookups.set(id, known)
    known.usedBy.add(stream.name)
    return id
  }

  #addEvaluator(evaluator: PlanEvaluator): number {
    const text = partText(evaluator)
    const known = this.#evaluatorIndexes.get(text)
    if (known !== undefined) return known
    const index = this.evaluators.push(evaluator) - 1
    this.#evaluatorTexts.push(text)
    this.#evaluatorIndexes.set(text, index)
    return index
  }

  #addBucket(name: string, evaluators: readonly number[]): number {
    const parts = evaluators.map((index) => this.#evaluatorTexts[index] ?? '')
    // Order matters only where two evaluators may make the same object.
    const canonical = JSON.stringify(this.#mayCollide(evaluators) ? parts : parts.toSorted())
    const known = this.#bucketIndexes.get(canonical)
    if (known !== undefined) return known
    // The name is not part of what it does: a bucket that does the same in another config has the same hash.
    const hash = shortHash(JSON.stringify([this.#values, canonical]))
    if (this.#bucketHashes.has(hash)) throw new Error('Invariant: buckets differ in their hashes')
    this.#bucketHashes.add(hash)
    const index = this.buckets.push({ name, hash, evaluators }) - 1
    this.#bucketIndexes.set(canonical, index)
    return index
  }

  #mayCollide(indexes: readonly number[]): boolean {
    return indexes.some((index, place) => {
      return indexes.slice(place + 1).some((other) => {
        const [a, b] = [this.evaluators[index], this.evaluators[other]]
        if (a === undefined || b === undefined || !mayShareTable(a.table, b.table)) return false
        return a.output === b.output || a.output === null || b.output === null
      })
    })
  }
}

function oneOf(values: readonly PlanValue[]): PlanValue {
  const byText = new Map(sortByText(values).map((value) => [JSON.stringify(value), value]))
  const [first] = byText.values()
  return byText.size === 1 && first !== undefined ? first : { kind: 'all', values: [...byText.values()] }
}
