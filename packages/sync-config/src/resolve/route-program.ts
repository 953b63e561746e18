import type { BucketName } from '@headwater/protocol'
import { bucketNamer, type GenerationOf } from '../evaluate/bucket-name.ts'
import { allOf } from '../evaluate/all-of.ts'
import { compileTest } from '../evaluate/expression.ts'
import type { Test } from '../evaluate/leaves.ts'
import {
  type Expression,
  type PlanBody,
  type PlanRoute,
  type PlanStep,
  type PlanStream,
  type PlanValue,
} from '../plan.ts'
import type { LookupId } from '../types.ts'
import {
  type CompiledEach,
  compileEach,
  compileText,
  compileTextOrNull,
  type EachOptions,
  type ReadText,
} from './each-program.ts'
import { readsSubscription, requestLeaves, type RequestScope } from './request-leaves.ts'

/** What has to be found before anything is granted. */
export type WayProgram = {
  readonly passes: Test<RequestScope>
  readonly steps: readonly StepProgram[]
  /** None of these finds anything. */
  readonly absences: readonly WayProgram[]
}

/** A route ready to run: filters and request values are functions. */
export type RouteProgram = WayProgram & {
  readonly values: readonly ValueProgram[]
  readonly nameBucket: (keys: string) => BucketName
  readonly priority: number | null
  /** Where it does not, it gives the same for every subscription of a request. */
  readonly readsSubscription: boolean
}

export type StepProgram = {
  readonly from:
    | { readonly kind: 'lookup'; readonly id: LookupId }
    | { readonly kind: 'each'; readonly each: CompiledEach }
  readonly inputs: readonly ValueProgram[]
  /** Names of the columns of what the step finds; one per output. */
  readonly outputs: readonly string[]
  /** Columns that later steps and the values still use. */
  readonly kept: readonly string[]
}

export type ValueProgram =
  | { readonly kind: 'request'; readonly readText: ReadText }
  | { readonly kind: 'output'; readonly column: string }
  | { readonly kind: 'all'; readonly values: readonly ValueProgram[] }

type RouteOptions = { readonly kind: PlanStream['kind']; readonly generationOf: GenerationOf }

export function compileRoute(body: PlanBody, route: PlanRoute, { kind, generationOf }: RouteOptions): RouteProgram {
  const bucket = body.buckets[route.bucket]
  if (bucket === undefined) throw new Error('Invariant: a route leads to a bucket of the plan')
  const leaves = requestLeaves(body.values)
  const keepsNull = kind === 'definition'
  const readValue = keepsNull ? compileTextOrNull : compileText
  return {
    ...compileWay(body, route, { leaves, options: body.values, keepsNull }),
    values: route.values.map((value) => compileValue(value, (expression) => readValue(expression, leaves))),
    nameBucket: bucketNamer(bucket, body, generationOf),
    priority: route.priority,
    readsSubscription: expressionsOf(route).some(readsSubscription),
  }
}

type FindingStep = Exclude<PlanStep, { readonly kind: 'absent' }>
type Way = Pick<PlanRoute, 'filters' | 'steps'>

function compileWay(body: PlanBody, way: Way & Partial<PlanRoute>, options: EachOptions): WayProgram {
  const { leaves } = options
  const found = way.steps.filter((step) => step.kind !== 'absent')
  const absent = way.steps.filter((step) => step.kind === 'absent')
  const steps = found.map((step, number): StepProgram => {
    const later = [...found.slice(number + 1).flatMap(({ inputs }) => inputs), ...(way.values ?? [])]
    return {
      from: compileSource(step, options),
      inputs: step.inputs.map((input) => compileValue(input, (expression) => compileText(expression, leaves))),
      outputs: outputsOf(body, step).map((_, output) => columnName(number, output)),
      kept: later.flatMap(columnsOf),
    }
  })
  return {
    passes: allOf(way.filters.map((filter) => compileTest(filter, leaves))),
    steps,
    absences: absent.map((absence) => compileWay(body, absence, options)),
  }
}

function compileSource(step: FindingStep, options: EachOptions): StepProgram['from'] {
  return step.kind === 'lookup'
    ? { kind: 'lookup', id: step.lookup }
    : { kind: 'each', each: compileEach(step, options) }
}

function expressionsOf({ values, ...way }: PlanRoute): readonly Expression[] {
  return [...expressionsOfWay(way), ...values.flatMap(expressionsOfValue)]
}

function expressionsOfWay({ filters, steps }: Way): readonly Expression[] {
  return [...filters, ...steps.flatMap(expressionsOfStep)]
}

function expressionsOfStep(step: PlanStep): readonly Expression[] {
  if (step.kind === 'absent') return expressionsOfWay(step)
  return [...(step.kind === 'each' ? expressionsOfEach(step) : []), ...step.inputs.flatMap(expressionsOfValue)]
}

function expressionsOfEach({ argument, filters, keys, outputs }: PlanStep & { kind: 'each' }): readonly Expression[] {
  return [argument, ...filters, ...keys, ...outputs]
}

function expressionsOfValue(value: PlanValue): readonly Expression[] {
  switch (value.kind) {
    case 'request':
      return [value.expression]
    case 'output':
      return []
    case 'all':
      return value.values.flatMap(expressionsOfValue)
  }
}

function outputsOf(body: PlanBody, step: FindingStep): readonly unknown[] {
  if (step.kind === 'each') return step.outputs
  const lookup = body.lookups.find(({ id }) => id === step.lookup)
  if (lookup === undefined) throw new Error('Invariant: a step reads a lookup of the plan')
  return lookup.outputs
}

function compileValue(value: PlanValue, compile: (expression: Expression) => ReadText): ValueProgram {
  switch (value.kind) {
    case 'request':
      return { kind: 'request', readText: compile(value.expression) }
    case 'output':
      return { kind: 'output', column: columnName(value.step, value.output) }
    case 'all':
      return { kind: 'all', values: value.values.map((part) => compileValue(part, compile)) }
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
