import type { Turn } from '../types.ts'

/** Turns of one step each: whoever shares them is interrupted wherever it can be. */
export function shortTurns(): Turn & { readonly count: () => number } {
  let count = 0
  return {
    isOver: true,
    isOverAfterStep: () => true,
    next: async () => {
      count += 1
    },
    count: () => count,
  }
}
