import { type Expression, partsOf } from '../plan.ts'

/**
 * Text of an expression, equal for expressions that differ only in how the arrays are numbered whose elements they
 * read: `nameOf` says what stands for a number.
 */
export function canonicalText(expression: Expression, nameOf: (expansion: number) => string): string {
  if (expression.kind === 'element') return JSON.stringify(['element', nameOf(expression.expansion), expression.part])
  const parts = partsOf(expression).map((part) => canonicalText(part, nameOf))
  return parts.length === 0
    ? JSON.stringify(expression)
    : JSON.stringify([headOf(expression), inOrder(expression, parts)])
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
