/** A numbered list of statements that tests show. */
export type ConformanceList = {
  /** Stands before the numbers in titles: `[protocol 12, 14] …`. */
  readonly name: string
  readonly itemsCount: number
  /** Where its tests are, and the projects of Vitest that run them. */
  readonly folders: readonly string[]
  readonly projects: readonly string[]
  /** In this folder titles leave the name out: `[12, 14] …`. */
  readonly ownFolder: string | undefined
}

export const CONFORMANCE_LISTS: readonly ConformanceList[] = [
  {
    name: 'sync-config',
    itemsCount: 144,
    folders: ['packages/sync-config', 'packages/service'],
    projects: ['unit', 'pg'],
    ownFolder: 'packages/sync-config/',
  },
  {
    name: 'protocol',
    itemsCount: 102,
    folders: ['packages/protocol', 'packages/service', 'packages/client', 'tests'],
    projects: ['unit', 'pg', 'across'],
    ownFolder: undefined,
  },
]

/** What a test says about a conformance list. */
export type NumberedTest = {
  /** Path of its file, from the root of the repository. */
  readonly file: string
  readonly title: string
  readonly hasPassed: boolean
}

export type ConformanceCount = {
  readonly passed: readonly number[]
  /** Named by a test that failed, with the titles of those. */
  readonly failed: readonly { readonly item: number; readonly titles: readonly string[] }[]
  /** Named by no test that ran. */
  readonly missing: readonly number[]
}

/** Found in the whole name of a test that the list may count, whatever groups it is in. */
export function titlePattern({ name, ownFolder }: ConformanceList): RegExp {
  const prefix = ownFolder === undefined ? `${name} ` : `(${name} )?`
  return new RegExp(`\\[${prefix}\\d+(, \\d+)*\\] `)
}

/** The items that a title names, by its file in one form or the other. */
export function itemsOf(
  list: ConformanceList,
  { file, title }: Pick<NumberedTest, 'file' | 'title'>,
): readonly number[] {
  const isOwn = list.ownFolder !== undefined && file.startsWith(list.ownFolder)
  const numbers = new RegExp(`^\\[${isOwn ? '' : `${list.name} `}(\\d+(?:, \\d+)*)\\] `).exec(title)?.[1]
  return numbers === undefined ? [] : numbers.split(', ').map(Number)
}

export function countItems(tests: readonly NumberedTest[], list: ConformanceList): ConformanceCount {
  const numbered = tests.flatMap((test) => itemsOf(list, test).map((item) => ({ item, test })))
  const byItem = Map.groupBy(numbered, ({ item }) => item)
  const items = Array.from({ length: list.itemsCount }, (_, index) => index + 1)
  const failed = items.flatMap((item) => {
    const titles = (byItem.get(item) ?? []).filter(({ test }) => !test.hasPassed).map(({ test }) => test.title)
    return titles.length === 0 ? [] : [{ item, titles }]
  })
  const failedItems = new Set(failed.map(({ item }) => item))
  return {
    passed: items.filter((item) => byItem.has(item) && !failedItems.has(item)),
    failed,
    missing: items.filter((item) => !byItem.has(item)),
  }
}

export function describeCount({ passed, failed, missing }: ConformanceCount, { itemsCount }: ConformanceList): string {
  return [
    ...failed.flatMap(({ item, titles }) => [`item ${item} failed:`, ...titles.map((title) => `    ${title}`)]),
    ...(missing.length === 0 ? [] : [`no test ran for: ${missing.join(', ')}`]),
    ...(failed.length === 0 ? [] : [`failed: ${failed.map(({ item }) => item).join(', ')}`]),
    `passed ${passed.length} of ${itemsCount}`,
  ].join('\n')
}
