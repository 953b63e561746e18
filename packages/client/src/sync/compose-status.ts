import type { JsonObject } from '@headwater/protocol'
import type { Subscription } from '../store/subscriptions.ts'
import type { StoredStatus } from '../store/sync-store.ts'
import type { UploadStatus } from '../upload/uploader.ts'
import type { SyncState } from './machine.ts'
import { SyncStatus } from './status.ts'
import type { BucketProgress, SyncStreamStatus } from './status.ts'
import { streamId } from './target.ts'
import type { Target } from './target.ts'

/** Both directions and what is stored, as one snapshot. */
export function composeStatus(parts: {
  readonly state: SyncState
  readonly upload: UploadStatus
  readonly progress: readonly BucketProgress[] | undefined
  readonly stored: StoredStatus | undefined
}): SyncStatus {
  const { state, upload, progress, stored } = parts
  const downloading = state.at === 'listening' && state.progress.kind === 'downloading'
  const target = state.at === 'listening' && state.progress.kind !== 'none' ? state.progress.target : undefined
  return new SyncStatus({
    connected: state.at === 'listening' || (state.at === 'opening' && state.hidden),
    connecting: state.at === 'opening' && !state.hidden,
    downloading,
    uploading: upload.uploading,
    downloadError: state.at === 'off' ? undefined : state.error,
    uploadError: upload.error,
    priorities: stored?.priorities,
    progress: downloading ? progress : undefined,
    streams: stored?.subscriptions.map((subscription) => streamStatus(subscription, target)),
  })
}

function streamStatus(subscription: Subscription, target: Target | undefined): SyncStreamStatus {
  const { name, active, isDefault, ttlSeconds, expiresAtMs, lastSyncedAtMs } = subscription
  const parameters: JsonObject | null = JSON.parse(subscription.parameters)
  return {
    progress: null,
    subscription: {
      name,
      parameters,
      active,
      isDefault,
      hasExplicitSubscription: ttlSeconds !== undefined,
      expiresAt: expiresAtMs === undefined ? null : new Date(expiresAtMs),
      hasSynced: lastSyncedAtMs !== undefined,
      lastSyncedAt: lastSyncedAtMs === undefined ? null : new Date(lastSyncedAtMs),
    },
    priority: target === undefined ? null : priorityOf(subscription, target),
    errors: target?.streamErrors.get(streamId(subscription)) ?? [],
  }
}

/** That of the least urgent of its buckets. */
function priorityOf({ name, parameters }: Subscription, target: Target): number | null {
  let priority: number | null = null
  for (const bucket of target.buckets.values()) {
    const belongs = bucket.streams.some((stream) => stream.name === name && stream.parameters === parameters)
    if (belongs) priority = Math.max(priority ?? 0, bucket.priority)
  }
  return priority
}
