import type { PlanEvaluator } from '../plan.ts'
import type { DraftStreamRoute } from './assemble.ts'
import { expandKeys, mergeKeys, type OlderStep, type OlderValue } from './older-route.ts'
import type { DraftSource, DraftValue, StepSource } from './route.ts'

/** A way to buckets that editions 1 and 2 know. */
export type OlderRoute = Pick<DraftStreamRoute, 'query' | 'filters' | 'priority'> & {
  readonly evaluators: readonly PlanEvaluator[]
  readonly steps: readonly OlderStep[]
  /** One per key of each evaluator; all of it must be the same value. */
  readonly values: readonly (readonly OlderValue[])[]
}

/** Puts it into the words of edition 3, so that both are assembled into a plan alike. */
export function draftOlderRoute(route: OlderRoute): DraftStreamRoute {
  const sources = new Map(route.steps.map((step) => [step, sourceOf(step)]))
  const toValue = (value: OlderValue): DraftValue => {
    if (value.kind === 'request') return value
    const source = sources.get(value.step)
    if (source === undefined) throw new Error('Invariant: a value comes from a step of its route')
    return { kind: 'output', source, expression: value.expression }
  }
  const steps = [...sources].map(([step, source]) => draftStep(step, source, toValue))
  return { ...route, steps, absences: [], values: route.values.map((values) => values.map(toValue)) }
}

function sourceOf(step: OlderStep): StepSource {
  return step.kind === 'lookup'
    ? { kind: 'table', table: step.table }
    : { kind: 'each', number: 0, argument: step.argument }
}

function draftStep(step: OlderStep, source: StepSource, toValue: (value: OlderValue) => DraftValue): DraftSource {
  const { filters, outputs } = step
  if (step.kind === 'each') return { source, expansions: [], filters, keys: [], outputs, label: '' }
  const merged = mergeKeys(step.keys)
  const { expansions, keys } = expandKeys(merged.map(({ key }) => key))
  return {
    source,
    expansions: expansions.map((argument, number) => ({ number, argument })),
    filters,
    keys: keys.map((expression, index) => ({
      expression,
      values: (merged[index]?.values ?? []).map(toValue),
    })),
    outputs,
    label: '',
  }
}
