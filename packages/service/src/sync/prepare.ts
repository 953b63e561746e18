import { HeadwaterError, type OpId, type SyncRequest } from '@headwater/protocol'
import type { LoadedPlan, Resolution } from '@headwater/sync-config'
import type { VerifiedUser } from '../auth/claims.ts'
import type { SyncStorage } from '../storage/storage.ts'
import type { CheckpointFeed, SessionChange, Subscription } from './checkpoint-feed.ts'
import { planSend, type SendPlan, type Update } from './plan-send.ts'
import { resolveBuckets } from './resolve-buckets.ts'
import type { SessionState } from './session-state.ts'
import { readEntries, readTotals } from './sums.ts'

/** What is needed of a request for as long as its stream is open. */
export type KeptRequest = Omit<SyncRequest, 'buckets'>

/** Told of every resolution: what a client has of what it may have. */
export type NoteResolved = (userId: string, resolution: Resolution) => void

export type PrepareParts = {
  readonly storage: SyncStorage
  readonly feed: CheckpointFeed
  readonly subscription: Subscription
  readonly request: KeptRequest
  readonly user: VerifiedUser
  readonly writeCheckpointKey: string
  readonly state: SessionState
  readonly noteResolved: NoteResolved
}

/** Finds out what a client has to be told, and notes it as told. */
export class Preparation {
  readonly #parts: PrepareParts
  #served: { readonly generation: number; readonly plan: LoadedPlan } | undefined

  constructor(parts: PrepareParts) {
    this.#parts = parts
  }

  /** Looks at everything; undefined when the client knows it all. Throws `no-sync-config`, `too-many-buckets`. */
  async prepareAll(): Promise<SendPlan | undefined> {
    const { storage, feed, subscription, state, writeCheckpointKey } = this.#parts
    // In this order: what the number stands for is then in the checkpoint, or in one before it.
    const writeCheckpoint = await storage.readWriteCheckpoint(writeCheckpointKey)
    const served = await feed.readServed()
    if (served === undefined && this.#served === undefined) throw notReady()
    if (served === undefined || (this.#served !== undefined && this.#served.generation !== served.generation)) {
      subscription.isOver = true
      return undefined
    }
    this.#served = served
    if (state.isSuperseded && served.checkpoint <= state.checkpoint) return undefined
    return this.#prepareResolved(served.plan, later(served.checkpoint, state.checkpoint), writeCheckpoint)
  }

  /** Looks at what a change touched. */
  async prepareChange(change: SessionChange): Promise<SendPlan | undefined> {
    const { storage, state } = this.#parts
    if (change.touchesAll || this.#served === undefined) return this.prepareAll()
    const checkpoint = later(change.checkpoint, state.checkpoint)
    const writeCheckpoint = highest(change.writeCheckpoint, state.writeCheckpoint)
    if (change.mustResolve) return this.#prepareResolved(this.#served.plan, checkpoint, writeCheckpoint)
    const sums = await readTotals(storage, [...change.buckets], checkpoint)
    return this.#announce({ checkpoint, writeCheckpoint, change: { kind: 'touched', sums } })
  }

  async #prepareResolved(
    plan: LoadedPlan,
    checkpoint: OpId,
    writeCheckpoint: bigint | undefined,
  ): Promise<SendPlan | undefined> {
    const { storage, subscription, request, user, noteResolved } = this.#parts
    const resolution = await resolveBuckets(storage, { plan, request, claims: user.claims, checkpoint })
    noteResolved(user.userId, resolution)
    subscription.follow(interestOf(resolution), checkpoint)
    const entries = await readEntries(storage, resolution.buckets, checkpoint)
    const change = { kind: 'all', entries, streams: resolution.streams } as const
    return this.#announce({ checkpoint, writeCheckpoint, change })
  }

  #announce(update: Update): SendPlan | undefined {
    const { state } = this.#parts
    const plan = planSend(state.announced, update)
    if (plan !== undefined) state.announce(plan, update)
    return plan
  }
}

function interestOf({ buckets, lookupKeys }: Resolution): Parameters<Subscription['follow']>[0] {
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
