import type { SyncRequest } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { SyncStore } from '../store/sync-store.ts'
import type { StreamKey } from '../store/subscriptions.ts'
import { Pause, planPause } from './backoff.ts'
import type { CredentialCache } from './credentials.ts'
import { OFF, step } from './machine.ts'
import type { SyncEffect, SyncEvent, SyncState } from './machine.ts'
import { retryAfterOf } from './refused-error.ts'
import type { ServiceClient } from './service-client.ts'
import type { BucketProgress } from './status.ts'
import { readStream } from './stream.ts'

export type RunnerParts = {
  readonly store: SyncStore
  readonly service: ServiceClient
  readonly credentials: CredentialCache
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly retryDelayMs: number
  readonly prepareRequest: () => Promise<{ readonly request: SyncRequest; readonly requested: readonly StreamKey[] }>
  readonly onChange: (change: RunnerChange) => Promise<void>
  /** The service has accepted the request. */
  readonly onConnected: () => void
  readonly onRenew: () => Promise<void>
}

export type RunnerChange = {
  readonly state: SyncState
  /** Undefined: as before. */
  readonly progress: readonly BucketProgress[] | undefined
  /** Something was shown, or streams came and went: stored status is to be read again. */
  readonly storedStatusChanged: boolean
}

/** Gives the machine its socket, its timer and its store. It has no opinions of its own. */
export class Runner {
  readonly #parts: RunnerParts
  #state: SyncState = OFF
  #progress: readonly BucketProgress[] | undefined
  /** Events are dealt with one after the other. */
  #tail: Promise<void> = Promise.resolve()
  #stream = new AbortController()
  #streamEnded: Promise<void> = Promise.resolve()
  #pause = new Pause()
  #pauseOver = new AbortController()

  constructor(parts: RunnerParts) {
    this.#parts = parts
  }

  get state(): SyncState {
    return this.#state
  }

  /** Resolves when the event and all that followed from it is done. */
  readonly send = (event: SyncEvent): Promise<void> => {
    // `#handle` does not reject; if it did all the same, the events after it must still be dealt with.
    this.#tail = this.#tail.then(() => this.#handle(event)).catch(() => undefined)
    return this.#tail
  }

  /** Ends the stream and every wait, and resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stream.abort()
    this.#pauseOver.abort()
    await this.send({ kind: 'stop' })
    await this.#streamEnded
  }

  /** Never rejects: an event that cannot be dealt with ends its connection, and not the sync. */
  async #handle(event: SyncEvent): Promise<void> {
    let doing: string = event.kind
    let { iteration } = this.#state
    try {
      const [state, effects] = step(this.#state, event)
      const changed = state !== this.#state
      this.#state = state
      if (effects.some(({ kind }) => kind === 'announce-all' || kind === 'announce-changed')) this.#progress = undefined
      if (changed) await this.#tell(event.kind === 'completed')
      for (const effect of effects) {
        doing = effect.kind
        iteration = this.#state.iteration
        const next = await this.#perform(effect)
        if (next !== undefined) await this.#handle(next)
      }
    } catch (error) {
      this.#parts.logger.log({ level: 'error', message: `Syncing failed at "${doing}"`, error })
      await this.#handle({ kind: 'ended', iteration, error: toError(error) })
    }
  }

  async #perform(effect: SyncEffect): Promise<SyncEvent | undefined> {
    const { store, credentials, logger } = this.#parts
    switch (effect.kind) {
      case 'open-stream':
        this.#openStream(effect.iteration)
        return undefined
      case 'close-stream':
        this.#stream.abort()
        return undefined
      case 'pause':
        this.#startPause(effect)
        return undefined
      case 'cut-pause':
        this.#pause.cut()
        return undefined
      case 'store-data':
        return this.#storeData(effect)
      case 'announce-all':
        this.#progress = await store.announceAll(effect.entries, effect.streams)
        await this.#tell(true)
        return undefined
      case 'announce-changed':
        this.#progress = await store.announceChanged(effect.updated, effect.removed)
        await this.#tell(false)
        return undefined
      case 'complete': {
        const outcome = await store.complete(effect.completion, effect.streams)
        if (outcome.kind === 'published' && effect.completion.priority !== undefined) await this.#tell(true)
        return { kind: 'completed', priority: effect.completion.priority, outcome }
      }
      case 'build-index':
        await store.buildIndex()
        return undefined
      case 'tell-connected':
        this.#parts.onConnected()
        return undefined
      case 'discard-credentials':
        credentials.discard(undefined)
        return undefined
      case 'prefetch-credentials':
        this.#prefetchCredentials()
        return undefined
      case 'renew-subscriptions':
        await this.#parts.onRenew()
        return undefined
      case 'log':
        logger.log({ level: effect.level, message: effect.message })
        return undefined
    }
  }

  async #storeData(effect: Extract<SyncEffect, { kind: 'store-data' }>): Promise<undefined> {
    const { counts } = await this.#parts.store.storeData(effect.lines)
    if (this.#state.at !== 'listening' || this.#state.progress.kind === 'none') return undefined
    const { buckets } = this.#state.progress.target
    const added = new Map<number, number>()
    effect.lines.forEach(({ bucket }, index) => {
      const priority = buckets.get(bucket)?.priority
      if (priority !== undefined) added.set(priority, (added.get(priority) ?? 0) + (counts[index] ?? 0))
    })
    this.#progress = this.#progress?.map((entry) => ({
      ...entry,
      sinceLast: entry.sinceLast + (added.get(entry.priority) ?? 0),
    }))
    await this.#tell(false)
    return undefined
  }

  #openStream(iteration: number): void {
    this.#stream.abort()
    this.#pauseOver.abort()
    const stream = new AbortController()
    this.#stream = stream
    const before = this.#streamEnded
    this.#streamEnded = before.then(() => this.#listen(iteration, stream.signal))
  }

  /** One connection, from request to end. */
  async #listen(iteration: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { service, clock } = this.#parts
    try {
      const { request, requested } = await this.#parts.prepareRequest()
      const stream = await service.openStream(request, signal)
      await this.send({ kind: 'opened', iteration, requested })
      for await (const item of readStream(stream, { clock, signal })) {
        if (signal.aborted) break
        await this.send({ ...item, iteration })
      }
      if (!signal.aborted) void this.send({ kind: 'ended', iteration })
    } catch (error) {
      if (signal.aborted) return
      this.#parts.logger.log({ level: 'warn', message: 'The connection to the service failed', error })
      void this.send({ kind: 'ended', iteration, error: toError(error), retryAfterMs: retryAfterOf(error) })
    }
  }

  #startPause({
    failures,
    retryAfterMs,
  }: {
    readonly failures: number
    readonly retryAfterMs?: number | undefined
  }): void {
    const { clock, random, retryDelayMs } = this.#parts
    this.#pauseOver.abort()
    const over = new AbortController()
    const pause = new Pause()
    this.#pauseOver = over
    this.#pause = pause
    const wait = async () => {
      await pause.wait(clock, planPause({ failures, retryDelayMs, retryAfterMs, random: random() }), over.signal)
      if (!over.signal.aborted) await this.send({ kind: 'retry-due' })
    }
    void wait()
  }

  /** Failing to get new ones is no reason to drop a connection that still works. */
  #prefetchCredentials(): void {
    const { credentials, logger } = this.#parts
    const { iteration } = this.#state
    const { token: before } = credentials
    credentials.renew().then(
      // The same token again would run out at the same moment: connecting anew would only ask for the next one.
      ({ token }) =>
        this.#state.iteration === iteration && token !== before ? this.send({ kind: 'restart' }) : undefined,
      (error: unknown) =>
        logger.log({ level: 'warn', message: 'Could not fetch new credentials ahead of time', error }),
    )
  }

  /** Never rejects: what cannot be told must not keep the next event from being dealt with. */
  async #tell(storedStatusChanged: boolean): Promise<void> {
    try {
      await this.#parts.onChange({ state: this.#state, progress: this.#progress, storedStatusChanged })
    } catch (error) {
      this.#parts.logger.log({ level: 'error', message: 'The sync status could not be updated', error })
    }
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
