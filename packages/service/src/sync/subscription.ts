import type { BucketName, OpId } from '@headwater/protocol'
import type { LookupKey, Turn } from '@headwater/sync-config'
import type { KeptCommit, RecentCommits } from './recent-commits.ts'
import { StreamsEnd } from './stream-end.ts'
import type { SubscriberMap } from './subscriber-map.ts'
import type { Turns } from './turns.ts'

/** What a session depends on. */
export type Interest = { readonly buckets: readonly BucketName[]; readonly lookupKeys: readonly LookupKey[] }

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

/** Who is to be told of what, and what was handed out. */
export type Subscriptions = {
  readonly byBucket: SubscriberMap<BucketName, Subscription>
  readonly byLookup: SubscriberMap<LookupKey, Subscription>
  /** Every session is in here. */
  readonly byWriteCheckpoint: SubscriberMap<string, Subscription>
  /** The checkpoint that was handed out last. */
  newest: OpId | undefined
  readonly recent: RecentCommits
  readonly turns: Pick<Turns, 'begin'>
  /** Sessions that have ended are being taken out. */
  readonly leaving: Set<Promise<void>>
}

/** One session's place in the feed. */
export class Subscription {
  /** Called, until replaced, whenever there is something to take or the session ends. */
  onTouched: () => void = () => {}
  /** Set when nothing more is to be told. */
  end: StreamsEnd | undefined
  readonly #all: Subscriptions
  readonly #writeCheckpointKey: string
  /** Nothing else of this session is in the maps; while it changes, what it was and what it will be. */
  #interests: readonly Interest[] = []
  #change: MutableChange | undefined
  #isClosed = false

  constructor(all: Subscriptions, writeCheckpointKey: string) {
    this.#all = all
    this.#writeCheckpointKey = writeCheckpointKey
    all.byWriteCheckpoint.add(writeCheckpointKey, this)
  }

  get isTouched(): boolean {
    return this.#change !== undefined
  }

  /** To be called before the state is chosen that is then looked at, and disposed of when what it means is followed. */
  keepCommits(): Disposable {
    return this.#all.recent.keep(this.#all.newest)
  }

  /**
   * Only these concern the session from now on, which knows everything up to `seen`. What was committed since counts as
   * touched: all of it, where that was not kept. Ends early when the session is closed meanwhile.
   */
  async follow(interest: Interest, seen: OpId, turn: Turn): Promise<void> {
    if (this.#isClosed) return
    const before = this.#interests
    this.#interests = [...before, interest]
    const { byBucket, byLookup, recent } = this.#all
    await this.#enter(byBucket, interest.buckets, turn)
    await this.#enter(byLookup, interest.lookupKeys, turn)
    // From here on it is told of everything, by the feed.
    const missed = recent.after(seen)
    for (const { buckets, lookupKeys } of before) {
      await this.#remove(byBucket, await without(buckets, interest.buckets, turn), turn)
      await this.#remove(byLookup, await without(lookupKeys, interest.lookupKeys, turn), turn)
    }
    if (this.#isClosed) return
    this.#interests = [interest]
    if (missed === undefined) this.#touchNow(seen).touchesAll = true
    else await this.#touchMissed(missed, seen, turn)
  }

  /** What is served now was built anew; the feed has not come to that yet. */
  endAhead(): void {
    this.end ??= new StreamsEnd('config-changed', this.#all.byWriteCheckpoint.size)
  }

  take(): SessionChange | undefined {
    const change = this.#change
    this.#change = undefined
    return change === undefined ? undefined : { ...change, checkpoint: this.#all.newest ?? change.checkpoint }
  }

  /** Takes it out of the maps, in turns if that is long. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onTouched = () => {}
    const { byWriteCheckpoint, leaving, turns } = this.#all
    byWriteCheckpoint.remove(this.#writeCheckpointKey, this)
    if (this.#interests.length === 0) return
    const left = this.#leave(turns.begin(this.#writeCheckpointKey)).finally(() => leaving.delete(left))
    leaving.add(left)
  }

  async #leave(turn: Turn): Promise<void> {
    const { byBucket, byLookup } = this.#all
    for (const { buckets, lookupKeys } of this.#interests) {
      await this.#remove(byBucket, buckets, turn)
      await this.#remove(byLookup, lookupKeys, turn)
    }
    this.#interests = []
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

  #touchNow(seen: OpId): MutableChange {
    return this.touch(this.#all.newest ?? seen)
  }

  async #touchMissed(missed: readonly KeptCommit[], seen: OpId, turn: Turn): Promise<void> {
    const { byBucket, byLookup } = this.#all
    for (const { buckets, lookups } of missed) {
      for (const bucket of buckets) {
        if (turn.isOverAfterStep()) await turn.next()
        if (byBucket.has(bucket, this)) this.#touchNow(seen).buckets.add(bucket)
      }
      for (const key of lookups) {
        if (turn.isOverAfterStep()) await turn.next()
        if (byLookup.has(key, this)) this.#touchNow(seen).mustResolve = true
      }
    }
  }

  async #enter<Key>(map: SubscriberMap<Key, Subscription>, keys: readonly Key[], turn: Turn): Promise<void> {
    for (const key of keys) {
      if (turn.isOverAfterStep()) await turn.next()
      if (this.#isClosed) return
      map.add(key, this)
    }
  }

  async #remove<Key>(map: SubscriberMap<Key, Subscription>, keys: readonly Key[], turn: Turn): Promise<void> {
    for (const key of keys) {
      if (turn.isOverAfterStep()) await turn.next()
      map.remove(key, this)
    }
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

async function without<Key>(keys: readonly Key[], others: readonly Key[], turn: Turn): Promise<readonly Key[]> {
  if (keys.length === 0) return keys
  const kept = new Set<Key>()
  for (const key of others) {
    if (turn.isOverAfterStep()) await turn.next()
    kept.add(key)
  }
  const left: Key[] = []
  for (const key of keys) {
    if (turn.isOverAfterStep()) await turn.next()
    if (!kept.has(key)) left.push(key)
  }
  return left
}
