import { useCallback, useContext, useState, useSyncExternalStore } from 'react'
import { SyncStatus } from '../sync/status.ts'
import { DatabaseContext } from './database-context.ts'

const NOT_CONNECTED = new SyncStatus({ connected: false, connecting: false, downloading: false, uploading: false })

/**
 * The sync status, kept up to date. With a selector the component renders only when the selected part differs:
 * `useStatus((status) => status.connected)`. Without a provider it is that of a database that never connected.
 */
export function useStatus(): SyncStatus
export function useStatus<Part>(
  selector: (status: SyncStatus) => Part,
  isEqual?: (before: Part, after: Part) => boolean,
): Part
export function useStatus<Part>(
  selector?: (status: SyncStatus) => Part,
  isEqual: (before: Part, after: Part) => boolean = Object.is,
): SyncStatus | Part {
  const database = useContext(DatabaseContext)
  const subscribe = useCallback(
    (listener: () => void) => database?.registerListener({ statusChanged: listener }) ?? (() => {}),
    [database],
  )
  // The last part that was read: an equal one is answered with the same object.
  const [last] = useState<{ part?: Part }>(() => ({}))
  const read = (): SyncStatus | Part => {
    const status = database?.currentStatus ?? NOT_CONNECTED
    if (selector === undefined) return status
    const part = selector(status)
    if (last.part !== undefined && isEqual(last.part, part)) return last.part
    last.part = part
    return part
  }
  return useSyncExternalStore(subscribe, read, read)
}
