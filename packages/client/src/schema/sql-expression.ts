/**
 * Joins terms with an operator as a balanced tree: SQLite refuses expressions deeper than 1000, and a table may have
 * 1999 columns.
 */
export function balanced(terms: readonly string[], operator: string): string {
  if (terms.length <= 2) return terms.length === 2 ? `(${terms[0]} ${operator} ${terms[1]})` : (terms[0] ?? '')
  const middle = terms.length >> 1
  return `(${balanced(terms.slice(0, middle), operator)} ${operator} ${balanced(terms.slice(middle), operator)})`
}

/** Column names in the order in which they stand in queued writes. */
export function sortedNames(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => (a < b ? -1 : Number(a > b)))
}
