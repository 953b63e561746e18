import { HeadwaterError } from '@headwater/protocol'
import type { Session } from './connection.ts'
import { findSqlState, quoteIdentifier } from './source-error.ts'

/** A row of the table of revocations. */
export type RevocationRow = {
  readonly userId: string
  readonly clientId: string | undefined
  readonly tokenId: string | undefined
  /** Milliseconds since 1970; may be infinite. */
  readonly issuedBeforeMs: number
}

export type RevocationPage = {
  readonly rows: readonly RevocationRow[]
  /** Every transaction before it is over: its rows are in this page or were in an earlier one. */
  readonly nextTransaction: string
}

export type RevocationReader = {
  /**
   * Rows of transactions that had not ended when the page before was read, or all of them; those of which the last
   * token has expired are left out. Undefined while there is no such table. Throws `source-not-ready` for a table of
   * another shape, or one that may not be read, and other `source-…` errors.
   */
  readonly read: (fromTransaction: string) => Promise<RevocationPage | undefined>
}

/** The transaction from which everything is read. */
export const FIRST_TRANSACTION = '0'

/** SQLSTATEs of a table that was dropped, has other columns or types, or may not be read. */
const TABLE_GONE = '42P01'
const UNUSABLE = new Set(['42703', '42883', '42804', '42501', '42846', '22P02'])

/**
 * Reads the table `name` or `schema.name` (else of the schema `public`). A page is one statement, so its rows and
 * `nextTransaction` are of one snapshot: no row is left out however long its transaction was open.
 */
export function createRevocationReader(
  session: Session,
  options: { readonly table: string; readonly lifetimeMaxSeconds: number; readonly rowsMax: number },
): RevocationReader {
  const { table, lifetimeMaxSeconds, rowsMax } = options
  const [first = '', second] = table.split('.')
  const name =
    second === undefined ? `public.${quoteIdentifier(first)}` : `${quoteIdentifier(first)}.${quoteIdentifier(second)}`
  const readPage = `
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS next_transaction,
           r.user_id, r.client_id, r.token_id, r.issued_before_ms
    FROM (SELECT 1) one
    LEFT JOIN (
      SELECT user_id::text, client_id::text, token_id::text,
             (extract(epoch FROM issued_before) * 1000)::text AS issued_before_ms
      FROM ${name}
      WHERE "transaction" >= $1::text::xid8
        AND issued_before > now() - make_interval(secs => ${lifetimeMaxSeconds})
      ORDER BY issued_before DESC
      LIMIT ${rowsMax}
    ) r ON true`
  let isThere = false
  return {
    read: async (fromTransaction) => {
      try {
        if (!isThere) {
          const [row] = await session.query('SELECT to_regclass($1)::oid::text AS oid', [name])
          isThere = row?.['oid'] !== null && row?.['oid'] !== undefined
          if (!isThere) return undefined
        }
        return toPage(await session.query(readPage, [fromTransaction]))
      } catch (error) {
        isThere = false
        const state = error instanceof Error ? findSqlState(error.cause) : undefined
        if (state === TABLE_GONE) return undefined
        if (state === undefined || !UNUSABLE.has(state)) throw error
        throw new HeadwaterError(
          'source-not-ready',
          `Cannot read the table of revocations ${name}: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        )
      }
    },
  }
}

type Columns = { readonly [column: string]: string | null }

function toPage(rows: readonly Columns[]): RevocationPage {
  return {
    nextTransaction: rows[0]?.['next_transaction'] ?? FIRST_TRANSACTION,
    rows: rows.flatMap(({ user_id: userId, client_id, token_id, issued_before_ms }) =>
      userId === null || userId === undefined || userId === ''
        ? []
        : [
            {
              userId,
              clientId: client_id || undefined,
              tokenId: token_id || undefined,
              issuedBeforeMs: Number(issued_before_ms),
            },
          ],
    ),
  }
}
