/** How rows of two results are matched and compared. */
export type RowComparator<Row> = {
  readonly keyBy: (row: Row) => string
  readonly compareBy: (row: Row) => string
}

/** The key is `id` where that is a string, otherwise the whole row. */
export const DEFAULT_ROW_COMPARATOR: RowComparator<unknown> = {
  keyBy: (row) => {
    if (typeof row === 'object' && row !== null && 'id' in row && typeof row.id === 'string') return row.id
    return rowText(row)
  },
  compareBy: rowText,
}

/** Compares two results row by row, on the text that `compareBy` gives. */
export class ArrayComparator<Row> {
  readonly #compareBy: (row: Row) => string

  constructor(options: { readonly compareBy: (row: Row) => string }) {
    this.#compareBy = options.compareBy
  }

  checkEquality(current: readonly Row[], previous: readonly Row[]): boolean {
    return (
      current.length === previous.length &&
      current.every((row, index) => {
        const other = previous[index]
        return other !== undefined && this.#compareBy(row) === this.#compareBy(other)
      })
    )
  }
}

/** The new rows, with the previous objects for those that did not change; the previous array when none did. */
export function keepUnchanged<Row>(
  previous: readonly Row[],
  current: readonly Row[],
  comparator: RowComparator<Row>,
): readonly Row[] {
  const known = new Map(previous.map((row) => [comparator.keyBy(row), row]))
  let changed = previous.length !== current.length
  const merged = current.map((row, index) => {
    const before = known.get(comparator.keyBy(row))
    const kept = before !== undefined && comparator.compareBy(before) === comparator.compareBy(row) ? before : row
    if (kept !== previous[index]) changed = true
    return kept
  })
  return changed ? merged : previous
}

export type RowsDiff<Row> = {
  readonly added: readonly Row[]
  readonly removed: readonly Row[]
  readonly updated: readonly { readonly current: Row; readonly previous: Row }[]
  readonly unchanged: readonly Row[]
  readonly all: readonly Row[]
}

export function diffRows<Row>(
  previous: readonly Row[],
  current: readonly Row[],
  comparator: RowComparator<Row>,
): RowsDiff<Row> {
  const before = new Map(previous.map((row) => [comparator.keyBy(row), row]))
  const keysNow = new Set<string>()
  const added: Row[] = []
  const updated: { current: Row; previous: Row }[] = []
  const unchanged: Row[] = []
  for (const row of current) {
    const key = comparator.keyBy(row)
    keysNow.add(key)
    const old = before.get(key)
    if (old === undefined) added.push(row)
    else if (comparator.compareBy(old) === comparator.compareBy(row)) unchanged.push(row)
    else updated.push({ current: row, previous: old })
  }
  const removed = previous.filter((row) => !keysNow.has(comparator.keyBy(row)))
  return { added, removed, updated, unchanged, all: current }
}

/** JSON with the integers and bytes that JSON does not know. */
function rowText(row: unknown): string {
  return JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
}
