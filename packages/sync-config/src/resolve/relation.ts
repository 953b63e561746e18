import type { Turn } from '../types.ts'

/**
 * Sets of combinations of values: which values were found together. Columns name where a value comes from; values are
 * canonical JSON text, so equal values have equal text. Rows are distinct.
 *
 *     columns  [step 0 output 0, step 0 output 1]
 *     rows     [["nl", "ax"], ["be", "bo"]]        (nl, bo) was never found together, and never is
 */
export type Relation = { readonly columns: readonly string[]; readonly rows: readonly RelationRow[] }
export type RelationRow = readonly string[]

/** Rows that one relation may have, and the turn in which they are made. */
export type Making = { readonly rowsMax: number; readonly turn: Turn }

/** More combinations were found than one client may have. */
export class TooManyRows extends Error {
  override readonly name = 'TooManyRows'
}

/** One row without values: joined with anything it changes nothing. */
export const UNIT: Relation = { columns: [], rows: [[]] }

/** Only some columns, without the repeats that this may give. */
export async function project(relation: Relation, columns: readonly string[], turn: Turn): Promise<Relation> {
  if (relation.columns.every((column) => columns.includes(column))) return relation
  return collect(relation.columns, { kept: columns, rows: relation.rows }, { rowsMax: Infinity, turn })
}

/** A relation of some columns of rows as they come; throws `TooManyRows` when more than `rowsMax` distinct ones do. */
export async function collect(
  columns: readonly string[],
  from: { readonly kept: readonly string[]; readonly rows: Iterable<RelationRow> },
  { rowsMax, turn }: Making,
): Promise<Relation> {
  const indexes = columns.flatMap((column, index) => (from.kept.includes(column) ? index : []))
  const distinct = new Map<string, RelationRow>()
  for (const row of from.rows) {
    if (turn.isOverAfterStep()) await turn.next()
    const picked = indexes.map((index) => row[index] ?? '')
    distinct.set(picked.join(','), picked)
    if (distinct.size > rowsMax) throw new TooManyRows()
  }
  return { columns: indexes.map((index) => columns[index] ?? ''), rows: [...distinct.values()] }
}

/** Rows in which a column has the value that `wanted` finds in the same row. */
export async function select(
  relation: Relation,
  { column, wanted }: { readonly column: string; readonly wanted: (row: RelationRow) => string | undefined },
  turn: Turn,
): Promise<Relation> {
  const index = relation.columns.indexOf(column)
  const rows: RelationRow[] = []
  for (const row of relation.rows) {
    if (turn.isOverAfterStep()) await turn.next()
    if (row[index] === wanted(row)) rows.push(row)
  }
  return { columns: relation.columns, rows }
}

/** Every pair of rows; throws `TooManyRows` before it makes more than `rowsMax`. */
export async function multiply(left: Relation, right: Relation, { rowsMax, turn }: Making): Promise<Relation> {
  if (left.rows.length * right.rows.length > rowsMax) throw new TooManyRows()
  const rows: RelationRow[] = []
  for (const row of left.rows) {
    for (const other of right.rows) {
      if (turn.isOverAfterStep()) await turn.next()
      rows.push([...row, ...other])
    }
  }
  return { columns: [...left.columns, ...right.columns], rows }
}

/** Every pair of rows that agrees on a column of each; throws `TooManyRows` when they are more than `rowsMax`. */
export async function join(
  { relation: left, column: leftColumn }: JoinSide,
  { relation: right, column: rightColumn }: JoinSide,
  { rowsMax, turn }: Making,
): Promise<Relation> {
  const leftIndex = left.columns.indexOf(leftColumn)
  const rightIndex = right.columns.indexOf(rightColumn)
  const byValue = new Map<string, RelationRow[]>()
  for (const row of right.rows) {
    if (turn.isOverAfterStep()) await turn.next()
    const value = row[rightIndex] ?? ''
    const known = byValue.get(value)
    if (known === undefined) byValue.set(value, [row])
    else known.push(row)
  }
  const rows: RelationRow[] = []
  for (const row of left.rows) {
    for (const other of byValue.get(row[leftIndex] ?? '') ?? []) {
      if (turn.isOverAfterStep()) await turn.next()
      rows.push([...row, ...other])
      if (rows.length > rowsMax) throw new TooManyRows()
    }
  }
  return { columns: [...left.columns, ...right.columns], rows }
}

export type JoinSide = { readonly relation: Relation; readonly column: string }
