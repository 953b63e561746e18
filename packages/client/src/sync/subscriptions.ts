import { HeadwaterError } from '@headwater/protocol'
import type { JsonObject, SyncRequest } from '@headwater/protocol'
import type { SyncOptions } from '../connector.ts'
import type { Logger } from '../logger.ts'
import { DEFAULT_TTL_SECONDS, dropSubscription, saveSubscription } from '../store/subscriptions.ts'
import type { StreamKey, Subscription } from '../store/subscriptions.ts'
import type { SyncStore } from '../store/sync-store.ts'
import type { SyncStatus } from './status.ts'
import { StreamHandles } from './stream-handles.ts'
import type { SyncStream, SyncStreamSubscribeOptions, SyncStreamSubscription } from './sync-stream.ts'

export type SubscriptionsParts = {
  readonly store: SyncStore
  readonly logger: Logger
  readonly waitForStatus: (predicate: (status: SyncStatus) => boolean, signal?: AbortSignal) => Promise<void>
  /** `requestChanged`: the open stream was asked for something else. */
  readonly onChanged: (requestChanged: boolean) => Promise<void>
}

/** The streams that the app wants beside those that everyone gets. */
export class Subscriptions {
  readonly #parts: SubscriptionsParts
  readonly #handles = new StreamHandles()
  /** What the last request asked for. */
  #requested: string | undefined

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts
  }

  stream(name: string, parameters: JsonObject | null): SyncStream {
    const key: StreamKey = { name, parameters: JSON.stringify(parameters) }
    return {
      name,
      parameters,
      subscribe: (options = {}) => this.#subscribe(key, parameters, options),
      unsubscribeAll: async () => {
        this.#handles.releaseAll(key)
        await this.#parts.store.write((connection) => dropSubscription(connection, key))
        await this.#refresh()
      },
    }
  }

  async prepareRequest(
    clientId: string,
    options: SyncOptions,
  ): Promise<{ readonly request: SyncRequest; readonly requested: readonly StreamKey[] }> {
    const { buckets, subscriptions } = await this.#parts.store.prepareRequest(this.#handles.held)
    this.#requested = describe(subscriptions)
    const request: SyncRequest = {
      buckets,
      clientId,
      parameters: options.params ?? {},
      appMetadata: options.appMetadata ?? {},
      rawData: true,
      namesStreams: true,
      includeDefaults: options.includeDefaultStreams ?? true,
      subscriptions: subscriptions.map(({ name, parameters, priority }) => ({
        stream: name,
        parameters: readParameters(parameters) ?? {},
        overridePriority: priority ?? undefined,
      })),
    }
    return { request, requested: subscriptions }
  }

  /** To be called now and then while connected: time does not run for what is held, and what ran out goes. */
  async renew(): Promise<void> {
    await this.#refresh()
  }

  async #subscribe(
    key: StreamKey,
    parameters: JsonObject | null,
    options: SyncStreamSubscribeOptions,
  ): Promise<SyncStreamSubscription> {
    const { ttl = DEFAULT_TTL_SECONDS, priority } = options
    checkOptions(key, ttl, priority)
    const { store, waitForStatus, logger } = this.#parts
    const release = this.#handles.hold(key)
    await store.write((connection) =>
      saveSubscription(connection, { ...key, ttlSeconds: ttl, priority }, store.nowMs()),
    )
    await this.#refresh()
    return {
      name: key.name,
      parameters,
      waitForFirstSync: (signal) =>
        waitForStatus(
          (status) => status.forStream({ name: key.name, parameters })?.subscription.hasSynced === true,
          signal,
        ),
      unsubscribe: () => {
        this.#refresh(release() ? [key] : []).catch((error: unknown) => {
          logger.log({ level: 'error', message: `Could not release the stream ${key.name}`, error })
        })
      },
    }
  }

  async #refresh(released: readonly StreamKey[] = []): Promise<void> {
    const left = await this.#parts.store.renew({ held: this.#handles.held, released })
    await this.#parts.onChanged(this.#requested !== undefined && describe(left) !== this.#requested)
  }
}

function describe(subscriptions: readonly Subscription[]): string {
  return JSON.stringify(subscriptions.map(({ name, parameters, priority }) => [name, parameters, priority]))
}

function readParameters(text: string): JsonObject | null {
  return JSON.parse(text)
}

function checkOptions({ name }: StreamKey, ttl: number, priority: number | undefined): void {
  const prefix = `Cannot subscribe to ${JSON.stringify(name)}`
  if (!(ttl >= 0)) throw new HeadwaterError('bad-sync-options', `${prefix}: ttl must be 0 or more seconds, got ${ttl}`)
  if (priority !== undefined && ![0, 1, 2, 3].includes(priority)) {
    throw new HeadwaterError('bad-sync-options', `${prefix}: priority must be 0, 1, 2 or 3, got ${priority}`)
  }
}
