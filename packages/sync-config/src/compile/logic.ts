import type { Comparison, Expression } from '../plan.ts'
import type { BinaryOperator } from '../sql/tree.ts'

/** `=` and `!=` do not care for order, so their sides get one. */
export function compare(operator: Comparison, left: Expression, right: Expression): Expression {
  const isSwapped = (operator === '=' || operator === '!=') && JSON.stringify(left) > JSON.stringify(right)
  return isSwapped
    ? { kind: 'compare', operator, left: right, right: left }
    : { kind: 'compare', operator, left, right }
}

/** What an operator between two sides is in a plan. */
export function operate(operator: BinaryOperator, left: Expression, right: Expression): Expression {
  switch (operator) {
    case 'and':
    case 'or':
      return joinLogic(operator, [left, right])
    case '=':
    case '!=':
    case '<':
    case '<=':
      return compare(operator, left, right)
    case '>':
      return compare('<', right, left)
    case '>=':
      return compare('<=', right, left)
    default:
      return { kind: 'call', name: operator, args: [left, right] }
  }
}

export function negate(operand: Expression): Expression {
  return operand.kind === 'not' && isTest(operand.operand) ? operand.operand : { kind: 'not', operand }
}

/** Conditions as a set: flattened, without repeats, in one order, so that what was written first does not matter. */
export function joinLogic(kind: 'and' | 'or', operands: readonly Expression[]): Expression {
  const flat = operands.flatMap((operand) => (operand.kind === kind ? operand.operands : [operand]))
  const byText = new Map(flat.map((operand) => [JSON.stringify(operand), operand]))
  const sorted = [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, operand]) => operand)
  const [only] = sorted
  return sorted.length === 1 && only !== undefined && isTest(only) ? only : { kind, operands: sorted }
}

/** Is the value of the expression 1 or 0 already? Then wrapping it in a test of its truth changes nothing. */
function isTest(expression: Expression): boolean {
  return (
    expression.kind === 'not' || expression.kind === 'and' || expression.kind === 'or' || expression.kind === 'is-null'
  )
}

/** The same expression with others for some of its parts; conditions get the order that their new parts ask for. */
export function replaceParts(
  expression: Expression,
  replace: (part: Expression) => Expression | undefined,
): Expression {
  const replaced = replace(expression)
  if (replaced !== undefined) return replaced
  const inside = (part: Expression): Expression => replaceParts(part, replace)
  switch (expression.kind) {
    case 'null':
    case 'integer':
    case 'real':
    case 'text':
    case 'column':
    case 'element':
    case 'table':
    case 'request':
      return expression
    case 'compare':
      return compare(expression.operator, inside(expression.left), inside(expression.right))
    case 'not':
    case 'is-null':
      return { kind: expression.kind, operand: inside(expression.operand) }
    case 'and':
    case 'or':
      return joinLogic(expression.kind, expression.operands.map(inside))
    case 'call':
      return { ...expression, args: expression.args.map(inside) }
    case 'case':
      return {
        kind: 'case',
        branches: expression.branches.map(({ when, result }) => ({ when: inside(when), result: inside(result) })),
        otherwise: inside(expression.otherwise),
      }
  }
}
