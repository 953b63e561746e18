import type { TextRow } from '@headwater/sync-config'
import { readChunk } from '../postgres/copy-chunk.ts'
import type { Session } from '../postgres/connection.ts'
import { emitMarker } from '../postgres/marker.ts'
import { findSqlState } from '../postgres/source-error.ts'
import type { Log } from '../observe/log.ts'
import type { Clock } from '../clock.ts'
import type { CopyBoard, OpenCopy } from './copy-board.ts'
import { CHUNK_MAX_BYTES, type ChunkOutcome, type CopyState, restartCopy, shrinkChunk, stepCopy } from './copy-state.ts'
import type { ReplicatedTable } from './replicated-table.ts'
import type { TableRegistry } from './table-registry.ts'
import { parseVisibility } from './visibility.ts'

export type CopierParts = {
  /** Its own: it is inside a transaction most of the time. */
  readonly session: Session
  readonly slot: string
  /** Names the chunks of this run apart from those of earlier ones. */
  readonly runId: string
  readonly board: CopyBoard
  readonly registry: TableRegistry
  readonly clock: Clock
  readonly log: Log
}

/** How long a table whose copy failed by itself (dropped, no privilege) is left alone. */
const RETRY_MS = 5_000

/**
 * Copies tables one after the other, in chunks, beside the stream; waits when there is nothing to copy. A chunk takes
 * effect where its marker comes by in the stream. Rejects when the connection is lost; ends when `signal` aborts.
 */
export async function runCopier(parts: CopierParts, signal: AbortSignal): Promise<void> {
  const { board, clock, log } = parts
  const aborted = whenAborted(signal)
  const failed = new Map<number, number>()
  while (!signal.aborted) {
    for (const [oid, retryAtMs] of failed) if (retryAtMs <= clock.nowMs()) failed.delete(oid)
    const copy = board.findWork(new Set(failed.keys()))
    if (copy === undefined) {
      const retry = failed.size > 0 ? [clock.wait(RETRY_MS, signal)] : []
      await Promise.race([board.waitForWork(), aborted, ...retry])
      continue
    }
    try {
      log.info('copy-started', { table: copy.state.label, mode: copy.state.mode, page: copy.state.nextPage })
      const startedAtMs = clock.nowMs()
      await copyTable(parts, copy, signal)
      if (copy.state.isDone) {
        const { label, rowsCopied } = copy.state
        log.info('copy-done', { table: label, rows: rowsCopied, milliseconds: clock.nowMs() - startedAtMs })
      }
    } catch (error) {
      if (!isOfTable(error)) throw error
      log.warn('copy-failed', { table: copy.state.label, error })
      failed.set(copy.state.relationOid, clock.nowMs() + RETRY_MS)
    }
  }
}

/** Chunks that are read but whose marker has not come by yet. */
const CHUNKS_AHEAD_MAX = 2

async function copyTable(parts: CopierParts, copy: OpenCopy, signal: AbortSignal): Promise<void> {
  const { registry } = parts
  await waitForWriters(parts, copy.state.label, signal)
  const relations = await readParts(parts.session, copy.state)
  // A partition that was detached meanwhile.
  const isPartGone = copy.state.part !== undefined && !relations.map(partName).includes(copy.state.part)
  if (isPartGone) parts.board.update(copy, restartCopy(copy.state))
  const waiting: Promise<'applied' | 'discarded'>[] = []
  const aborted = whenAborted(signal)
  /** Where the copy will stand when every chunk on its way is applied. */
  let ahead = copy.state
  while (!signal.aborted) {
    const isAllRead = ahead.isDone || waiting.length >= CHUNKS_AHEAD_MAX
    const first = isAllRead ? waiting.shift() : undefined
    if (first !== undefined) {
      const result = await Promise.race([first, aborted])
      if (result === 'discarded') {
        await Promise.race([Promise.all(waiting.splice(0)), aborted])
        ahead = copy.state
      }
      continue
    }
    const table = registry.find(copy.state.relationOid)
    const hasEnded = copy.state.isDone || copy.state.waitsForRemoval || copy.state.mode === 'removed'
    if (hasEnded || table === undefined) return
    // Restarted while the last chunks were on their way.
    if (ahead.isDone) ahead = copy.state
    const read = await readNext(parts, table, ahead, relations)
    if (read === undefined) ahead = { ...ahead, pagesPerChunk: shrinkChunk(ahead.pagesPerChunk) }
    else {
      waiting.push(read.applied)
      ahead = stepCopy({ ...ahead, needsAnotherPass: false }, read.outcome, relations.map(partName))
    }
  }
}

type Part = { readonly schema: string; readonly name: string }

function partName({ schema, name }: Part): string {
  return JSON.stringify([schema, name])
}

type ReadNext = { readonly outcome: ChunkOutcome; readonly applied: Promise<'applied' | 'discarded'> }

/** Reads the chunk that follows `state` and puts its marker into the log. Undefined: too large, ask for less. */
async function readNext(
  parts: CopierParts,
  table: ReplicatedTable,
  state: CopyState,
  relations: readonly Part[],
): Promise<ReadNext | undefined> {
  const { session, slot, board } = parts
  const part = state.part === undefined ? relations[0] : relations.find((one) => partName(one) === state.part)
  if (part === undefined) throw new TableGone(table.label)
  const firstPage = state.nextPage
  const columns = table.source.columns.filter((_, position) => table.needed[position] === true).map(({ name }) => name)
  const chunk = await readChunk(session, {
    ...part,
    columns,
    filter: table.rowFilter,
    firstPage,
    pages: state.pagesPerChunk,
    bytesMax: state.pagesPerChunk === 1 ? Infinity : CHUNK_MAX_BYTES,
  })
  if (chunk.kind === 'too-large') return undefined

  const outcome: ChunkOutcome = {
    rows: chunk.rows.length,
    bytes: chunk.bytes,
    fileNode: chunk.fileNode,
    pages: chunk.pages,
    part: partName(part),
    firstPage,
    endPage: chunk.endPage,
  }
  const { promise: applied, resolve } = Promise.withResolvers<'applied' | 'discarded'>()
  const id = `${parts.runId}:${crypto.randomUUID()}`
  board.addChunk(id, {
    table,
    rows: placeColumns(table, chunk.rows),
    hasToast: chunk.hasToast,
    visibility: parseVisibility(chunk.snapshot),
    outcome,
    parts: relations.map(partName),
    resolve,
  })
  await emitMarker(session, { kind: 'chunk', slot, chunk: id })
  return { outcome, applied }
}

/** Rows of the needed columns alone, as rows of the table. */
function placeColumns(table: ReplicatedTable, rows: readonly TextRow[]): readonly TextRow[] {
  if (table.needed.every(Boolean)) return rows
  let from = 0
  const positions = table.needed.map((isNeeded) => (isNeeded ? from++ : -1))
  return rows.map((row) => positions.map((position) => (position < 0 ? undefined : row[position])))
}

const READ_PARTS = `
  SELECT n.nspname AS schema, c.relname AS name
  FROM pg_partition_tree($1::oid::regclass) t
  JOIN pg_class c ON c.oid = t.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE t.isleaf AND c.relkind = 'r'
  ORDER BY c.oid`

const READ_SELF = `
  SELECT n.nspname AS schema, c.relname AS name
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = $1::oid`

/** The relations that hold the rows: the table itself, or the partitions at its leaves. */
async function readParts(session: Session, { relationOid }: CopyState): Promise<readonly Part[]> {
  const leaves = await session.query(READ_PARTS, [String(relationOid)])
  const rows = leaves.length > 0 ? leaves : await session.query(READ_SELF, [String(relationOid)])
  return rows.map((row) => ({ schema: row.schema ?? '', name: row.name ?? '' }))
}

/** A transaction id of our own: whatever the log has delivered has an older one, even where nobody can see it yet. */
const TAKE_XID = 'SELECT pg_current_xact_id()::text AS next'
const IS_PAST = 'SELECT (pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8)::text AS is_past'
const READ_OLDEST = `
  SELECT pid::text AS pid, coalesce(application_name, '') AS application
  FROM pg_stat_activity
  WHERE backend_xid IS NOT NULL
  ORDER BY xact_start
  LIMIT 1`
const WRITERS_POLL_MS = 50
const WRITERS_REPORT_MS = 5_000

/**
 * Waits until every transaction that is running now is over. What was streamed before this point is then visible to
 * every chunk; and the changes of a transaction that was running while the table was put into the publication, which
 * the stream leaves out, are visible too.
 */
async function waitForWriters({ session, clock, log }: CopierParts, table: string, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(TAKE_XID)
  const next = row?.next ?? '0'
  const startedAtMs = clock.nowMs()
  let isReported = false
  while (!signal.aborted) {
    const [answer] = await session.query(IS_PAST, [next])
    if (answer?.is_past === 'true') return
    if (!isReported && clock.nowMs() - startedAtMs > WRITERS_REPORT_MS) {
      isReported = true
      const [writer] = await session.query(READ_OLDEST)
      log.warn('copy-waits-for-transaction', { table, pid: writer?.pid, application: writer?.application })
    }
    await clock.wait(WRITERS_POLL_MS, signal)
  }
}

/** The catalog does not have the table any more; the next look at it says so to the board. */
class TableGone extends Error {}

/** SQLSTATEs that concern one table: it is gone, a column is, reading it is not allowed, or somebody locks it. */
const OF_TABLE = new Set(['42P01', '42703', '42501', '42809', '3F000', '55P03'])

function isOfTable(error: unknown): boolean {
  if (error instanceof TableGone) return true
  const state = error instanceof Error ? findSqlState(error.cause) : undefined
  return state !== undefined && OF_TABLE.has(state)
}

function whenAborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
