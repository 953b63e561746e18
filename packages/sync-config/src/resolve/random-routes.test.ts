import { array, assert, asyncProperty, boolean, constantFrom, type Arbitrary, nat, record } from 'fast-check'
import { expect, test } from 'vitest'
import { loadPlan } from '../load.ts'
import type { Expression, PlanStep, PlanValue } from '../plan.ts'
import { bucket, claim, column, elementOf, evaluator, lookup, plan, route, stream } from '../testing/plan-parts.ts'
import { shortTurns } from '../testing/turns.ts'
import type { LookupId, LookupOutputs, RequestObject } from '../types.ts'

/** Routes of random steps, resolved once by the service's code and once by trying every choice of rows. */

/** Few values, so that they meet. NULL among them. */
const value = constantFrom(0, 1, 2, null)
type Value = number | null

/** A value of a step or of the bucket: of the request, an output of an earlier step, or several that must be equal. */
type ValueSpec = { readonly pick: number; readonly isRequest: boolean }
const valueSpec: Arbitrary<ValueSpec> = record({ pick: nat(30), isRequest: boolean() })
const valuesSpec = array(valueSpec, { minLength: 1, maxLength: 3 })

const stepSpec = record({
  source: constantFrom('a', 'b', 'c', 'each', 'each-keyed'),
  inputs: array(valuesSpec, { minLength: 2, maxLength: 2 }),
})

/** Inputs that a step of each source takes. */
const INPUTS = { a: 1, b: 2, c: 0, each: 0, 'each-keyed': 1 } as const
const CLAIMS = ['x', 'y', 'z'] as const

type Entry = { readonly keys: readonly Value[]; readonly outputs: readonly Value[] }

const entriesOf = (keys: number): Arbitrary<readonly Entry[]> =>
  array(
    record({
      keys: array(value, { minLength: keys, maxLength: keys }),
      outputs: array(value, { minLength: 2, maxLength: 2 }),
    }),
    { maxLength: 6 },
  )

const world = record({
  claims: record({ x: value, y: value, z: value, list: array(value, { maxLength: 4 }) }),
  entries: record({ a: entriesOf(1), b: entriesOf(2), c: entriesOf(0) }),
})
type World = {
  readonly claims: RequestObject & { readonly list: readonly Value[] }
  readonly entries: { readonly [id: string]: readonly Entry[] }
}

const LIST: Expression = {
  kind: 'call',
  name: '->',
  args: [
    { kind: 'request', source: 'claims', path: [], style: 'extract' },
    { kind: 'text', value: 'list' },
  ],
}

function toPlanValue(specs: readonly ValueSpec[], steps: number): PlanValue {
  const values = specs.map(({ pick, isRequest }): PlanValue => {
    if (isRequest || steps === 0) return { kind: 'request', expression: claim(CLAIMS[pick % 3] ?? '') }
    return { kind: 'output', step: pick % steps, output: Math.floor(pick / steps) % 2 }
  })
  const [first] = values
  return values.length === 1 && first !== undefined ? first : { kind: 'all', values }
}

function toStep(
  { source, inputs }: { readonly source: keyof typeof INPUTS; readonly inputs: readonly (readonly ValueSpec[])[] },
  index: number,
): FindingStep {
  const values = inputs.slice(0, INPUTS[source]).map((specs) => toPlanValue(specs, index))
  if (source === 'a' || source === 'b' || source === 'c')
    return { kind: 'lookup', lookup: source as LookupId, inputs: values }
  const keys = source === 'each' ? [] : [elementOf(0)]
  return {
    kind: 'each',
    argument: LIST,
    filters: [],
    keys,
    inputs: values,
    outputs: [elementOf(0), elementOf(0, 'key')],
  }
}

/** Rows that a step can choose from; NULL in one of them keeps it out. */
function rowsOf(step: FindingStep, { claims, entries }: World): readonly Entry[] {
  const rows =
    step.kind === 'lookup'
      ? (entries[step.lookup] ?? [])
      : claims.list.map((each, index) => ({ keys: step.keys.map(() => each), outputs: [each, index] }))
  return rows.filter(({ keys, outputs }) => ![...keys, ...outputs].includes(null))
}

/** Plans of this test have no absences. */
type FindingStep = Exclude<PlanStep, { readonly kind: 'absent' }>

type Chosen = readonly (readonly Value[])[]

/** NULL where there is none: of the request, or as several differ. */
function read(from: PlanValue, chosen: Chosen, claims: RequestObject): Value {
  switch (from.kind) {
    case 'output':
      return chosen[from.step]?.[from.output] ?? null
    case 'request': {
      const [name = ''] = from.expression.kind === 'request' ? from.expression.path : []
      const found = claims[name]
      return typeof found === 'number' ? found : null
    }
    case 'all': {
      const [first = null, ...others] = from.values.map((part) => read(part, chosen, claims))
      return others.every((other) => other === first) ? first : null
    }
  }
}

function tuplesOf(
  steps: readonly FindingStep[],
  values: readonly PlanValue[],
  given: World,
  chosen: Chosen = [],
): readonly string[] {
  const [step, ...later] = steps
  const readAll = (from: readonly PlanValue[]): readonly Value[] => from.map((each) => read(each, chosen, given.claims))
  if (step === undefined) {
    const tuple = readAll(values)
    return tuple.includes(null) ? [] : [JSON.stringify(tuple)]
  }
  const inputs = readAll(step.inputs)
  return rowsOf(step, given)
    .filter(({ keys }) => keys.every((key, index) => key === inputs[index]))
    .flatMap(({ outputs }) => tuplesOf(later, values, given, [...chosen, outputs]))
}

test('[106, 107, 108, 111] a route grants what trying every choice of rows finds', async () => {
  let granted = 0
  await assert(
    asyncProperty(
      array(stepSpec, { maxLength: 4 }),
      array(valuesSpec, { maxLength: 3 }),
      world,
      boolean(),
      async (stepSpecs, valueSpecs, given, isInterrupted) => {
        const steps = stepSpecs.map(toStep)
        const values = valueSpecs.map((specs) => toPlanValue(specs, steps.length))
        const loaded = loadPlan(
          plan({
            evaluators: [evaluator('t')],
            lookups: ['a', 'b', 'c'].map((id) => lookup(id, id, { outputs: [column('p'), column('q')] })),
            buckets: [bucket('t', [0])],
            streams: [stream('s', [route({ steps, values })])],
          }),
          { generation: 1, bucketsMax: 100_000 },
        )
        const { buckets } = await loaded.resolve(
          { claims: given.claims, parameters: {}, includeDefaults: true, subscriptions: [] },
          (keys) => Promise.resolve(keys.map((key) => storedUnder(key, given))),
          isInterrupted ? shortTurns() : undefined,
        )
        const found = buckets.map(({ bucket: name }) => name.slice(name.indexOf('['))).toSorted()
        granted += found.length
        expect(found).toEqual([...new Set(tuplesOf(steps, values, given))].toSorted())
      },
    ),
    { numRuns: 3_000 },
  )
  expect(granted).toBeGreaterThan(100)
})

/** Storage holds no entry with NULL. */
function storedUnder(key: string, given: World): readonly LookupOutputs[] {
  const [id, keys] = [key.slice(0, 1), key.slice(1)]
  return (given.entries[id] ?? [])
    .filter((entry) => JSON.stringify(entry.keys) === keys && ![...entry.keys, ...entry.outputs].includes(null))
    .map(({ outputs }) => JSON.stringify(outputs) as LookupOutputs)
}
