/**
 * For tests: a source of choices from which random things are built. What was chosen is a list of numbers; built again
 * from a shorter list, or one with smaller numbers, a thing gets simpler, for behind the end of a list every choice
 * is 0: the simplest. So a failing case can be made small without knowing how it was built.
 */
export class Choices {
  readonly taken: number[] = []
  readonly #next: () => number

  private constructor(next: () => number) {
    this.#next = next
  }

  /** The case of this number of a run; runs of different seeds have no cases in common. */
  static random(seed: number, index: number): Choices {
    return new Choices(splitmix32(Math.imul(seed, 0x2545_f491) ^ Math.imul(index + 1, 0x9e37_79b1)))
  }

  static replay(list: readonly number[]): Choices {
    let at = 0
    return new Choices(() => list[at++] ?? 0)
  }

  /** 0 … `count` - 1. */
  below(count: number): number {
    const chosen = this.#next() % count
    this.taken.push(chosen)
    return chosen
  }

  /** `count` or fewer things; none is the simplest. */
  list<Item>(count: number, make: (index: number) => Item): readonly Item[] {
    return Array.from({ length: this.below(count + 1) }, (_, index) => make(index))
  }

  /** The first is the simplest. */
  pick<Item>(first: Item, ...others: readonly Item[]): Item {
    return [first, ...others][this.below(others.length + 1)] ?? first
  }

  pickFrom<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('Invariant: there is nothing to choose from')
    return item
  }

  /** True in so many of 100 cases; false is simpler. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent
  }
}

/** Attempts to make a failing case smaller. */
const ATTEMPTS_MAX = 1500

/** A smaller list that still fails. `fails` is asked many times. */
export async function reduceChoices(
  start: readonly number[],
  fails: (list: readonly number[]) => Promise<boolean>,
): Promise<readonly number[]> {
  let best = start
  let attempts = 0
  const attempt = async (list: readonly number[]): Promise<boolean> => {
    attempts += 1
    if (attempts > ATTEMPTS_MAX || !(await fails(list))) return false
    best = list
    return true
  }
  for (let size = best.length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length;) {
      const isShorter = await attempt([...best.slice(0, at), ...best.slice(at + size)])
      if (!isShorter) at += size
    }
  }
  for (let at = 0; at < best.length; at += 1) {
    const value = best[at] ?? 0
    for (const smaller of new Set([0, 1, Math.floor(value / 2), value - 1])) {
      if (smaller < value && smaller >= 0 && (await attempt(best.with(at, smaller)))) break
    }
  }
  return best
}

function splitmix32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e37_79b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0_aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a_2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}
