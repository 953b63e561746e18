import { to as copyTo } from 'pg-copy-streams'
import type { Session } from './connection.ts'
import { createCopyTextSplitter } from './copy-text.ts'
import { quoteIdentifier, toSourceError } from './source-error.ts'

/** A run of pages of one relation, and the columns wanted of it. */
export type ChunkRequest = {
  readonly schema: string
  readonly name: string
  /** In the order in which rows shall have them; none: rows are only counted. */
  readonly columns: readonly string[]
  /** SQL condition on the rows. */
  readonly filter: string | undefined
  readonly firstPage: number
  /** How many; when the table ends within them, the chunk goes to its end, wherever that is by then. */
  readonly pages: number
  /** Text bytes above which the chunk is given up. */
  readonly bytesMax: number
}

export type Chunk =
  | {
      readonly kind: 'read'
      readonly rows: readonly (readonly (string | null)[])[]
      readonly bytes: number
      /** pg_current_snapshot() of the reading transaction. */
      readonly snapshot: string
      /** Does the table have values stored out of line? */
      readonly hasToast: boolean
      /** Which file holds the table; another one later means that it was rewritten. */
      readonly fileNode: string
      /** Pages of the table when the chunk was read. */
      readonly pages: number
      /** First page after the run; undefined: it went to the end of the table. */
      readonly endPage: number | undefined
    }
  /** More than `bytesMax`; ask for fewer pages. */
  | { readonly kind: 'too-large' }

const BEGIN = 'BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY'

const READ_SNAPSHOT = `
  SELECT pg_current_snapshot()::text AS snapshot,
         pg_relation_filenode(c.oid)::text AS file_node,
         (pg_relation_size(c.oid) / current_setting('block_size')::int8)::text AS pages,
         (c.reltoastrelid <> 0 AND pg_relation_size(c.reltoastrelid) > 0)::text AS has_toast
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2`

/**
 * Reads a run of pages under one snapshot. Never holds the snapshot longer than that.
 * Throws `source-…` errors; a table or column that is gone is `source-failed` with the SQLSTATE in its cause.
 */
export async function readChunk(session: Session, request: ChunkRequest): Promise<Chunk> {
  await session.query(BEGIN)
  try {
    // The first statement that needs a snapshot fixes it for the transaction.
    const [state] = await session.query(READ_SNAPSHOT, [request.schema, request.name])
    const pages = Number(state?.pages ?? 0)
    const endPage = request.firstPage + request.pages < pages ? request.firstPage + request.pages : undefined
    const read = await copyRows(session, request, endPage)
    await session.query('COMMIT')
    if (read === undefined) return { kind: 'too-large' }
    return {
      kind: 'read',
      ...read,
      snapshot: state?.snapshot ?? '',
      hasToast: state?.has_toast === 'true',
      fileNode: state?.file_node ?? '',
      pages,
      endPage,
    }
  } catch (error) {
    await session.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** Many pages may hold no row, and a slow disk takes its time over them; after so long the connection is dead. */
const COPY_SILENCE_MS = 600_000

type CopiedRows = { readonly rows: readonly (readonly (string | null)[])[]; readonly bytes: number }

/** Undefined when there were more than `bytesMax`; the rest is then read and thrown away. */
async function copyRows(
  session: Session,
  request: ChunkRequest,
  endPage: number | undefined,
): Promise<CopiedRows | undefined> {
  const stream = session.client.query(copyTo(copyText(request, endPage)))
  const splitter = createCopyTextSplitter()
  const rows: (readonly (string | null)[])[] = []
  let bytes = 0
  try {
    using answer = session.expectAnswer(COPY_SILENCE_MS)
    for await (const piece of stream) {
      answer.heard()
      bytes += (piece as Buffer).length
      if (bytes > request.bytesMax) {
        rows.length = 0
        continue
      }
      for (const row of splitter.push(piece as Buffer)) rows.push(row)
    }
  } catch (error) {
    throw toSourceError(error, session.source)
  }
  return bytes > request.bytesMax ? undefined : { rows, bytes }
}

function copyText(request: ChunkRequest, endPage: number | undefined): string {
  const columns = request.columns.map((column) => quoteIdentifier(column)).join(', ')
  const table = `${quoteIdentifier(request.schema)}.${quoteIdentifier(request.name)}`
  const upper = endPage === undefined ? '' : ` AND ctid < '(${endPage},0)'::tid`
  const filter = request.filter === undefined ? '' : ` AND (${request.filter})`
  const where = `ctid >= '(${request.firstPage},0)'::tid${upper}${filter}`
  return `COPY (SELECT ${columns} FROM ONLY ${table} WHERE ${where}) TO STDOUT`
}
