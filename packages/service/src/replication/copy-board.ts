import type { TextRow } from '@headwater/sync-config'
import type { CopyProgress, RowKey } from '../storage/delta.ts'
import type { IncompleteRows } from './apply-batch.ts'
import {
  type ChunkOutcome,
  type CopyState,
  encodeCopy,
  firstCopy,
  holdsCheckpoints,
  type NewCopy,
  refreshCopy,
  restartCopy,
} from './copy-state.ts'
import type { ReplicatedTable } from './replicated-table.ts'
import { createTouchedRows, type TouchedRows } from './touched-rows.ts'
import type { Visibility } from './visibility.ts'

/** A chunk that was read and waits for its marker in the stream. */
export type PendingChunk = {
  /** The shape that the rows were read in. */
  readonly table: ReplicatedTable
  readonly rows: readonly TextRow[]
  /** Does the relation have values out of line? */
  readonly hasToast: boolean
  readonly visibility: Visibility
  readonly outcome: ChunkOutcome
  /** Every relation of the copy, in order. */
  readonly parts: readonly string[]
  /** Called when the marker was passed. */
  readonly resolve: (result: 'applied' | 'discarded') => void
}

/** A copy and what must be known while it runs. The applier writes it; the copier reads `state`. */
export type OpenCopy = {
  state: CopyState
  readonly touched: TouchedRows
  /** Rows that the stream could not complete, with what it told of them. */
  readonly incomplete: Map<RowKey, TextRow>
  /** Incomplete rows may exist that are not in the map: of an earlier run, or too many. */
  isUncertain: boolean
}

/** All copies of the session: where the stream and the copier meet. */
export type CopyBoard = {
  readonly find: (relationOid: number) => OpenCopy | undefined
  readonly list: () => readonly OpenCopy[]
  readonly begin: (state: CopyState) => OpenCopy
  /** Replaces the state, which is stored with the next delta. */
  readonly update: (copy: OpenCopy, state: CopyState) => void
  readonly startFirst: (table: NewCopy, waitsForRemoval: boolean) => void
  readonly startRefresh: (table: NewCopy, isIncomplete: boolean) => void
  /** Rows have other columns from here on; `isStale`: stored rows must be read again. */
  readonly reshape: (table: NewCopy, isStale: boolean) => void
  /** States that changed since the last call, to be stored. */
  readonly takeChanged: () => readonly CopyProgress[]
  readonly countHolding: () => number
  /** Incomplete rows of every table. */
  readonly listIncomplete: () => IncompleteRows
  /** The next copy to work on; undefined when there is none. `skip`: those that failed for now. */
  readonly findWork: (skip: ReadonlySet<number>) => OpenCopy | undefined
  readonly addChunk: (id: string, chunk: PendingChunk) => void
  readonly takeChunk: (id: string) => PendingChunk | undefined
  /** Resolves when there may be new work. */
  readonly waitForWork: () => Promise<void>
}

const NO_ROWS: IncompleteRows = new Map()

/** Incomplete rows that are remembered of one table; when there are more, the table is copied once more. */
export const INCOMPLETE_ROWS_MAX = 100_000

export function createCopyBoard(stored: readonly CopyState[]): CopyBoard {
  const copies = new Map<number, OpenCopy>()
  const chunks = new Map<string, PendingChunk>()
  const changed = new Set<OpenCopy>()
  let wake = Promise.withResolvers<void>()

  const begin = (state: CopyState): OpenCopy => {
    const copy: OpenCopy = {
      state,
      touched: createTouchedRows(),
      incomplete: new Map(),
      isUncertain: state.needsAnotherPass,
    }
    copies.set(state.relationOid, copy)
    return copy
  }
  const wakeUp = (): void => {
    wake.resolve()
    wake = Promise.withResolvers()
  }
  const update = (copy: OpenCopy, state: CopyState): void => {
    copy.state = state
    changed.add(copy)
    wakeUp()
  }
  for (const state of stored) begin(state)

  return {
    find: (relationOid) => copies.get(relationOid),
    list: () => [...copies.values()],
    begin,
    update,
    startFirst: (table, waitsForRemoval) => {
      const state = firstCopy(table, waitsForRemoval)
      const copy = copies.get(table.relationOid) ?? begin(state)
      copy.incomplete.clear()
      copy.isUncertain = false
      update(copy, state)
    },
    startRefresh: (table, isIncomplete) => {
      const copy = copies.get(table.relationOid)
      if (copy === undefined) return
      update(copy, refreshCopy(copy.state, table, isIncomplete))
    },
    reshape: (table, isStale) => {
      const copy = copies.get(table.relationOid)
      if (copy === undefined) return
      // What is known of incomplete rows is by position.
      copy.isUncertain ||= copy.incomplete.size > 0
      copy.incomplete.clear()
      const reshaped = { ...copy.state, columnsText: table.columnsText }
      const isCopying = !copy.state.isDone
      update(copy, isStale || isCopying ? refreshCopy(reshaped, table, false) : reshaped)
    },
    takeChanged: () => {
      const progress = [...changed].map(({ state }) => encodeCopy(state))
      changed.clear()
      return progress
    },
    listIncomplete: () => {
      const waiting = [...copies.values()].filter(({ incomplete }) => incomplete.size > 0)
      if (waiting.length === 0) return NO_ROWS
      return new Map(waiting.flatMap(({ incomplete }) => [...incomplete]))
    },
    countHolding: () => [...copies.values()].filter(({ state }) => holdsCheckpoints(state)).length,
    findWork: (skip) =>
      [...copies.values()].find(
        ({ state }) =>
          !state.isDone && !state.waitsForRemoval && state.mode !== 'removed' && !skip.has(state.relationOid),
      ),
    addChunk: (id, chunk) => {
      chunks.set(id, chunk)
    },
    takeChunk: (id) => {
      const chunk = chunks.get(id)
      chunks.delete(id)
      return chunk
    },
    waitForWork: () => wake.promise,
  }
}

/** Notes that the stream changed a row of a table while it is copied. */
export function touchRow(board: CopyBoard, copy: OpenCopy, key: RowKey, xid: number): void {
  copy.touched.touch(key, xid)
  if (copy.state.isUntouched) board.update(copy, { ...copy.state, isUntouched: false })
}

/** Remembers rows until a copy brings what they lack; a table that is not being copied is copied again. */
export function noteIncomplete(board: CopyBoard, table: ReplicatedTable, key: RowKey, row: TextRow): void {
  const copy = board.find(table.oid)
  if (copy === undefined) return
  if (copy.state.isDone || copy.state.mode === 'refresh') {
    board.startRefresh({ ...toNewCopy(table), rowsEstimated: copy.state.rowsEstimated }, true)
  }
  if (copy.incomplete.size < INCOMPLETE_ROWS_MAX) copy.incomplete.set(key, row)
  else copy.isUncertain = true
  if (!copy.state.needsAnotherPass) board.update(copy, { ...copy.state, needsAnotherPass: true })
}

/** The state with which a pass ends: another one is needed only while rows are still incomplete. */
export function settlePass(copy: OpenCopy): CopyState {
  const needsAnotherPass = copy.state.needsAnotherPass && (copy.isUncertain || copy.incomplete.size > 0)
  return { ...copy.state, needsAnotherPass }
}

/** After a pass that must be followed by another. */
export function beginNextPass(copy: OpenCopy): CopyState {
  copy.isUncertain = false
  return restartCopy({ ...copy.state, needsAnotherPass: copy.incomplete.size > 0 })
}

export function toNewCopy(table: ReplicatedTable): Omit<NewCopy, 'rowsEstimated'> {
  return {
    relationOid: table.oid,
    label: table.label,
    identityText: table.identityText,
    columnsText: table.columnsText,
  }
}
