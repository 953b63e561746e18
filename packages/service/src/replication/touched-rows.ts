import type { RowKey } from '../storage/delta.ts'
import { isVisible, type Visibility } from './visibility.ts'

/**
 * Which rows of a table the stream has changed since its copy began, and by which transaction: a row that was read by
 * a SELECT counts only when the SELECT could see the last of them.
 */
export type TouchedRows = {
  readonly touch: (key: RowKey, xid: number) => void
  /** The whole table changed (TRUNCATE), so nothing read before it counts. */
  readonly touchAll: (xid: number) => void
  /** Rows that were touched are removed from storage: what cannot see how they were touched must be read again. */
  readonly requireAll: () => void
  /** May rows read under this snapshot be used at all? */
  readonly mayUse: (visibility: Visibility) => boolean
  /** Has the stream changed the row after the snapshot? */
  readonly isNewer: (key: RowKey, visibility: Visibility) => boolean
  /** Forgets what this snapshot, and so every later one, could see. */
  readonly forget: (visibility: Visibility) => void
}

/** Above this, whole transactions are remembered instead of rows; chunks that cannot see one are read again. */
const ROWS_MAX = 500_000

export function createTouchedRows(rowsMax = ROWS_MAX): TouchedRows {
  const rows = new Map<RowKey, number>()
  const transactions = new Set<number>()
  const requireAll = (): void => {
    for (const one of rows.values()) transactions.add(one)
    rows.clear()
  }
  return {
    touch: (key, xid) => {
      if (transactions.has(xid)) return
      rows.set(key, xid)
      if (rows.size > rowsMax) requireAll()
    },
    touchAll: (xid) => {
      transactions.add(xid)
    },
    requireAll,
    mayUse: (visibility) => [...transactions].every((xid) => isVisible(visibility, xid)),
    isNewer: (key, visibility) => {
      const xid = rows.get(key)
      return xid !== undefined && !isVisible(visibility, xid)
    },
    forget: (visibility) => {
      for (const [key, xid] of rows) if (isVisible(visibility, xid)) rows.delete(key)
      for (const xid of transactions) if (isVisible(visibility, xid)) transactions.delete(xid)
    },
  }
}
