/**
 * Sets of combinations of values: which values were found together. Columns name where a value comes from; values are
 * canonical JSON text, so equal values have equal text. Rows are distinct.
 *
 *     columns  [step 0 output 0, step 0 output 1]
 *     rows     [["nl", "ax"], ["be", "bo"]]        (nl, bo) was never found together, and never is
 */
export type Relation = { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }

/** One row without values: joined with anything it changes nothing. */
export const UNIT: Relation = { columns: [], rows: [[]] }

/** Only some columns, without the repeats that this may give. */
export function project(relation: Relation, columns: readonly string[]): Relation {
  const kept = relation.columns.filter((column) => columns.includes(column))
  if (kept.length === relation.columns.length) return relation
  const indexes = kept.map((column) => relation.columns.indexOf(column))
  return { columns: kept, rows: distinctRows(relation.rows.map((row) => pick(row, indexes))) }
}

/** Rows in which two columns have the same value, or a column has the value given. */
export function select(
  relation: Relation,
  column: string,
  isWanted: (value: string, row: Relation['rows'][number]) => boolean,
): Relation {
  const index = relation.columns.indexOf(column)
  return { columns: relation.columns, rows: relation.rows.filter((row) => isWanted(row[index] ?? '', row)) }
}

/** Every pair of rows that agrees on `on`, a column of each; every pair at all when `on` is absent. */
export function join(left: Relation, right: Relation, on: readonly [string, string] | undefined): Relation {
  const columns = [...left.columns, ...right.columns]
  if (on === undefined) {
    return { columns, rows: left.rows.flatMap((row) => right.rows.map((other) => [...row, ...other])) }
  }
  const leftIndex = left.columns.indexOf(on[0])
  const byValue = Map.groupBy(right.rows, (row) => row[right.columns.indexOf(on[1])] ?? '')
  const rows = left.rows.flatMap((row) => (byValue.get(row[leftIndex] ?? '') ?? []).map((other) => [...row, ...other]))
  return { columns, rows }
}

export function distinctRows(rows: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return [...new Map(rows.map((row) => [row.join(','), row])).values()]
}

export function pick(row: readonly string[], indexes: readonly number[]): readonly string[] {
  return indexes.map((index) => row[index] ?? '')
}
