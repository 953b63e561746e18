/**
 * Sets of combinations of values: which values were found together. Columns name where a value comes from; values are
 * canonical JSON text, so equal values have equal text. Rows are distinct.
 *
 *     columns  [step 0 output 0, step 0 output 1]
 *     rows     [["nl", "ax"], ["be", "bo"]]        (nl, bo) was never found together, and never is
 */
export type Relation = { readonly columns: readonly string[]; readonly rows: readonly RelationRow[] }
export type RelationRow = readonly string[]

/** More combinations were found than one client may have. */
export class TooManyRows extends Error {
  override readonly name = 'TooManyRows'
}

/** One row without values: joined with anything it changes nothing. */
export const UNIT: Relation = { columns: [], rows: [[]] }

/** Only some columns, without the repeats that this may give. */
export function project(relation: Relation, columns: readonly string[]): Relation {
  if (relation.columns.every((column) => columns.includes(column))) return relation
  return collect(relation.columns, { kept: columns, rows: relation.rows, rowsMax: Infinity })
}

/** A relation of some columns of rows as they come; throws `TooManyRows` when more than `rowsMax` distinct ones do. */
export function collect(
  columns: readonly string[],
  from: { readonly kept: readonly string[]; readonly rows: Iterable<RelationRow>; readonly rowsMax: number },
): Relation {
  const indexes = columns.flatMap((column, index) => (from.kept.includes(column) ? index : []))
  const distinct = new Map<string, RelationRow>()
  for (const row of from.rows) {
    const picked = indexes.map((index) => row[index] ?? '')
    distinct.set(picked.join(','), picked)
    if (distinct.size > from.rowsMax) throw new TooManyRows()
  }
  return { columns: indexes.map((index) => columns[index] ?? ''), rows: [...distinct.values()] }
}

/** Rows in which a column has the value given, or a value that `isWanted` finds in the same row. */
export function select(
  relation: Relation,
  column: string,
  isWanted: (value: string, row: RelationRow) => boolean,
): Relation {
  const index = relation.columns.indexOf(column)
  return { columns: relation.columns, rows: relation.rows.filter((row) => isWanted(row[index] ?? '', row)) }
}

/** Every pair of rows; throws `TooManyRows` before it makes more than `rowsMax`. */
export function multiply(left: Relation, right: Relation, rowsMax: number): Relation {
  if (left.rows.length * right.rows.length > rowsMax) throw new TooManyRows()
  return {
    columns: [...left.columns, ...right.columns],
    rows: left.rows.flatMap((row) => right.rows.map((other) => [...row, ...other])),
  }
}

/** Every pair of rows that agrees on a column of each; throws `TooManyRows` when they are more than `rowsMax`. */
export function join(
  left: Relation,
  right: Relation,
  on: { readonly left: string; readonly right: string; readonly rowsMax: number },
): Relation {
  const leftIndex = left.columns.indexOf(on.left)
  const rightIndex = right.columns.indexOf(on.right)
  const byValue = Map.groupBy(right.rows, (row) => row[rightIndex] ?? '')
  const rows: RelationRow[] = []
  for (const row of left.rows) {
    for (const other of byValue.get(row[leftIndex] ?? '') ?? []) rows.push([...row, ...other])
    if (rows.length > on.rowsMax) throw new TooManyRows()
  }
  return { columns: [...left.columns, ...right.columns], rows }
}
