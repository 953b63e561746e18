import { strict as assert } from 'node:assert'
import { HeadwaterError, type OpId, type SyncRequest } from '@headwater/protocol'
import type { LoadedPlan, Resolution, Turn } from '@headwater/sync-config'
import type { VerifiedUser } from '../auth/claims.ts'
import type { SyncStorage } from '../storage/storage.ts'
import type { CheckpointFeed } from './checkpoint-feed.ts'
import { planSend, type SendPlan, type Update } from './plan-send.ts'
import { resolveBuckets } from './resolve-buckets.ts'
import type { SessionState } from './session-state.ts'
import { readEntries, readTotals } from './sums.ts'
import type { Interest, SessionChange, Subscription } from './subscription.ts'
import type { Turns } from './turns.ts'

/** Sums of so few buckets are read in no time. */
const QUICK_BUCKETS_MAX = 100

/** What is needed of a request for as long as its stream is open. */
export type KeptRequest = Omit<SyncRequest, 'buckets'>

/** Told of every resolution: what a client has of what it may have. The first is the one that opening a stream costs. */
export type NoteResolved = (resolved: {
  readonly userId: string
  readonly resolution: Resolution
  readonly isFirst: boolean
}) => void

export type PrepareParts = {
  readonly storage: SyncStorage
  readonly feed: CheckpointFeed
  readonly subscription: Subscription
  readonly request: KeptRequest
  readonly user: VerifiedUser
  readonly writeCheckpointKey: string
  readonly state: SessionState
  readonly noteResolved: NoteResolved
  readonly turns: Pick<Turns, 'begin'>
}

/**
 * Finds out what a client has to be told, and notes it as told. The checkpoint is pinned from before its first read until
 * `unpin`, or until a newer one is prepared.
 */
export class Preparation {
  readonly #parts: PrepareParts
  #pin: Disposable | undefined
  #isClosed = false
  #hasResolved = false
  #served: { readonly generation: number; readonly plan: LoadedPlan } | undefined

  constructor(parts: PrepareParts) {
    this.#parts = parts
  }

  /** Who it is for, as logs name it. */
  get client(): { readonly userId: string; readonly clientId: string | undefined } {
    const { user, request } = this.#parts
    return { userId: user.userId, clientId: request.clientId }
  }

  /** Nobody waits for what is still being prepared. */
  close(): void {
    this.#isClosed = true
    this.unpin()
  }

  #beginTurn(): Turn {
    const { turns, user } = this.#parts
    return turns.begin(user.userId)
  }

  /** The client was brought to what was prepared, or will not be. */
  unpin(): void {
    this.#pin?.[Symbol.dispose]()
    this.#pin = undefined
  }

  /** Looks at everything; undefined when the client knows it all. Throws `no-sync-config`, `too-many-buckets`. */
  async prepareAll(): Promise<SendPlan | undefined> {
    let tried: OpId | undefined
    for (;;) {
      const prepared = await this.#prepareNewest(tried)
      if (prepared.kind === 'prepared') return prepared.plan
      tried = prepared.checkpoint
    }
  }

  /** `tried`: a checkpoint that compaction has gone past. */
  async #prepareNewest(tried: OpId | undefined): Promise<Prepared> {
    const { storage, feed, subscription, state, writeCheckpointKey } = this.#parts
    using _kept = subscription.keepCommits()
    // In this order: what the number stands for is then in the checkpoint, or in one before it.
    const writeCheckpoint = await storage.readWriteCheckpoint(writeCheckpointKey)
    const served = await feed.readServed()
    if (served === undefined && this.#served === undefined) throw notReady()
    if (served === undefined || (this.#served !== undefined && this.#served.generation !== served.generation)) {
      subscription.endAhead()
      return NOTHING_TO_TELL
    }
    this.#served = served
    if (state.isSuperseded && served.checkpoint <= state.checkpoint) return NOTHING_TO_TELL
    assert(tried === undefined || served.checkpoint > tried, 'Compaction has gone past the newest checkpoint')
    return await this.#prepareResolved(served.plan, later(served.checkpoint, state.checkpoint), writeCheckpoint)
  }

  /** Looks at what a change touched. */
  async prepareChange(change: SessionChange): Promise<SendPlan | undefined> {
    const { storage, state, subscription } = this.#parts
    if (change.touchesAll || this.#served === undefined) return this.prepareAll()
    const checkpoint = later(change.checkpoint, state.checkpoint)
    const writeCheckpoint = highest(change.writeCheckpoint, state.writeCheckpoint)
    if (change.mustResolve) {
      using _kept = subscription.keepCommits()
      const prepared = await this.#prepareResolved(this.#served.plan, checkpoint, writeCheckpoint)
      return prepared.kind === 'prepared' ? prepared.plan : this.prepareAll()
    }
    using pinned = new DisposableStack()
    pinned.use(storage.pinCheckpoint(checkpoint))
    const turn = this.#beginTurn()
    const sums = await readTotals(storage, [...change.buckets], checkpoint, turn)
    if (sums === undefined) return this.prepareAll()
    const update: Update = { checkpoint, writeCheckpoint, change: { kind: 'touched', sums } }
    return await this.#announce(update, pinned, turn)
  }

  async #prepareResolved(plan: LoadedPlan, checkpoint: OpId, writeCheckpoint: bigint | undefined): Promise<Prepared> {
    const { storage, subscription, request, user, noteResolved } = this.#parts
    using pinned = new DisposableStack()
    pinned.use(storage.pinCheckpoint(checkpoint))
    const turn = this.#beginTurn()
    const resolution = await resolveBuckets(storage, { plan, request, claims: user.claims, checkpoint }, turn)
    if (resolution === undefined) return { kind: 'passed', checkpoint }
    noteResolved({ userId: user.userId, resolution, isFirst: !this.#hasResolved })
    this.#hasResolved = true
    await subscription.follow(interestOf(resolution), checkpoint, turn)
    if (this.#isClosed) return NOTHING_TO_TELL
    const entries = await readEntries(storage, resolution.buckets, checkpoint, turn)
    if (entries === undefined) return { kind: 'passed', checkpoint }
    const { buckets, streams, bucketsMax } = resolution
    const change = { kind: 'all', entries, streams, limits: { buckets: buckets.length, bucketsMax } } as const
    return { kind: 'prepared', plan: await this.#announce({ checkpoint, writeCheckpoint, change }, pinned, turn) }
  }

  /** Takes the pin over when there is something to tell; else what is being sent, if anything, keeps its own. */
  async #announce(update: Update, pinned: DisposableStack, turn: Turn): Promise<SendPlan | undefined> {
    const { state } = this.#parts
    if (this.#isClosed) return undefined
    const plan = await planSend(state.announced, update, turn)
    if (plan === undefined) return undefined
    await state.announce(plan, update, turn)
    this.unpin()
    if (!this.#isClosed) this.#pin = pinned.move()
    return plan
  }
}

/** Preparing for it takes less than any keepalive line could wait: most changes, for most clients. */
export function isQuick({ touchesAll, mustResolve, buckets }: SessionChange): boolean {
  return !touchesAll && !mustResolve && buckets.size <= QUICK_BUCKETS_MAX
}

/** `passed`: compaction has gone past the checkpoint, so that it cannot be served. */
type Prepared =
  | { readonly kind: 'prepared'; readonly plan: SendPlan | undefined }
  | { readonly kind: 'passed'; readonly checkpoint: OpId }

const NOTHING_TO_TELL: Prepared = { kind: 'prepared', plan: undefined }

function interestOf({ buckets, lookupKeys }: Resolution): Interest {
  return { buckets: buckets.map(({ bucket }) => bucket), lookupKeys }
}

/** A number that was announced stays so. */
function highest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a
}

function later(a: OpId, b: OpId): OpId {
  return a > b ? a : b
}

function notReady(): HeadwaterError {
  return new HeadwaterError(
    'no-sync-config',
    'Cannot open a sync stream: no sync config is served yet, because the first copy of its tables is not done. Try again later; `headwater status` shows the progress',
  )
}
