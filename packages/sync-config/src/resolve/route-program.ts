import type { BucketName } from '@headwater/protocol'
import { bucketNamer } from '../evaluate/bucket-name.ts'
import { allOf } from '../evaluate/all-of.ts'
import { compileExpression, compileTest } from '../evaluate/expression.ts'
import type { Evaluate, Test } from '../evaluate/leaves.ts'
import { splitOutputs, toLookupKey } from '../lookup-key.ts'
import type { PlanBody, PlanRoute, PlanValue } from '../plan.ts'
import type { LookupId, LookupKey, LookupOutputs } from '../types.ts'
import { valueToKey } from '../values/value.ts'
import { distinctRows, join, project, type Relation, select } from './relation.ts'
import { REQUEST_LEAVES, type RequestData } from './request-leaves.ts'

/** A route ready to run: filters and request values are functions. */
export type RouteProgram = {
  readonly passes: Test<RequestData>
  readonly steps: readonly StepProgram[]
  readonly values: readonly ValueProgram[]
  readonly nameBucket: (keys: string) => BucketName
  readonly priority: number | null
}

type StepProgram = {
  readonly lookup: LookupId
  readonly inputs: readonly ValueProgram[]
  /** Names of the columns of what the step finds; one per output of its lookup. */
  readonly outputs: readonly string[]
  /** Columns that later steps and the values still use. */
  readonly kept: readonly string[]
}

type ValueProgram =
  | { readonly kind: 'request'; readonly evaluate: Evaluate<RequestData> }
  | { readonly kind: 'output'; readonly column: string }
  | { readonly kind: 'all'; readonly values: readonly ValueProgram[] }

export type RouteRun = {
  readonly data: RequestData
  /** Entries under each key, in the order of `keys`. */
  readonly readLookups: (keys: readonly LookupKey[]) => Promise<readonly (readonly LookupOutputs[])[]>
  /** Combinations that may be held at once. */
  readonly rowsMax: number
}

/** More combinations were found than one client may have. */
export class TooManyRows extends Error {
  override readonly name = 'TooManyRows'
}

export function compileRoute(body: PlanBody, route: PlanRoute, generation: number): RouteProgram {
  const bucket = body.buckets[route.bucket]
  if (bucket === undefined) throw new Error('Invariant: a route leads to a bucket of the plan')
  const values = route.values.map(compileValue)
  const steps = route.steps.map((step, number) => {
    if (step.kind === 'each') throw new Error('Invariant: steps over arrays are not written yet')
    const lookup = body.lookups.find(({ id }) => id === step.lookup)
    if (lookup === undefined) throw new Error('Invariant: a step reads a lookup of the plan')
    const inputs = route.steps.slice(number + 1).flatMap((later) => (later.kind === 'lookup' ? later.inputs : []))
    const later = [...inputs, ...route.values]
    return {
      lookup: step.lookup,
      inputs: step.inputs.map(compileValue),
      outputs: lookup.outputs.map((_, output) => columnName(number, output)),
      kept: later.flatMap(columnsOf),
    }
  })
  return {
    passes: allOf(route.filters.map((filter) => compileTest(filter, REQUEST_LEAVES))),
    steps,
    values,
    nameBucket: bucketNamer(bucket, generation),
    priority: route.priority,
  }
}

/**
 * The buckets that a route grants: one for every combination of values for which one row can be chosen for each step
 * such that the row was found under the values of the rows chosen before it.
 *
 * Values found independently are kept apart as separate relations and only combined where a step or the bucket needs
 * them together; values of one row stay together all the way.
 */
export async function runRoute(route: RouteProgram, run: RouteRun): Promise<readonly BucketName[]> {
  if (!route.passes(run.data)) return []
  const found = new Combinations(run)
  for (const step of route.steps) {
    if (!(await runStep(step, found, run))) return []
  }
  const bound = found.bind(route.values)
  if (bound === undefined) return []
  const keys = bound.relation.rows.map((row) => bound.read.map((read) => read(row)).join(','))
  return [...new Set(keys)].map((text) => route.nameBucket(text))
}

/** False when the step finds nothing: then the route grants nothing. */
async function runStep(step: StepProgram, found: Combinations, run: RouteRun): Promise<boolean> {
  const bound = found.bind(step.inputs)
  if (bound === undefined) return false
  const { relation, read } = bound
  const keyOf = (row: readonly string[]): LookupKey =>
    toLookupKey(step.lookup, read.map((value) => value(row)).join(','))
  const keys = [...new Set(relation.rows.map(keyOf))]
  const entries = await run.readLookups(keys)
  const byKey = new Map(keys.map((key, index) => [key, distinctRows((entries[index] ?? []).map(splitOutputs))]))
  const columns = [...relation.columns, ...step.outputs]
  const rows: (readonly string[])[] = []
  for (const row of relation.rows) {
    for (const outputs of byKey.get(keyOf(row)) ?? []) rows.push([...row, ...outputs])
    if (rows.length > run.rowsMax) throw new TooManyRows()
  }
  return found.replace(project({ columns, rows }, step.kept))
}

type Bound = {
  readonly relation: Relation
  /** How to read each value off a row of the relation. */
  readonly read: readonly ((row: readonly string[]) => string)[]
}

type Place = { readonly kind: 'constant'; readonly text: string } | { readonly kind: 'column'; readonly column: string }

/** What was found so far: relations that do not depend on each other, no column in two of them. */
class Combinations {
  readonly #run: RouteRun
  #parts: readonly Relation[] = []

  constructor(run: RouteRun) {
    this.#run = run
  }

  /**
   * Brings the values together into one relation and takes it out; `replace` puts what became of it back.
   * Undefined when there is no combination: a value of the request is NULL, or values that must be equal never are.
   */
  bind(values: readonly ValueProgram[]): Bound | undefined {
    const places: Place[] = []
    for (const value of values) {
      const place = this.#place(value)
      if (place === undefined) return undefined
      places.push(place)
    }
    // Values that had to be equal may have left a relation empty, also one that no value is read from.
    if (this.#parts.some(({ rows }) => rows.length === 0)) return undefined
    const used = new Set(places.flatMap((place) => (place.kind === 'column' ? this.#partOf(place.column) : [])))
    this.#parts = this.#parts.filter((part) => !used.has(part))
    const relation = [...used].reduce((left, right) => this.#join(left, right), { columns: [], rows: [[]] })
    const read = places.map((place) => {
      if (place.kind === 'constant') return () => place.text
      const index = relation.columns.indexOf(place.column)
      return (row: readonly string[]) => row[index] ?? ''
    })
    return relation.rows.length === 0 ? undefined : { relation, read }
  }

  /** False when the relation is empty. One without columns says only that something exists. */
  replace(relation: Relation): boolean {
    if (relation.columns.length > 0) this.#parts = [...this.#parts, relation]
    return relation.rows.length > 0
  }

  #place(value: ValueProgram): Place | undefined {
    switch (value.kind) {
      case 'request': {
        const text = valueToKey(value.evaluate(this.#run.data))
        return text === undefined ? undefined : { kind: 'constant', text }
      }
      case 'output':
        return { kind: 'column', column: value.column }
      case 'all': {
        let common: Place | undefined
        for (const part of value.values) {
          const place = this.#place(part)
          if (place === undefined) return undefined
          common = common === undefined ? place : this.#equate(common, place)
          if (common === undefined) return undefined
        }
        return common
      }
    }
  }

  /** Keeps only combinations in which both have the same value; undefined when two constants differ. */
  #equate(a: Place, b: Place): Place | undefined {
    if (a.kind === 'constant' && b.kind === 'constant') return a.text === b.text ? a : undefined
    if (a.kind === 'constant') return this.#equate(b, a)
    const part = this.#partOf(a.column)
    if (b.kind === 'constant') {
      this.#exchange(
        [part],
        select(part, a.column, (value) => value === b.text),
      )
      return b
    }
    const other = this.#partOf(b.column)
    if (part === other) {
      const index = part.columns.indexOf(b.column)
      this.#exchange(
        [part],
        select(part, a.column, (value, row) => value === row[index]),
      )
    } else {
      this.#exchange([part, other], this.#join(part, other, [a.column, b.column]))
    }
    return a
  }

  #join(left: Relation, right: Relation, on?: readonly [string, string]): Relation {
    if (on === undefined && left.rows.length * right.rows.length > this.#run.rowsMax) throw new TooManyRows()
    const joined = join(left, right, on)
    if (joined.rows.length > this.#run.rowsMax) throw new TooManyRows()
    return joined
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

function compileValue(value: PlanValue): ValueProgram {
  switch (value.kind) {
    case 'request':
      return { kind: 'request', evaluate: compileExpression(value.expression, REQUEST_LEAVES) }
    case 'output':
      return { kind: 'output', column: columnName(value.step, value.output) }
    case 'all':
      return { kind: 'all', values: value.values.map(compileValue) }
  }
}

function columnsOf(value: PlanValue): readonly string[] {
  switch (value.kind) {
    case 'request':
      return []
    case 'output':
      return [columnName(value.step, value.output)]
    case 'all':
      return value.values.flatMap(columnsOf)
  }
}

function columnName(step: number, output: number): string {
  return `${step}.${output}`
}
