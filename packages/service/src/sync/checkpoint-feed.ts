import type { OpId } from '@headwater/protocol'
import type { LoadedPlan, LoadOptions, Plan } from '@headwater/sync-config'
import type { StoredCheckpoint } from '../storage/delta.ts'
import type { Clock } from '../clock.ts'
import type { Commit, SyncStorage } from '../storage/storage.ts'
import { RecentCommits } from './recent-commits.ts'
import { StreamsEnd } from './stream-end.ts'
import { SubscriberMap } from './subscriber-map.ts'
import { Subscription, type Subscriptions } from './subscription.ts'
import type { Turns } from './turns.ts'

export type FeedParts = {
  readonly storage: Pick<SyncStorage, 'readHead' | 'watchCommits'>
  readonly loadPlan: (plan: Plan, options: LoadOptions) => LoadedPlan
  readonly clock: Clock
  /** Of all streams of this process. */
  readonly turns: Pick<Turns, 'begin'>
  /** Buckets, and parameter results, that one client may have. */
  readonly bucketsMax: number
  readonly resultsMax?: number | undefined
}

/** Tells each session what of the commits concerns it. A commit costs only as much as it has readers. */
export type CheckpointFeed = {
  /** `writeCheckpointKey`: of the client. */
  readonly subscribe: (writeCheckpointKey: string) => Subscription
  /** What is served now; undefined until the first copy is done. */
  readonly readServed: () => Promise<Served | undefined>
  /** Resolves when what the feed has handed out has everything of the source up to a place, or when `signal` aborts. */
  readonly untilShown: (place: StoredCheckpoint['lsn'], signal: AbortSignal) => Promise<void>
  /** Settles when the feed was stopped by its signal; rejects when storage fails. */
  readonly ended: Promise<void>
}

export type Served = { readonly generation: number; readonly plan: LoadedPlan; readonly checkpoint: OpId }

type FeedMaps = Subscriptions & {
  /** Where the newest checkpoint is in the log of the source. */
  shownTo: StoredCheckpoint['lsn'] | undefined
  /** Called whenever that moves. */
  readonly waiting: Set<() => void>
}

/** Starts to read commits at once, until `signal` aborts. */
export function createCheckpointFeed(parts: FeedParts, signal: AbortSignal): CheckpointFeed {
  const { storage, loadPlan, turns, bucketsMax, resultsMax } = parts
  const maps: FeedMaps = {
    byBucket: new SubscriberMap(),
    byLookup: new SubscriberMap(),
    byWriteCheckpoint: new SubscriberMap(),
    newest: undefined,
    recent: new RecentCommits(),
    turns,
    leaving: new Set(),
    shownTo: undefined,
    waiting: new Set(),
  }
  let loaded: { readonly generation: number; readonly plan: LoadedPlan } | undefined

  const readServed = async (): Promise<Served | undefined> => {
    const head = await storage.readHead()
    if (head === undefined) return undefined
    const { generation, plan, checkpoint } = head
    if (loaded?.generation !== generation)
      loaded = { generation, plan: loadPlan(plan, { generation, bucketsMax, resultsMax }) }
    return { ...loaded, checkpoint: checkpoint.opId }
  }

  return {
    subscribe: (writeCheckpointKey) => new Subscription(maps, writeCheckpointKey),
    readServed,
    untilShown: (place, signal) => untilShown(maps, place, signal),
    ended: handOut(maps, parts, signal),
  }
}

async function handOut(maps: FeedMaps, { storage, clock }: FeedParts, signal: AbortSignal): Promise<void> {
  const commits = storage.watchCommits(signal)
  const ending = new Set<Promise<void>>()
  const end = (reason: StreamsEnd['reason']): void => {
    const one = endAll(maps, reason, { clock, signal }).finally(() => ending.delete(one))
    ending.add(one)
  }
  const head = await storage.readHead()
  let generation = head?.generation
  // What sessions begin with.
  maps.shownTo ??= head?.checkpoint.lsn
  try {
    for await (const commit of commits) {
      // Without a generation at the start there was no session of an older one.
      if (generation !== undefined && commit.generation !== generation) end('config-changed')
      generation = commit.generation
      if (commit.checkpoint !== undefined) touchAll(maps, commit, commit.checkpoint)
      else end('config-changed')
    }
  } finally {
    end('shutdown')
    await Promise.all([...ending, ...maps.leaving])
  }
}

async function untilShown(maps: FeedMaps, place: StoredCheckpoint['lsn'], signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const look = (): void => {
    if (maps.shownTo !== undefined && maps.shownTo >= place) resolve()
  }
  const leave = (): void => resolve()
  look()
  maps.waiting.add(look)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) resolve()
  await promise
  signal.removeEventListener('abort', leave)
  maps.waiting.delete(look)
}

function touchAll(maps: FeedMaps, commit: Commit, { opId: checkpoint, lsn }: StoredCheckpoint): void {
  maps.newest = checkpoint
  maps.recent.add({ ...commit, checkpoint })
  maps.shownTo = lsn
  const touched = new Set<Subscription>()
  if (commit.touchesAll) {
    for (const session of maps.byWriteCheckpoint.all()) {
      if (session.end !== undefined) continue
      session.touch(checkpoint).touchesAll = true
      touched.add(session)
    }
  }
  maps.byBucket.visit(commit.buckets, (bucket, session) => {
    session.touch(checkpoint).buckets.add(bucket)
    touched.add(session)
  })
  maps.byLookup.visit(commit.lookups, (_key, session) => {
    session.touch(checkpoint).mustResolve = true
    touched.add(session)
  })
  maps.byWriteCheckpoint.visit(commit.writeCheckpoints, (key, session) => {
    session.touch(checkpoint).writeCheckpoint = commit.writeCheckpoints.get(key)
    touched.add(session)
  })
  for (const session of touched) session.onTouched()
  for (const look of maps.waiting) look()
}

/** Clients come back when their streams have ended: thousands of them not in one second. */
const ENDED_AT_ONCE = 100
const END_EVERY_MS = 100

/** No session is told anything more, and they end some at a time. */
async function endAll(
  maps: FeedMaps,
  reason: StreamsEnd['reason'],
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const ending = Array.from(maps.byWriteCheckpoint.all()).filter(({ end }) => end === undefined)
  const end = new StreamsEnd(reason, ending.length)
  for (const session of ending) session.end = end
  for (let at = 0; at < ending.length; at += ENDED_AT_ONCE) {
    if (at > 0) await clock.wait(END_EVERY_MS, signal)
    for (const session of ending.slice(at, at + ENDED_AT_ONCE)) session.onTouched()
  }
}
