import type { BucketName } from '@headwater/protocol'
import { splitOutputs, toLookupKey } from '../lookup-key.ts'
import type { LookupId, ReadLookups, Turn } from '../types.ts'
import { Combinations, type ValuePlace } from './combinations.ts'
import type { Element } from '../functions/each-element.ts'
import type { CompiledEach } from './each-program.ts'
import type { RelationRow } from './relation.ts'
import type { RequestData, RequestScope } from './request-leaves.ts'
import type { RouteProgram, StepProgram, ValueProgram, WayProgram } from './route-program.ts'

/** Keys of a lookup that are asked for at once. */
const KEYS_PER_READ = 250

export type RouteRun = {
  readonly data: RequestData
  /** Entries under each key, in the order of `keys`. */
  readonly readLookups: ReadLookups
  /** Combinations that may be held at once. */
  readonly rowsMax: number
  readonly turn: Turn
  /** What other evaluations of the same request have found, where it does not depend on the subscription. */
  readonly known: KnownParts
}

export class KnownParts {
  readonly buckets = new Map<RouteProgram, Promise<readonly BucketName[]>>()
  readonly elements = new Map<CompiledEach, readonly Element[]>()
}

/**
 * The buckets that a route grants: one for every combination of values for which one row can be chosen for each step
 * such that the row was found under the values of the rows chosen before it, if no absence finds anything. Throws `EvaluationError`, `TooManyRows`.
 */
export function runRoute(route: RouteProgram, run: RouteRun): Promise<readonly BucketName[]> {
  if (route.readsSubscription) return findBuckets(route, run)
  const { buckets } = run.known
  const found = buckets.get(route) ?? findBuckets(route, run)
  buckets.set(route, found)
  return found
}

async function findBuckets(route: RouteProgram, run: RouteRun): Promise<readonly BucketName[]> {
  run.data.work.check()
  const scope: RequestScope = { ...run.data, element: undefined }
  const found = await runWay(route, scope, run)
  const values = found && allPlaces(route.values, scope)
  const bound = values && (await found.takeLast(values))
  if (bound === undefined) return []
  const { turn } = run
  const buckets = new Set<BucketName>()
  for (const row of bound.relation.rows) {
    if (turn.isOverAfterStep()) await turn.next()
    buckets.add(route.nameBucket(bound.read.map((read) => read(row)).join(',')))
  }
  return [...buckets]
}

/** The combinations that were found; undefined when there is none. */
async function runWay(way: WayProgram, scope: RequestScope, run: RouteRun): Promise<Combinations | undefined> {
  if (!way.passes(scope)) return undefined
  const found = new Combinations(run)
  for (const step of way.steps) {
    const inputs = allPlaces(step.inputs, scope)
    if (inputs === undefined || !(await runStep(step, inputs, { found, run }))) return undefined
  }
  for (const absence of way.absences) {
    if ((await runWay(absence, scope, run)) !== undefined) return undefined
  }
  return found
}

type Running = { readonly found: Combinations; readonly run: RouteRun }

/** False when the step finds nothing: then the route grants nothing. */
async function runStep(step: StepProgram, inputs: readonly ValuePlace[], { found, run }: Running): Promise<boolean> {
  const bound = await found.take(inputs)
  if (bound === undefined) return false
  const { relation, read } = bound
  const { turn } = run
  const { work } = run.data
  work.addResults(relation.rows.length)
  const keyOf = (row: RelationRow): string => read.map((value) => value(row)).join(',')
  const keys = new Set<string>()
  for (const row of relation.rows) {
    if (turn.isOverAfterStep()) await turn.next()
    keys.add(keyOf(row))
  }
  const entries = await readEntries(step, keys, run)
  return found.add([...relation.columns, ...step.outputs], combined(), step.kept)

  function* combined(): Generator<RelationRow> {
    for (const row of relation.rows) {
      const outputs = entries.get(keyOf(row)) ?? []
      work.addResults(outputs.length)
      for (const values of outputs) yield [...row, ...values]
    }
  }
}

type Entries = ReadonlyMap<string, readonly RelationRow[]>

async function readEntries({ from }: StepProgram, keys: ReadonlySet<string>, run: RouteRun): Promise<Entries> {
  return from.kind === 'each'
    ? from.each.select(run.data, readElements(from.each, run), run.turn)
    : readLookupEntries(from.id, [...keys], run)
}

async function readLookupEntries(id: LookupId, keys: readonly string[], run: RouteRun): Promise<Entries> {
  const { turn } = run
  const found = new Map<string, readonly RelationRow[]>()
  for (let at = 0; at < keys.length; at += KEYS_PER_READ) {
    if (turn.isOver) await turn.next()
    const some = keys.slice(at, at + KEYS_PER_READ)
    const entries = await run.readLookups(some.map((key) => toLookupKey(id, key)))
    for (const [index, key] of some.entries()) {
      const rows: RelationRow[] = []
      for (const outputs of entries[index] ?? []) {
        if (turn.isOverAfterStep()) await turn.next()
        rows.push(splitOutputs(outputs))
      }
      found.set(key, rows)
    }
  }
  return found
}

function readElements(each: CompiledEach, { data, known }: RouteRun): readonly Element[] {
  const found = known.elements.get(each) ?? each.readElements(data)
  if (!each.readsSubscription) known.elements.set(each, found)
  return found
}

/** Undefined when a value of the request can be no part of a key: nothing equals it. */
function allPlaces(values: readonly ValueProgram[], scope: RequestScope): readonly ValuePlace[] | undefined {
  const places: ValuePlace[] = []
  for (const value of values) {
    const place = placeOf(value, scope)
    if (place === undefined) return undefined
    places.push(place)
  }
  return places
}

function placeOf(value: ValueProgram, scope: RequestScope): ValuePlace | undefined {
  switch (value.kind) {
    case 'request': {
      const text = value.readText(scope)
      return text === undefined ? undefined : { kind: 'constant', text }
    }
    case 'output':
      return { kind: 'column', column: value.column }
    case 'all': {
      const places = allPlaces(value.values, scope)
      return places === undefined ? undefined : { kind: 'all', places }
    }
  }
}
