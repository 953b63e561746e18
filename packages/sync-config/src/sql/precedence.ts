import type { BinaryOperator } from './tree.ts'

/**
 * How tightly operators bind, loosest first. An operator takes as its right side everything that binds tighter.
 *
 *     OR < AND < NOT < IS < comparisons < IN, BETWEEN < other operators < + - || < * / % < unary + < -> ->> < ::
 */
export const POWER = {
  or: 1,
  and: 2,
  not: 3,
  is: 4,
  comparison: 5,
  in: 6,
  other: 7,
  sum: 8,
  product: 9,
  sign: 10,
  extract: 11,
  cast: 12,
} as const

export const BINARY: { readonly [symbol: string]: readonly [BinaryOperator, number] } = {
  or: ['or', POWER.or],
  and: ['and', POWER.and],
  '=': ['=', POWER.comparison],
  '!=': ['!=', POWER.comparison],
  '<>': ['!=', POWER.comparison],
  '<': ['<', POWER.comparison],
  '<=': ['<=', POWER.comparison],
  '>': ['>', POWER.comparison],
  '>=': ['>=', POWER.comparison],
  '&': ['&', POWER.other],
  '|': ['|', POWER.other],
  '<<': ['<<', POWER.other],
  '>>': ['>>', POWER.other],
  '+': ['+', POWER.sum],
  '-': ['-', POWER.sum],
  '||': ['||', POWER.sum],
  '*': ['*', POWER.product],
  '/': ['/', POWER.product],
  '%': ['%', POWER.product],
  '->': ['->', POWER.extract],
  '->>': ['->>', POWER.extract],
}
