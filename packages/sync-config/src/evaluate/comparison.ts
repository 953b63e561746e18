import type { Comparison } from '../plan.ts'

/** `order`: less than 0 when the left side comes first. */
export const PASSES: { readonly [Operator in Comparison]: (order: number) => boolean } = {
  '=': (order) => order === 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
}
