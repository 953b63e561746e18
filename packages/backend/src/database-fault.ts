/** What to do about an error of the database while an upload is applied. */
export type DatabaseFault =
  /** The write itself is bad; it would be bad again. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The same upload may well succeed later. */
  | { readonly kind: 'passing' }
  /** The tables are no longer what we read from the catalog. */
  | { readonly kind: 'changed-schema' }
  /** Somebody has to look at it; the client keeps its queue meanwhile. */
  | { readonly kind: 'unexpected' }

/** Classes of SQLSTATE whose errors lie in the values or rows written, or were raised by a trigger on purpose. */
const REFUSED_CLASSES: ReadonlySet<string> = new Set(['21', '22', '23', '27', '44', '54', 'P0'])

/** Row-level security says 42501; rights that are missing altogether were found when the tables were looked up. */
const REFUSED_CODES: ReadonlySet<string> = new Set(['0A000', '42501', '42804', '428C9'])

/** Connection, transaction rollback (serialization, deadlock), resources, operator intervention, system, locks. */
const PASSING_CLASSES: ReadonlySet<string> = new Set(['08', '25', '40', '53', '55', '57', '58'])

const SCHEMA_CODES: ReadonlySet<string> = new Set(['42P01', '42703', '42704', '3F000', '42P10'])

/** Sorts an error by its SQLSTATE. One that has none came from the connection. */
export function classifyFault(error: unknown): DatabaseFault {
  const code = findSqlState(error)
  if (code === undefined) return isConnectionError(error) ? { kind: 'passing' } : { kind: 'unexpected' }
  if (SCHEMA_CODES.has(code)) return { kind: 'changed-schema' }
  if (REFUSED_CODES.has(code) || REFUSED_CLASSES.has(code.slice(0, 2))) {
    return { kind: 'refused', message: `Postgres refused it (${code}): ${messageOf(error)}` }
  }
  return { kind: PASSING_CLASSES.has(code.slice(0, 2)) ? 'passing' : 'unexpected' }
}

/** True when another row has the same value in a unique column. */
export function isUniqueViolation(error: unknown): boolean {
  return findSqlState(error) === '23505'
}

function findSqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error ? error.code : undefined
}

/** Errors of sockets carry a code of the system (ECONNRESET); those of `pg` itself carry none at all. */
function isConnectionError(error: unknown): boolean {
  return error instanceof Error && error.name !== 'TypeError' && error.name !== 'RangeError'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
