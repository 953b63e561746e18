import type { RequestObject, OpId, SyncRequest } from '@headwater/protocol'
import type { LoadedPlan, ReadLookups, Resolution, Turn } from '@headwater/sync-config'
import { readLookups } from '../storage/read-lookups.ts'
import type { SyncStorage } from '../storage/storage.ts'

export type Resolve = {
  readonly plan: LoadedPlan
  readonly request: Omit<SyncRequest, 'buckets'>
  /** Of the verified token. */
  readonly claims: RequestObject
  /** The state of the source as of which lookups are read. */
  readonly checkpoint: OpId
}

/** Which buckets a client gets. Undefined when that is not known any more of the checkpoint. Throws `too-many-buckets`. */
export async function resolveBuckets(
  storage: SyncStorage,
  resolve: Resolve,
  turn: Turn,
): Promise<Resolution | undefined> {
  const { plan, request, claims, checkpoint } = resolve
  const { parameters, includeDefaults, subscriptions, namesStreams: readsStreamErrors } = request
  let isKnown = true
  const asked = { claims, parameters, includeDefaults, subscriptions, readsStreamErrors }
  const readKnown: ReadLookups = async (keys) => {
    const read = await readLookups(storage, { keys, upTo: checkpoint }, turn)
    isKnown &&= read !== undefined
    return read ?? keys.map(() => [])
  }
  const resolution = await plan.resolve(asked, readKnown, turn)
  return isKnown ? resolution : undefined
}
