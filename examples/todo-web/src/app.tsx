import type { ReactNode } from 'react'
import { useLastArrival } from './arrivals.ts'
import type { Device } from './device.ts'
import { DevicePane } from './device-pane.tsx'
import { ArrowIcon, WaveIcon } from './icons.tsx'
import { SqlHint } from './sql-hint.tsx'

export function App({ devices }: { readonly devices: readonly Device[] }): ReactNode {
  return (
    <div className="app">
      <header className="masthead">
        <h1 className="wordmark">
          <WaveIcon />
          Headwater
        </h1>
        <p className="tagline">Two people, two local databases, one Postgres.</p>
        <LastArrival />
      </header>
      <main className="panes">
        {devices.map((device) => (
          <DevicePane key={device.user.id} device={device} />
        ))}
      </main>
      <SqlHint />
    </div>
  )
}

/** How long the newest change took from one pane to the other. */
function LastArrival(): ReactNode {
  const arrival = useLastArrival()
  return (
    <p className="arrival" aria-live="polite">
      {arrival === undefined ? (
        'Change something on one side'
      ) : (
        <span key={arrival.at} className="arrival-news">
          {arrival.from.name} <ArrowIcon /> {arrival.to.name} in{' '}
          <strong data-testid="latency">{Math.max(1, Math.round(arrival.tookMs))} ms</strong>
        </span>
      )}
    </p>
  )
}
