/** SQL that people know from elsewhere, and what to write instead. */
export const UNKNOWN_OPERATORS: { readonly [word: string]: string } = {
  like: 'LIKE does not exist in sync configs: keep a column that says what you want to filter by',
  ilike: 'ILIKE does not exist in sync configs: keep a column that says what you want to filter by',
  similar: 'SIMILAR TO does not exist in sync configs',
  collate: 'COLLATE does not exist in sync configs',
  isnull: 'Write IS NULL',
  notnull: 'Write IS NOT NULL',
  '==': 'Write = to compare',
  '~': 'Regular expressions do not exist in sync configs',
}

/** Clauses that sync configs do not have, and why. */
export const REFUSED_CLAUSES: { readonly [word: string]: string } = {
  group: 'GROUP BY does not exist in sync configs: rows are synced one by one',
  having: 'HAVING does not exist in sync configs: rows are synced one by one',
  order: 'ORDER BY does not exist in sync configs: order rows where you read them, on the client',
  limit: 'LIMIT does not exist in sync configs: filter by a condition instead',
  offset: 'OFFSET does not exist in sync configs: filter by a condition instead',
  fetch: 'FETCH does not exist in sync configs: filter by a condition instead',
  for: 'FOR UPDATE and the like do not exist in sync configs',
  union: 'UNION does not exist in sync configs: put each SELECT into its own query',
  intersect: 'INTERSECT does not exist in sync configs: join the conditions with AND',
  except: 'EXCEPT does not exist in sync configs',
  window: 'WINDOW does not exist in sync configs: rows are synced one by one',
}
