/** What a test says about the conformance list of sync configs. */
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

/** Found in the whole name of a numbered test, whatever groups it is in. */
export const TITLE_PATTERN = /\[(sync-config )?\d+(, \d+)*\] /

/** The items that a title names: `[12, 14] …` in the package itself, `[sync-config 12, 14] …` elsewhere. */
export function itemsOf({ file, title }: Pick<NumberedTest, 'file' | 'title'>): readonly number[] {
  const isInside = file.startsWith('packages/sync-config/')
  const form = isInside ? /^\[(\d+(?:, \d+)*)\] / : /^\[sync-config (\d+(?:, \d+)*)\] /
  const list = form.exec(title)?.[1]
  return list === undefined ? [] : list.split(', ').map(Number)
}

export function countItems(tests: readonly NumberedTest[], itemsCount: number): ConformanceCount {
  const numbered = tests.flatMap((test) => itemsOf(test).map((item) => ({ item, test })))
  const byItem = Map.groupBy(numbered, ({ item }) => item)
  const items = Array.from({ length: itemsCount }, (_, index) => index + 1)
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

export function describeCount({ passed, failed, missing }: ConformanceCount, itemsCount: number): string {
  return [
    ...failed.flatMap(({ item, titles }) => [`item ${item} failed:`, ...titles.map((title) => `    ${title}`)]),
    ...(missing.length === 0 ? [] : [`no test ran for: ${missing.join(', ')}`]),
    ...(failed.length === 0 ? [] : [`failed: ${failed.map(({ item }) => item).join(', ')}`]),
    `passed ${passed.length} of ${itemsCount}`,
  ].join('\n')
}
