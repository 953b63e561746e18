import type { CopyProgress } from '../storage/delta.ts'

/**
 * Where the copy of one table stands. A copy reads the pages of the table from first to last, beside the stream, in
 * chunks; each takes effect at the place in the stream where its marker is found.
 */
export type CopyState = {
  readonly relationOid: number
  /** `schema.name`. */
  readonly label: string
  /** `first`: its rows are not there yet. `refresh`: they are, but may be out of date. `removed`: the table is gone. */
  readonly mode: 'first' | 'refresh' | 'removed'
  readonly isDone: boolean
  /** Rows of an earlier shape must be taken out first, at a marker; until then nothing is copied. */
  readonly waitsForRemoval: boolean
  /** Text of the keys and of the columns that the rows were stored with. */
  readonly identityText: string
  readonly columnsText: string
  /** The relation being read: the table itself, or a partition of it. */
  readonly part: string | undefined
  readonly nextPage: number
  readonly pagesPerChunk: number
  /** Which file holds the part; another one: the table was rewritten. */
  readonly fileNode: string | undefined
  /** The stream has not touched the table since the copy began, so no row of it can be known yet. */
  readonly isUntouched: boolean
  /** A row could not be completed: copy once more when this pass is over. */
  readonly needsAnotherPass: boolean
  readonly rowsCopied: number
  readonly rowsEstimated: number
}

/** A small first chunk: it tells how many bytes a page brings. */
const FIRST_PAGES = 32

export type NewCopy = Pick<CopyState, 'relationOid' | 'label' | 'identityText' | 'columnsText' | 'rowsEstimated'>

export function firstCopy(table: NewCopy, waitsForRemoval: boolean): CopyState {
  return {
    ...table,
    mode: 'first',
    isDone: false,
    waitsForRemoval,
    part: undefined,
    nextPage: 0,
    pagesPerChunk: FIRST_PAGES,
    fileNode: undefined,
    isUntouched: true,
    needsAnotherPass: false,
    rowsCopied: 0,
  }
}

/** `isIncomplete`: rows are missing, not only out of date. */
export function refreshCopy(state: CopyState, shape: NewCopy, isIncomplete: boolean): CopyState {
  const mode = isIncomplete || (state.mode === 'first' && !state.isDone) ? 'first' : 'refresh'
  return { ...firstCopy(shape, state.waitsForRemoval && !state.isDone), mode, isUntouched: false }
}

/** May clients not see anything until this copy is done? */
export function holdsCheckpoints(state: CopyState): boolean {
  return !state.isDone && state.mode === 'first'
}

/** What reading a run of pages brought. */
export type ChunkOutcome = {
  readonly rows: number
  readonly bytes: number
  readonly fileNode: string
  readonly pages: number
  /** The run of pages that was read; `endPage` undefined: to the end. */
  readonly part: string
  readonly firstPage: number
  readonly endPage: number | undefined
}

/** Text that one chunk should bring: large enough to hide its round trips, small enough not to hold up the stream. */
export const CHUNK_TARGET_BYTES = 1024 * 1024
/** Text at which a chunk is given up and read in smaller ones. */
export const CHUNK_MAX_BYTES = 16 * 1024 * 1024
const GROWTH_MAX = 4

/**
 * Does the chunk continue the copy where it stands? False when the copy was restarted, or a chunk before it was
 * thrown away, after it was read.
 */
export function continuesCopy(state: CopyState, chunk: ChunkOutcome): boolean {
  return (
    !state.isDone &&
    !state.waitsForRemoval &&
    state.nextPage === chunk.firstPage &&
    (state.part === undefined ? chunk.firstPage === 0 : state.part === chunk.part) &&
    (state.fileNode === undefined || state.fileNode === chunk.fileNode)
  )
}

/** The table was rewritten: page numbers mean other rows now. */
export function isRewritten(state: CopyState, chunk: ChunkOutcome): boolean {
  return state.part === chunk.part && state.fileNode !== undefined && state.fileNode !== chunk.fileNode
}

/** After a chunk that continues the copy was applied. `parts`: every relation to read, in order. */
export function stepCopy(state: CopyState, chunk: ChunkOutcome, parts: readonly string[]): CopyState {
  const rowsCopied = state.rowsCopied + chunk.rows
  if (chunk.endPage !== undefined) {
    return {
      ...state,
      part: chunk.part,
      fileNode: chunk.fileNode,
      nextPage: chunk.endPage,
      pagesPerChunk: nextPages(state.pagesPerChunk, chunk),
      rowsCopied,
    }
  }
  const next = parts[parts.indexOf(chunk.part) + 1]
  if (next !== undefined) {
    return { ...state, part: next, fileNode: undefined, nextPage: 0, pagesPerChunk: FIRST_PAGES, rowsCopied }
  }
  if (state.needsAnotherPass) return restartCopy(state)
  return { ...state, isDone: true, rowsCopied }
}

/** From the first page again; what was copied stays and is compared. */
export function restartCopy(state: CopyState): CopyState {
  return {
    ...state,
    part: undefined,
    fileNode: undefined,
    nextPage: 0,
    pagesPerChunk: FIRST_PAGES,
    isUntouched: false,
    needsAnotherPass: false,
    rowsCopied: 0,
  }
}

/** After a chunk that was too large. One page is read whatever it holds. */
export function shrinkChunk(pages: number): number {
  return Math.max(1, Math.floor(pages / GROWTH_MAX))
}

function nextPages(pages: number, chunk: ChunkOutcome): number {
  const perPage = Math.max(1, chunk.bytes / pages)
  const wanted = Math.floor(CHUNK_TARGET_BYTES / perPage)
  return Math.max(1, Math.min(wanted, pages * GROWTH_MAX))
}

/** Changes when the cursor's fields do; an unknown version means copying again. */
const CURSOR_VERSION = 1

type Cursor = {
  readonly version: typeof CURSOR_VERSION
  readonly mode: CopyState['mode']
  readonly waitsForRemoval: boolean
  readonly identityText: string
  readonly columnsText: string
  readonly part: string | null
  readonly nextPage: number
  readonly pagesPerChunk: number
  readonly fileNode: string | null
  readonly isUntouched: boolean
  readonly needsAnotherPass: boolean
}

export function encodeCopy(state: CopyState): CopyProgress {
  const cursor: Cursor = {
    version: CURSOR_VERSION,
    mode: state.mode,
    waitsForRemoval: state.waitsForRemoval,
    identityText: state.identityText,
    columnsText: state.columnsText,
    part: state.part ?? null,
    nextPage: state.nextPage,
    pagesPerChunk: state.pagesPerChunk,
    fileNode: state.fileNode ?? null,
    isUntouched: state.isUntouched,
    needsAnotherPass: state.needsAnotherPass,
  }
  return {
    table: state.label,
    relationOid: state.relationOid,
    cursor: JSON.stringify(cursor),
    done: state.isDone,
    rowsCopied: state.rowsCopied,
    rowsEstimated: state.rowsEstimated,
  }
}

/** What was stored by `encodeCopy`; undefined when it is from another version. */
export function decodeCopy(progress: CopyProgress): CopyState | undefined {
  const cursor = JSON.parse(progress.cursor) as Cursor | { readonly version: unknown }
  if (!isCurrent(cursor)) return undefined
  return {
    relationOid: progress.relationOid,
    label: progress.table,
    mode: cursor.mode,
    isDone: progress.done,
    waitsForRemoval: cursor.waitsForRemoval,
    identityText: cursor.identityText,
    columnsText: cursor.columnsText,
    part: cursor.part ?? undefined,
    nextPage: cursor.nextPage,
    pagesPerChunk: cursor.pagesPerChunk,
    fileNode: cursor.fileNode ?? undefined,
    isUntouched: cursor.isUntouched,
    needsAnotherPass: cursor.needsAnotherPass,
    rowsCopied: progress.rowsCopied,
    rowsEstimated: progress.rowsEstimated,
  }
}

function isCurrent(cursor: Cursor | { readonly version: unknown }): cursor is Cursor {
  return cursor.version === CURSOR_VERSION
}
