import { type Expression, partsOf } from '../plan.ts'

/**
 * Text of an expression, equal for expressions that differ only in how the arrays are numbered whose elements they
 * read: `nameOf` says what stands for a number.
 */
export function canonicalText(expression: Expression, nameOf: (expansion: number) => string): string {
  if (expression.kind === 'element') return JSON.stringify(['element', nameOf(expression.expansion), expression.part])
  const parts = partsOf(expression).map((part) => canonicalText(part, nameOf))
  if (parts.length === 0) return JSON.stringify(expression)
  // The parts are JSON already. Written as strings inside of it, they would double with every level.
  return `[${JSON.stringify(headOf(expression))},[${inOrder(expression, parts).join(',')}]]`
}

function headOf(expression: Expression): string {
  switch (expression.kind) {
    case 'compare':
      return `compare ${expression.operator}`
    case 'call':
      return `call ${expression.name}`
    default:
      return expression.kind
  }
}

/** Where order says nothing, it must not depend on the numbers. */
function inOrder(expression: Expression, parts: readonly string[]): readonly string[] {
  const isSet =
    expression.kind === 'and' ||
    expression.kind === 'or' ||
    (expression.kind === 'compare' && (expression.operator === '=' || expression.operator === '!='))
  return isSet ? parts.toSorted() : parts
}

/** Short labels for texts: equal for equal texts, and in their order. */
export function rank<Labelled>(texts: ReadonlyMap<Labelled, string>): ReadonlyMap<Labelled, string> {
  const sorted = [...new Set(texts.values())].toSorted()
  const width = String(sorted.length).length
  const labels = new Map(sorted.map((text, index) => [text, String(index).padStart(width, '0')]))
  return new Map([...texts].map(([labelled, text]) => [labelled, labels.get(text) ?? '']))
}
