import type { JsonObject } from '@headwater/protocol'

export type SyncStreamSubscribeOptions = {
  /** Seconds that the data stays after the last handle is released; default one day, 0 = drop at once. */
  readonly ttl?: number
  /** 0 … 3, overriding what the sync config says. */
  readonly priority?: number
}

/** A stream of the sync config, with parameters. */
export interface SyncStream {
  readonly name: string
  readonly parameters: JsonObject | null
  subscribe(options?: SyncStreamSubscribeOptions): Promise<SyncStreamSubscription>
  /** Drops it at once, whatever its time to live and however many handles there are. */
  unsubscribeAll(): Promise<void>
}

/** A handle; the data stays while there is one. */
export interface SyncStreamSubscription {
  readonly name: string
  readonly parameters: JsonObject | null
  /** Resolves when the data is there, or when `signal` aborts. */
  waitForFirstSync(signal?: AbortSignal): Promise<void>
  unsubscribe(): void
}
