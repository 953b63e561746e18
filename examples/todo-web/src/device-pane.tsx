import { DatabaseContext, useQuery, useStatus } from '@headwater/client/react'
import { useState, useSyncExternalStore, type ReactNode } from 'react'
import { forgetDepartures } from './arrivals.ts'
import type { Device } from './device.ts'
import { CloseIcon } from './icons.tsx'
import { ListPage, PageSkeleton } from './list-page.tsx'
import { ListRail, LISTS_SQL, type ListEntry } from './list-rail.tsx'
import { SyncLine } from './sync-line.tsx'
import type { User } from './users.ts'
import { WaitingChanges } from './waiting-changes.tsx'

/** One user's device, as it would look on a screen of its own. */
export function DevicePane({ device }: { readonly device: Device }): ReactNode {
  const { user } = device
  const { isOnline, failure, notice } = useSyncExternalStore(device.subscribe, device.read)
  const toggle = (): void => {
    forgetDepartures()
    if (isOnline) device.goOffline()
    else device.goOnline()
  }
  return (
    <DatabaseContext value={device.database}>
      <section className="pane" data-user={user.id} data-online={isOnline} aria-label={`${user.name}’s device`}>
        <header className="pane-header">
          <span className="avatar" aria-hidden="true">
            {user.name[0]}
          </span>
          <div className="pane-title">
            <h2>{user.name}</h2>
            {failure === undefined && <SyncLine isOnline={isOnline} />}
          </div>
          {failure === undefined && (
            <button type="button" className="switch" role="switch" aria-checked={isOnline} onClick={toggle}>
              <span className="switch-label">{isOnline ? 'Online' : 'Offline'}</span>
              <span className="switch-track" aria-hidden="true" />
            </button>
          )}
        </header>
        {notice !== undefined && (
          <p className="notice" role="alert">
            <span>{notice}</span>
            <button type="button" className="icon-button" aria-label="Dismiss" onClick={device.dismissNotice}>
              <CloseIcon />
            </button>
          </p>
        )}
        {failure === undefined ? <Lists user={user} /> : <Failure failure={failure} />}
        {failure === undefined && <WaitingChanges isOnline={isOnline} dbFilename={device.dbFilename} />}
      </section>
    </DatabaseContext>
  )
}

/** The lists and the one that is open: the one chosen, else the first. */
function Lists({ user }: { readonly user: User }): ReactNode {
  const hasSynced = useStatus((status) => status.hasSynced)
  const { data, isLoading } = useQuery<ListEntry>(LISTS_SQL)
  const [chosenId, setChosenId] = useState<string>()
  const isUnknown = isLoading || (data.length === 0 && hasSynced !== true)
  const open = data.find(({ id }) => id === chosenId) ?? data[0]
  return (
    <div className="pane-body">
      <ListRail user={user} lists={isUnknown ? undefined : data} selectedId={open?.id} onSelect={setChosenId} />
      {open !== undefined && <ListPage user={user} listId={open.id} />}
      {open === undefined && (isUnknown ? <PageSkeleton /> : <NoLists />)}
    </div>
  )
}

function NoLists(): ReactNode {
  return (
    <div className="blank">
      <h3>No lists yet</h3>
      <p>Make one on the left. It is there at once, online or not.</p>
    </div>
  )
}

function Failure({ failure }: { readonly failure: Error }): ReactNode {
  return (
    <div className="blank" role="alert">
      <h3>This database cannot be opened here</h3>
      <p>{failure.message}</p>
      <button type="button" className="button" onClick={() => location.reload()}>
        Try again
      </button>
    </div>
  )
}
