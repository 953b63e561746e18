import type { BucketName, OpId } from '@headwater/protocol'
import type { LoadedPlan, LoadOptions, LookupKey, Plan } from '@headwater/sync-config'
import type { StoredCheckpoint } from '../storage/delta.ts'
import type { Clock } from '../clock.ts'
import type { Commit, SyncStorage } from '../storage/storage.ts'
import { StreamsEnd } from './stream-end.ts'
import { SubscriberMap } from './subscriber-map.ts'

export type FeedParts = {
  readonly storage: Pick<SyncStorage, 'readHead' | 'watchCommits'>
  readonly loadPlan: (plan: Plan, options: LoadOptions) => LoadedPlan
  readonly clock: Clock
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

/** What a session depends on. */
export type Interest = { readonly buckets: readonly BucketName[]; readonly lookupKeys: readonly LookupKey[] }

const NO_INTEREST: Interest = { buckets: [], lookupKeys: [] }

/** What happened to a session since it last took. */
export type SessionChange = {
  /** Newest state that clients may see. */
  readonly checkpoint: OpId
  readonly buckets: ReadonlySet<BucketName>
  /** The buckets of the session may be others now. */
  readonly mustResolve: boolean
  readonly writeCheckpoint: bigint | undefined
  /** Anything may have changed, the write checkpoint too. */
  readonly touchesAll: boolean
  /** When the first of it was shown, by `performance.now()`. */
  readonly sinceMs: number
}

/** One session's place in the feed. */
export class Subscription {
  /** Called, until replaced, whenever there is something to take or the session ends. */
  onTouched: () => void = () => {}
  /** Set when nothing more is to be told. */
  end: StreamsEnd | undefined
  readonly #maps: FeedMaps
  readonly #writeCheckpointKey: string
  #interest: Interest = NO_INTEREST
  #change: MutableChange | undefined
  #isClosed = false

  constructor(maps: FeedMaps, writeCheckpointKey: string) {
    this.#maps = maps
    this.#writeCheckpointKey = writeCheckpointKey
    maps.byWriteCheckpoint.add(writeCheckpointKey, this)
  }

  get isTouched(): boolean {
    return this.#change !== undefined
  }

  /**
   * From now on only these concern the session, which knows everything up to `seen`. When the feed is already past
   * that, what came between cannot be told apart, so everything counts as touched. Does nothing after `close`.
   */
  follow(interest: Interest, seen: OpId): void {
    if (this.#isClosed) return
    this.#replaceInterest(interest)
    const { newest } = this.#maps
    if (newest !== undefined && newest > seen) this.touch(newest).touchesAll = true
  }

  /** What is served now was built anew; the feed has not come to that yet. */
  endAhead(): void {
    this.end ??= new StreamsEnd('config-changed', this.#maps.byWriteCheckpoint.size)
  }

  take(): SessionChange | undefined {
    const change = this.#change
    this.#change = undefined
    return change === undefined ? undefined : { ...change, checkpoint: this.#maps.newest ?? change.checkpoint }
  }

  close(): void {
    this.#isClosed = true
    this.#replaceInterest(NO_INTEREST)
    this.#maps.byWriteCheckpoint.remove(this.#writeCheckpointKey, this)
    this.onTouched = () => {}
  }

  #replaceInterest(interest: Interest): void {
    const { byBucket, byLookup } = this.#maps
    byBucket.replace(this.#interest.buckets, interest.buckets, this)
    byLookup.replace(this.#interest.lookupKeys, interest.lookupKeys, this)
    this.#interest = interest
  }

  /** For the feed: what is being gathered. */
  touch(checkpoint: OpId): MutableChange {
    this.#change ??= {
      checkpoint,
      buckets: new Set(),
      mustResolve: false,
      writeCheckpoint: undefined,
      touchesAll: false,
      sinceMs: performance.now(),
    }
    this.#change.checkpoint = checkpoint
    return this.#change
  }
}

type MutableChange = {
  checkpoint: OpId
  readonly buckets: Set<BucketName>
  mustResolve: boolean
  writeCheckpoint: bigint | undefined
  touchesAll: boolean
  readonly sinceMs: number
}

type FeedMaps = {
  readonly byBucket: SubscriberMap<BucketName>
  readonly byLookup: SubscriberMap<LookupKey>
  /** Every session is in here. */
  readonly byWriteCheckpoint: SubscriberMap<string>
  /** The checkpoint that was handed out last. */
  newest: OpId | undefined
  /** Where it is in the log of the source. */
  shownTo: StoredCheckpoint['lsn'] | undefined
  /** Called whenever that moves. */
  readonly waiting: Set<() => void>
}

/** Starts to read commits at once, until `signal` aborts. */
export function createCheckpointFeed(parts: FeedParts, signal: AbortSignal): CheckpointFeed {
  const { storage, loadPlan, bucketsMax, resultsMax } = parts
  const maps: FeedMaps = {
    byBucket: new SubscriberMap(),
    byLookup: new SubscriberMap(),
    byWriteCheckpoint: new SubscriberMap(),
    newest: undefined,
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
    await Promise.all(ending)
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
  maps.shownTo = lsn
  const touched = new Set<Subscription>()
  if (commit.touchesAll) {
    for (const session of maps.byWriteCheckpoint.all()) {
      if (session.end !== undefined) continue
      session.touch(checkpoint).touchesAll = true
      touched.add(session)
    }
  }
  for (const [bucket, session] of maps.byBucket.matching(commit.buckets)) {
    session.touch(checkpoint).buckets.add(bucket)
    touched.add(session)
  }
  for (const [, session] of maps.byLookup.matching(commit.lookups)) {
    session.touch(checkpoint).mustResolve = true
    touched.add(session)
  }
  for (const [key, session] of maps.byWriteCheckpoint.matching(commit.writeCheckpoints)) {
    session.touch(checkpoint).writeCheckpoint = commit.writeCheckpoints.get(key)
    touched.add(session)
  }
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
