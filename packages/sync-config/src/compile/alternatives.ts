/** Alternatives that one condition may multiply out to. */
export const CONJUNCTIONS_MAX = 100

/** What has to hold together, several times over: one of the lists is enough. */
type Alternatives<Item> = readonly (readonly Item[])[]

/**
 * The alternatives of parts that are joined by AND or OR. Undefined when there are more than `CONJUNCTIONS_MAX`, or were
 * of a part already.
 */
export function joinAlternatives<Item>(
  kind: 'and' | 'or',
  parts: readonly (Alternatives<Item> | undefined)[],
): Alternatives<Item> | undefined {
  let joined: Alternatives<Item> = kind === 'and' ? [[]] : []
  for (const part of parts) {
    if (part === undefined) return undefined
    joined = kind === 'or' ? [...joined, ...part] : joined.flatMap((items) => part.map((more) => [...items, ...more]))
    if (joined.length > CONJUNCTIONS_MAX) return undefined
  }
  return joined
}
