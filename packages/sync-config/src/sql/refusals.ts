/** SQL that people know from elsewhere, and what to write instead. */

/** Behind what is refused, of what can be turned on. */
export const OR_EXTENSIONS = 'or set "extensions: true" in "config" (edition 3)'

const NO_LIKE = 'keep a column that says what you want to filter by'

/** What stands between two values. Each is read on as a comparison of them. */
export const REFUSED_OPERATORS: { readonly [written: string]: string } = {
  like: `LIKE does not exist in sync configs: ${NO_LIKE}, ${OR_EXTENSIONS}`,
  ilike: `ILIKE does not exist in sync configs: ${NO_LIKE}`,
  similar: `SIMILAR TO does not exist in sync configs: ${NO_LIKE}`,
  overlaps: 'OVERLAPS does not exist in sync configs: compare the bounds with < and >=',
  '==': 'The operator == does not exist in sync configs: write =',
  '~': `Regular expressions do not exist in sync configs: ${NO_LIKE}`,
  '~*': `Regular expressions do not exist in sync configs: ${NO_LIKE}`,
  '!~': `Regular expressions do not exist in sync configs: ${NO_LIKE}`,
  '!~*': `Regular expressions do not exist in sync configs: ${NO_LIKE}`,
  '~~': `LIKE does not exist in sync configs: ${NO_LIKE}`,
  '@>': 'The operator @> does not exist in sync configs: write value IN array, or a && b',
  '<@': 'The operator <@ does not exist in sync configs: write value IN array, or a && b',
  '?': 'The operator ? does not exist in sync configs: write key IN json_keys(column)',
  '?|': 'The operator ?| does not exist in sync configs: write json_keys(column) && keys',
  '?&': 'The operator ?& does not exist in sync configs: write key IN json_keys(column) for each key',
  '#>': "The operator #> does not exist in sync configs: write column -> 'a' -> 'b'",
  '#>>': "The operator #>> does not exist in sync configs: write column -> 'a' ->> 'b'",
  '^': 'The operator ^ does not exist in sync configs: multiply',
  '#': 'The operator # does not exist in sync configs',
}

/** What follows the conditions of a query. */
export const REFUSED_CLAUSES: { readonly [word: string]: string } = {
  group: 'GROUP BY does not exist in sync configs: rows are synced one by one',
  having: 'HAVING does not exist in sync configs: rows are synced one by one',
  order: 'ORDER BY does not exist in sync configs: order rows where you read them, on the client',
  limit: 'LIMIT does not exist in sync configs: filter by a condition instead',
  offset: 'OFFSET does not exist in sync configs: filter by a condition instead',
  fetch: 'FETCH does not exist in sync configs: filter by a condition instead',
  for: 'FOR UPDATE and the like do not exist in sync configs: leave it out',
  into: 'INTO does not exist in sync configs: rows go to the table on the client that is called like the table or its alias',
  returning: 'RETURNING does not exist in sync configs: leave it out',
  window: 'WINDOW does not exist in sync configs: rows are synced one by one',
}

/** What joins two SELECTs. */
export const REFUSED_UNIONS: { readonly [word: string]: string } = {
  union: 'UNION does not exist in sync configs: put each SELECT into its own query, or join conditions with OR',
  intersect: 'INTERSECT does not exist in sync configs: join the conditions with AND',
  except: 'EXCEPT does not exist in sync configs: rows cannot be granted by what does not exist',
}

export const REFUSED_JOINS: { readonly [word: string]: string } = {
  left: `LEFT JOIN does not exist in sync configs: write JOIN; columns of the other table cannot be selected anyway; ${OR_EXTENSIONS}`,
  right: 'RIGHT JOIN does not exist in sync configs: write JOIN',
  full: 'FULL JOIN does not exist in sync configs: write JOIN',
  cross: 'CROSS JOIN does not exist in sync configs: write JOIN, or a comma',
  natural: 'NATURAL JOIN does not exist in sync configs: write JOIN … ON and name the columns',
}

export const NO_CLOCK = 'what is synced depends on rows and requests, never on the time'
const NO_SESSION = 'the user is auth.user_id(), or request.user_id() in bucket definitions'

/** Words that have a value in PostgreSQL. */
export const REFUSED_VALUES: { readonly [word: string]: string } = {
  current_date: `CURRENT_DATE does not exist in sync configs: ${NO_CLOCK}`,
  current_time: `CURRENT_TIME does not exist in sync configs: ${NO_CLOCK}`,
  current_timestamp: `CURRENT_TIMESTAMP does not exist in sync configs: ${NO_CLOCK}`,
  localtime: `LOCALTIME does not exist in sync configs: ${NO_CLOCK}`,
  localtimestamp: `LOCALTIMESTAMP does not exist in sync configs: ${NO_CLOCK}`,
  current_role: `CURRENT_ROLE does not exist in sync configs: ${NO_SESSION}`,
  current_user: `CURRENT_USER does not exist in sync configs: ${NO_SESSION}`,
  session_user: `SESSION_USER does not exist in sync configs: ${NO_SESSION}`,
}
