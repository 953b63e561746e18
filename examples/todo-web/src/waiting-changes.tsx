import { useQuery } from '@headwater/client/react'
import type { ReactNode } from 'react'
import { UpIcon } from './icons.tsx'

/** A queued change, read straight from the upload queue, which is a table like any other. */
type Waiting = {
  readonly id: number
  readonly op: string
  readonly type: string
  readonly row_id: string
  readonly changed: string | null
}

const SHOWN_MAX = 30

const WAITING_SQL = `
  SELECT id, data ->> '$.op' AS op, data ->> '$.type' AS type, data ->> '$.id' AS row_id, data -> '$.data' AS changed
  FROM ps_crud ORDER BY id`

/** Undefined until the queue has been read. */
export function useWaiting(): readonly Waiting[] | undefined {
  const { data, isLoading } = useQuery<Waiting>(WAITING_SQL)
  return isLoading ? undefined : data
}

/** What this device still has to send, oldest first. */
export function WaitingChanges(props: { readonly isOnline: boolean; readonly dbFilename: string }): ReactNode {
  const waiting = useWaiting()
  if (waiting === undefined || waiting.length === 0) {
    return (
      <footer className="waiting empty">
        <span>{waiting === undefined ? 'Opening …' : 'Everything is uploaded'}</span>
        <span className="file" translate="no">
          {props.dbFilename}
        </span>
      </footer>
    )
  }
  const changes = waiting.length === 1 ? '1 change' : `${waiting.length} changes`
  return (
    <footer className="waiting">
      <details>
        <summary>
          <UpIcon />
          <span data-testid="waiting">{changes}</span> {props.isOnline ? 'on the way' : 'waiting for the network'}
        </summary>
        <ol>
          {waiting.slice(0, SHOWN_MAX).map((change) => (
            <li key={change.id}>
              <span className="op" data-op={change.op}>
                {change.op}
              </span>
              <span className="op-table">{change.type}</span>
              <span className="op-changed">{summarize(change)}</span>
            </li>
          ))}
          {waiting.length > SHOWN_MAX && <li>and {waiting.length - SHOWN_MAX} more</li>}
        </ol>
      </details>
      <span className="file" translate="no">
        {props.dbFilename}
      </span>
    </footer>
  )
}

function summarize({ changed, row_id }: Waiting): string {
  if (changed === null) return row_id.slice(0, 8)
  const values = JSON.parse(changed) as Record<string, unknown>
  const telling = values['description'] ?? values['name']
  if (typeof telling === 'string') return `“${telling}”`
  return Object.entries(values)
    .map(([column, value]) => `${column} = ${JSON.stringify(value)}`)
    .join(', ')
}
