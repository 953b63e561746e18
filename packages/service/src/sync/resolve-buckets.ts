import type { RequestObject, OpId, SyncRequest } from '@headwater/protocol'
import type { LoadedPlan, Resolution } from '@headwater/sync-config'
import type { SyncStorage } from '../storage/storage.ts'

export type Resolve = {
  readonly plan: LoadedPlan
  readonly request: Omit<SyncRequest, 'buckets'>
  /** Of the verified token. */
  readonly claims: RequestObject
  /** The state of the source as of which lookups are read. */
  readonly checkpoint: OpId
}

/** Which buckets a client gets. Throws `too-many-buckets`. */
export function resolveBuckets(storage: SyncStorage, resolve: Resolve): Promise<Resolution> {
  const { plan, request, claims, checkpoint } = resolve
  const { parameters, includeDefaults, subscriptions, namesStreams } = request
  return plan.resolve({ claims, parameters, includeDefaults, subscriptions, readsStreamErrors: namesStreams }, (keys) =>
    storage.readLookups(keys, checkpoint),
  )
}
