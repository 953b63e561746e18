import type { Expression } from '../plan.ts'
import type { SqlExpression } from '../sql/tree.ts'

export const NULL: Expression = { kind: 'null' }
export const FALSE: Expression = { kind: 'integer', digits: '0' }
export const TRUE: Expression = { kind: 'integer', digits: '1' }

export function isTrueLiteral(expression: Expression): boolean {
  return expression.kind === 'integer' && expression.digits === '1'
}

/** What is written as it is, in every edition. */
export type Literal = SqlExpression & { readonly kind: 'null' | 'boolean' | 'integer' | 'real' | 'text' }

export function lowerLiteral(sql: Literal): Expression {
  switch (sql.kind) {
    case 'null':
      return NULL
    case 'boolean':
      return sql.value ? TRUE : FALSE
    case 'integer':
      return { kind: 'integer', digits: sql.digits }
    case 'real':
      return { kind: 'real', value: sql.value }
    case 'text':
      return { kind: 'text', value: sql.value }
  }
}
