/** How long changes take from one pane to the other: both are in this page, so one clock sees both ends. */
import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { User } from './users.ts'

export type Arrival = { readonly from: User; readonly to: User; readonly tookMs: number; readonly at: number }

type Departure = { readonly from: User; readonly atMs: number }

/** Departures that are still under way; a device that is offline for long must not fill the memory. */
const DEPARTURES_MAX = 200

const NOBODY: ReadonlySet<string> = new Set()

const departures = new Map<string, Departure>()
const listeners = new Set<() => void>()
let lastArrival: Arrival | undefined

/** To be called right before `from` writes a row. */
export function noteDeparture(from: User, rowId: string): void {
  departures.delete(rowId)
  departures.set(rowId, { from, atMs: performance.now() })
  const [oldest] = departures.keys()
  if (departures.size > DEPARTURES_MAX && oldest !== undefined) departures.delete(oldest)
}

function noteArrival(to: User, rowId: string): void {
  const departure = departures.get(rowId)
  if (departure === undefined || departure.from.id === to.id) return
  departures.delete(rowId)
  lastArrival = { from: departure.from, to, tookMs: performance.now() - departure.atMs, at: Date.now() }
  for (const listener of listeners) listener()
}

/** Forgets what is under way, when the time it takes says nothing: one side is offline. */
export function forgetDepartures(): void {
  departures.clear()
}

export function useLastArrival(): Arrival | undefined {
  return useSyncExternalStore(subscribe, readLastArrival)
}

/** Notes rows of others that appear or change in a list already shown; returns their ids, for a moment's highlight. */
export function useArrivals(
  user: User,
  listKey: string,
  rows: readonly { readonly id: string }[],
): ReadonlySet<string> {
  const before = useRef<{ readonly key: string; readonly rows: ReadonlySet<object> }>(undefined)
  const [arrived, setArrived] = useState<ReadonlySet<string>>(NOBODY)
  useEffect(() => {
    const known = before.current
    before.current = { key: listKey, rows: new Set(rows) }
    if (known?.key !== listKey) {
      setArrived(NOBODY)
      return
    }
    const changed = rows.filter((row) => !known.rows.has(row) && !isOwn(user, row.id)).map(({ id }) => id)
    if (changed.length === 0) return
    for (const id of changed) noteArrival(user, id)
    setArrived(new Set(changed))
  }, [user, listKey, rows])
  return arrived
}

function isOwn(user: User, rowId: string): boolean {
  return departures.get(rowId)?.from.id === user.id
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function readLastArrival(): Arrival | undefined {
  return lastArrival
}
