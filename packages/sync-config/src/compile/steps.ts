import { type Expression, type PlanEvaluator, type PlanLookup, type PlanStep, shortHash } from '../plan.ts'
import { numberExpansions, renumber } from './expansions.ts'
import { type DraftSource, type DraftValue, sortByText, splitFilters, type StepSource } from './route.ts'

/** A step as the plan has it, except that its inputs still name sources. */
export type StepPart = {
  readonly draft: DraftSource
  readonly body: LookupBody | EachBody
  /** One per key. */
  readonly inputs: readonly (readonly DraftValue[])[]
  /** Index of an output, given its text in the draft. */
  readonly outputIndex: ReadonlyMap<string, number>
}

type LookupBody = { readonly kind: 'lookup' } & Pick<
  PlanLookup,
  'table' | 'expansions' | 'filters' | 'keys' | 'outputs'
>
type EachBody = Omit<PlanStep & { kind: 'each' }, 'inputs'>

/** What is done with the rows of a table whose keys make a bucket. */
export function planSource(
  draft: DraftSource,
): Pick<PlanEvaluator, 'table' | 'expansions' | 'filters' | 'keys'> & Pick<StepPart, 'inputs'> {
  const { body, inputs } = makePart(draft)
  if (body.kind === 'each') throw new Error('Invariant: what makes objects is a table')
  const { table, expansions, filters, keys } = body
  return { table, expansions, filters, keys, inputs }
}

/**
 * Steps in an order that does not depend on how the query was written: by how many must come before, then by what they
 * do, then by what they do it for.
 */
export function planSteps(drafts: readonly DraftSource[]): readonly StepPart[] {
  const known = new Map<StepSource, { readonly part: StepPart; readonly depth: number; readonly sortBy: string }>()
  for (const draft of drafts) {
    const part = makePart(draft)
    const depths: number[] = []
    const textOf = (value: DraftValue): string => {
      if (value.kind === 'request') return JSON.stringify(value.expression)
      const from = known.get(value.source)
      depths.push((from?.depth ?? 0) + 1)
      return JSON.stringify([from?.sortBy, from?.part.outputIndex.get(JSON.stringify(value.expression))])
    }
    const text = JSON.stringify([part.body, part.inputs.map((values) => values.map(textOf).toSorted())])
    known.set(draft.source, { part, depth: Math.max(0, ...depths), sortBy: shortHash(text) + draft.label })
  }
  const sorted: StepPart[] = []
  const byDepth = [...Map.groupBy(known.values(), ({ depth }) => depth)].toSorted(([a], [b]) => a - b)
  for (const [, steps] of byDepth) {
    // Of steps that look alike, the one whose inputs come first comes first, so that chains of them keep one order.
    const placed = steps.map(({ part, sortBy }) => ({ part, text: JSON.stringify([sortBy, placesOf(part, sorted)]) }))
    sorted.push(...placed.toSorted((a, b) => (a.text < b.text ? -1 : Number(a.text > b.text))).map(({ part }) => part))
  }
  return sorted
}

/** Where the steps are that the inputs come from; all of them have their place by now. */
function placesOf({ inputs }: StepPart, sorted: readonly StepPart[]): readonly (readonly number[])[] {
  const placeOf = (value: DraftValue): readonly number[] =>
    value.kind === 'request' ? [] : [sorted.findIndex(({ draft }) => draft.source === value.source)]
  return inputs.map((values) => values.flatMap(placeOf).toSorted((a, b) => a - b))
}

function makePart(draft: DraftSource): StepPart {
  const { source } = draft
  const keyed = draft.keys.map(({ expression }) => expression)
  const { expansions, rewrite } =
    source.kind === 'each'
      ? {
          expansions: [],
          rewrite: (expression: Expression) => renumber(expression, (number) => onlyElement(source, number)),
        }
      : numberExpansions(draft.expansions, [draft.filters, keyed, draft.outputs])
  const keys = draft.keys
    .map(({ expression, values }) => ({ expression: rewrite(expression), values }))
    .map((key) => ({ ...key, text: JSON.stringify(key.expression) }))
    .toSorted((a, b) => (a.text < b.text ? -1 : 1))
  const outputs = sortByText(draft.outputs.map(rewrite))
  const texts = outputs.map((output) => JSON.stringify(output))
  const common = {
    filters: splitFilters(draft.filters.map(rewrite)),
    keys: keys.map(({ expression }) => expression),
    outputs,
  }
  return {
    draft,
    body:
      source.kind === 'each'
        ? { kind: 'each', argument: source.argument, ...common }
        : { kind: 'lookup', table: source.table, expansions, ...common },
    inputs: keys.map(({ values }) => values),
    outputIndex: new Map(
      draft.outputs.map((output) => [JSON.stringify(output), texts.indexOf(JSON.stringify(rewrite(output)))]),
    ),
  }
}

function onlyElement(source: StepSource & { kind: 'each' }, number: number): number | undefined {
  return number === source.number ? 0 : undefined
}
