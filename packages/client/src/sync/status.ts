import type { JsonObject } from '@headwater/protocol'

/** The priority under which a completed full sync is stored: less urgent than any other. */
export const FULL_SYNC_PRIORITY = 2_147_483_647

export type SyncPriorityStatus = {
  readonly priority: number
  readonly hasSynced: boolean
  readonly lastSyncedAt?: Date | undefined
}

export type ProgressWithOperations = {
  readonly totalOperations: number
  readonly downloadedOperations: number
  /** 0 … 1; 0 when there is nothing to download. */
  readonly downloadedFraction: number
}

export type SyncProgress = ProgressWithOperations & {
  /** Counting only buckets that are at least as urgent as `priority`. */
  readonly untilPriority: (priority: number) => ProgressWithOperations
}

export type SyncStreamDescription = { readonly name: string; readonly parameters: JsonObject | null }

export type SyncSubscriptionDescription = SyncStreamDescription & {
  /** The service evaluates it. */
  readonly active: boolean
  readonly isDefault: boolean
  readonly hasExplicitSubscription: boolean
  readonly expiresAt: Date | null
  readonly hasSynced: boolean
  readonly lastSyncedAt: Date | null
}

export type SyncStreamStatus = {
  readonly progress: ProgressWithOperations | null
  readonly subscription: SyncSubscriptionDescription
  readonly priority: number | null
  /** What keeps it from being synced whole, in words of the service; known while connected. */
  readonly errors: readonly string[]
}

export type SyncDataFlowStatus = {
  readonly downloading: boolean
  readonly uploading: boolean
  readonly downloadError?: Error | undefined
  readonly uploadError?: Error | undefined
}

/** Download counters of one bucket. */
export type BucketProgress = {
  readonly priority: number
  /** Operations that were there at the last completed sync. */
  readonly atLast: number
  /** Operations received since. */
  readonly sinceLast: number
  /** Operations the checkpoint announced. */
  readonly target: number
}

export type SyncStatusParts = {
  readonly connected: boolean
  readonly connecting: boolean
  readonly downloading: boolean
  readonly uploading: boolean
  readonly downloadError?: Error | undefined
  readonly uploadError?: Error | undefined
  /** Undefined until the stored status has been read. */
  readonly priorities?: readonly SyncPriorityStatus[] | undefined
  readonly progress?: readonly BucketProgress[] | undefined
  readonly streams?: readonly SyncStreamStatus[] | undefined
}

/** A snapshot; it never changes. */
export class SyncStatus {
  readonly #parts: SyncStatusParts

  constructor(parts: SyncStatusParts) {
    this.#parts = parts
  }

  get connected(): boolean {
    return this.#parts.connected
  }
  get connecting(): boolean {
    return this.#parts.connecting
  }
  get downloading(): boolean {
    return this.#parts.downloading
  }
  get uploading(): boolean {
    return this.#parts.uploading
  }
  get downloadError(): Error | undefined {
    return this.#parts.downloadError
  }
  get uploadError(): Error | undefined {
    return this.#parts.uploadError
  }
  get dataFlowStatus(): SyncDataFlowStatus {
    const { downloading, uploading, downloadError, uploadError } = this.#parts
    return { downloading, uploading, downloadError, uploadError }
  }
  /** When everything was last in step with the service. */
  get lastSyncedAt(): Date | undefined {
    return this.#full?.lastSyncedAt
  }
  get hasSynced(): boolean | undefined {
    return this.#parts.priorities === undefined ? undefined : this.#full !== undefined
  }
  /** Most urgent first. */
  get priorityStatusEntries(): readonly SyncPriorityStatus[] {
    return this.#parts.priorities ?? []
  }
  get downloadProgress(): SyncProgress | null {
    const { progress } = this.#parts
    if (progress === undefined || !this.#parts.downloading) return null
    return {
      ...sumProgress(progress),
      untilPriority: (priority) => sumProgress(progress.filter((bucket) => bucket.priority <= priority)),
    }
  }
  /** Undefined until the stored status has been read. */
  get syncStreams(): readonly SyncStreamStatus[] | undefined {
    return this.#parts.streams
  }

  /** A completed less urgent level implies the more urgent ones. */
  statusForPriority(priority: number): SyncPriorityStatus {
    return this.priorityStatusEntries.find((entry) => entry.priority >= priority) ?? { priority, hasSynced: false }
  }

  forStream(stream: SyncStreamDescription): SyncStreamStatus | undefined {
    const parameters = JSON.stringify(stream.parameters)
    return this.#parts.streams?.find(
      ({ subscription }) => subscription.name === stream.name && JSON.stringify(subscription.parameters) === parameters,
    )
  }

  isEqual(other: SyncStatus): boolean {
    return comparable(this) === comparable(other)
  }

  getMessage(): string {
    const { connected, downloading, uploading } = this
    return `SyncStatus<connected: ${connected} connecting: ${this.connecting} downloading: ${downloading} uploading: ${uploading} lastSyncedAt: ${this.lastSyncedAt?.toISOString()} hasSynced: ${this.hasSynced}>`
  }

  toJSON(): object {
    return {
      connected: this.connected,
      connecting: this.connecting,
      dataFlow: {
        downloading: this.downloading,
        uploading: this.uploading,
        downloadError: describe(this.downloadError),
        uploadError: describe(this.uploadError),
      },
      lastSyncedAt: this.lastSyncedAt,
      hasSynced: this.hasSynced,
      priorityStatusEntries: this.priorityStatusEntries,
      downloadProgress: this.downloadProgress,
      streams: this.syncStreams,
    }
  }

  get #full(): SyncPriorityStatus | undefined {
    return this.#parts.priorities?.find(({ priority }) => priority === FULL_SYNC_PRIORITY)
  }
}

export function sumProgress(buckets: readonly BucketProgress[]): ProgressWithOperations {
  let totalOperations = 0
  let downloadedOperations = 0
  for (const { atLast, sinceLast, target } of buckets) {
    const missing = Math.max(0, target - atLast)
    totalOperations += missing
    downloadedOperations += Math.min(missing, sinceLast)
  }
  const downloadedFraction = totalOperations === 0 ? 0 : downloadedOperations / totalOperations
  return { totalOperations, downloadedOperations, downloadedFraction }
}

function comparable(status: SyncStatus): string {
  return JSON.stringify(status.toJSON())
}

function describe(error: Error | undefined): object | undefined {
  return error === undefined ? undefined : { name: error.name, message: error.message }
}
