import type { Expression } from '../plan.ts'
import { canonicalText, rank } from './canonical-text.ts'
import { elementsIn } from './operand.ts'
import { replaceParts } from './logic.ts'

/** An array of a row, whose elements expressions name by its number. */
export type DraftExpansion = { readonly number: number; readonly argument: Expression }

export type Numbered = {
  readonly expansions: readonly Expression[]
  /** Names elements by the index of their expansion. */
  readonly rewrite: (expression: Expression) => Expression
}

/**
 * Numbers the arrays of one part of a plan by what is done with them, so that equal parts of different queries become
 * equal. `uses` are the lists of expressions of the part. Arrays that are used alike keep the order they come in.
 */
export function numberExpansions(
  drafts: readonly DraftExpansion[],
  uses: readonly (readonly Expression[])[],
): Numbered {
  let labels = rank(new Map(drafts.map(({ number, argument }) => [number, JSON.stringify(argument)])))
  for (let round = 1; round < drafts.length; round++) {
    const before = labels
    labels = rank(new Map(drafts.map(({ number }) => [number, nextLabel(number, before, uses)])))
  }
  const sorted = drafts
    .map((draft) => ({ ...draft, sortBy: JSON.stringify([draft.argument, labels.get(draft.number)]) }))
    .toSorted((a, b) => (a.sortBy < b.sortBy ? -1 : Number(a.sortBy > b.sortBy)))
  const indexes = new Map(sorted.map(({ number }, index) => [number, index]))
  return {
    expansions: sorted.map(({ argument }) => argument),
    rewrite: (expression) => renumber(expression, (number) => indexes.get(number)),
  }
}

export function renumber(expression: Expression, indexOf: (number: number) => number | undefined): Expression {
  return replaceParts(expression, (part) => {
    if (part.kind !== 'element') return undefined
    const expansion = indexOf(part.expansion)
    if (expansion === undefined) throw new Error('Invariant: a part reads elements of its own arrays only')
    return { ...part, expansion }
  })
}

function nextLabel(
  number: number,
  labels: ReadonlyMap<number, string>,
  uses: readonly (readonly Expression[])[],
): string {
  const nameOf = (other: number): string => (other === number ? 'itself' : (labels.get(other) ?? ''))
  const texts = uses.map((expressions) =>
    expressions
      .filter((expression) => elementsIn(expression).includes(number))
      .map((expression) => canonicalText(expression, nameOf))
      .toSorted(),
  )
  return JSON.stringify([labels.get(number), texts])
}
