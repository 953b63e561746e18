/** ` (did you mean "x"?)` when one of `known` is a slip of the keys away from `word`, or begins with it, else nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const lower = word.toLowerCase()
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const name of known) {
    const distance = editDistance(lower, name.toLowerCase())
    const isNear = distance <= slipMax(name) || (lower.length >= BEGINNING_MIN && name.toLowerCase().startsWith(lower))
    if (isNear && (best === undefined || distance < best.distance)) best = { name, distance }
  }
  return best === undefined ? '' : ` (did you mean "${best.name}"?)`
}

/** Letters that are enough to guess the rest of a name from. */
const BEGINNING_MIN = 4

function slipMax(name: string): number {
  if (name.length <= 1) return 0
  return name.length <= 3 ? 1 : Math.min(3, Math.floor(name.length / 3) + 1)
}

/** Insertions, deletions, replacements and swaps of neighbours between two words. */
function editDistance(a: string, b: string): number {
  const width = b.length + 1
  const rows: number[][] = [Array.from({ length: width }, (_, index) => index)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j < width; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? cell(rows, i - 2, j - 2) + 1 : Infinity
      row.push(Math.min(cell(rows, i - 1, j) + 1, (row[j - 1] ?? 0) + 1, cell(rows, i - 1, j - 1) + cost, swapped))
    }
    rows.push(row)
  }
  return cell(rows, a.length, b.length)
}

function cell(rows: readonly (readonly number[])[], i: number, j: number): number {
  return rows[i]?.[j] ?? 0
}
