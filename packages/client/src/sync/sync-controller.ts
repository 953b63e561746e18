import { HeadwaterError } from '@headwater/protocol'
import type { JsonObject } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import { DEFAULT_CRUD_UPLOAD_THROTTLE_MS, DEFAULT_RETRY_DELAY_MS } from '../connector.ts'
import type { Credentials, SyncOptions, WriteCheckpointNumber } from '../connector.ts'
import type { Logger } from '../logger.ts'
import type { Schema } from '../schema/schema.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import { readClientId } from '../store/client-id.ts'
import { SyncStore } from '../store/sync-store.ts'
import type { StoredStatus } from '../store/sync-store.ts'
import type { UploadStatus } from '../upload/uploader.ts'
import { startUploads } from '../upload/uploads.ts'
import type { ChangeFeed } from '../watch/change-feed.ts'
import { Listeners } from '../watch/listeners.ts'
import { CredentialCache } from './credentials.ts'
import { OFF } from './machine.ts'
import type { SyncState } from './machine.ts'
import { Runner } from './runner.ts'
import type { RunnerChange } from './runner.ts'
import { ServiceClient } from './service-client.ts'
import { composeStatus } from './compose-status.ts'
import type { BucketProgress, SyncStatus } from './status.ts'
import { Subscriptions } from './subscriptions.ts'
import type { SyncStream } from './sync-stream.ts'

export type SyncParts = {
  readonly sql: SqlDatabase
  readonly changes: ChangeFeed
  readonly logger: Logger
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly random: () => number
  readonly userAgent: string | undefined
  readonly listenForWakeUps: ((wake: () => void) => () => void) | undefined
  readonly readSchema: () => Schema
  readonly onStatus: (status: SyncStatus) => void
}

export type BoundConnector = {
  readonly fetchCredentials: () => Promise<Credentials | null>
  readonly uploadData: () => Promise<WriteCheckpointNumber | void>
}

/** How long an upload may go on when disconnecting. Past this it may be what waits for us: it is left to itself. */
const UPLOAD_GRACE_MS = 2000

/** What runs between connect and disconnect. */
type Session = { readonly runner: Runner; readonly stop: () => Promise<void> }

/** Connecting, disconnecting, and the status of both directions as one. */
export class SyncController {
  readonly #parts: SyncParts
  readonly #store: SyncStore
  readonly #subscriptions: Subscriptions
  readonly #watchers = new Listeners<{ readonly check: (status: SyncStatus) => void }>()
  #status: SyncStatus
  #state: SyncState = OFF
  #upload: UploadStatus = { uploading: false, error: undefined }
  #progress: readonly BucketProgress[] | undefined
  #stored: StoredStatus | undefined
  #session: Session | undefined
  /** Connecting and disconnecting happen one after the other; only the last call of several counts. */
  #tail: Promise<void> = Promise.resolve()
  #calls = 0
  #lastUpload: Promise<void> = Promise.resolve()

  constructor(parts: SyncParts) {
    this.#parts = parts
    this.#store = new SyncStore(parts)
    this.#status = composeStatus({ state: OFF, upload: this.#upload, progress: undefined, stored: undefined })
    this.#subscriptions = new Subscriptions({
      store: this.#store,
      logger: parts.logger,
      waitForStatus: (predicate, signal) => this.waitForStatus(predicate, signal),
      onChanged: async (requestChanged) => {
        await this.reloadStatus()
        if (requestChanged) void this.#session?.runner.send({ kind: 'restart' })
      },
    })
  }

  get status(): SyncStatus {
    return this.#status
  }

  /** Resolves when the first attempt has succeeded or failed, or when another call has taken over. */
  async connect(connector: BoundConnector, options: SyncOptions): Promise<void> {
    checkOptions(options)
    const call = await this.#exclusively(async () => {
      this.#session = await this.#startSession(connector, options)
    })
    const superseded = () => this.#calls !== call
    if (!superseded()) await this.waitForStatus((status) => superseded() || !status.connecting)
  }

  async disconnect(): Promise<void> {
    await this.#exclusively(() => Promise.resolve())
  }

  /** Reads what is stored about past syncs, and tells. */
  async reloadStatus(): Promise<void> {
    this.#stored = await this.#store.readStatus()
    this.#update()
  }

  /** Resolves when `predicate` holds or `signal` aborts; rejects with what `predicate` throws. */
  waitForStatus(predicate: (status: SyncStatus) => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        stop()
        signal?.removeEventListener('abort', onAbort)
        settle()
      }
      const check = (status: SyncStatus) => {
        try {
          if (predicate(status)) finish(resolve)
        } catch (error) {
          finish(() => reject(error instanceof Error ? error : new Error(String(error))))
        }
      }
      const onAbort = () => finish(resolve)
      const stop = this.#watchers.add({ check })
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) onAbort()
      else check(this.#status)
    })
  }

  stream(name: string, parameters: JsonObject | null): SyncStream {
    return this.#subscriptions.stream(name, parameters)
  }

  /** Ends what runs, then does `work` unless a later call has come meanwhile. Returns the number of the call. */
  async #exclusively(work: () => Promise<void>): Promise<number> {
    this.#calls += 1
    const call = this.#calls
    const before = this.#tail
    const turn = async () => {
      await before
      await this.#session?.stop()
      this.#session = undefined
      if (this.#calls === call) await work()
    }
    const done = turn()
    this.#tail = done.catch(() => undefined)
    await done
    return call
  }

  async #startSession(connector: BoundConnector, options: SyncOptions): Promise<Session> {
    const { sql, changes, logger, clock, random, fetch, userAgent, listenForWakeUps } = this.#parts
    const clientId = await readClientId(sql)
    const retryDelayMs = options.retryDelayMs ?? DEFAULT_RETRY_DELAY_MS
    const credentials = new CredentialCache(connector.fetchCredentials, clock)
    const service = new ServiceClient({ clock, fetch, credentials, userAgent })
    const stopped = new AbortController()
    const answered = async <T>(answer: Promise<T>): Promise<T> => {
      const value = await answer
      void runner.send({ kind: 'service-answered' })
      return value
    }
    const runner = new Runner({
      store: this.#store,
      service,
      credentials,
      clock,
      random,
      logger,
      retryDelayMs,
      prepareRequest: () => this.#subscriptions.prepareRequest(clientId, options),
      onChange: (change) => this.#onRunner(change),
      onConnected: () => uploads.noteConnected(),
      onRenew: () => this.#subscriptions.renew(),
    })
    const uploads = startUploads(
      {
        sql,
        clock,
        random,
        logger,
        retryDelayMs,
        throttleMs: options.crudUploadThrottleMs ?? DEFAULT_CRUD_UPLOAD_THROTTLE_MS,
        uploadData: () => this.#uploadInTurn(connector.uploadData, stopped.signal),
        requestCheckpoint: (number, signal) => answered(service.requestCheckpoint(clientId, number, signal)),
        requestWriteCheckpoint: (signal) => answered(service.requestWriteCheckpoint(clientId, signal)),
        onStatus: (upload) => {
          this.#upload = upload
          this.#update()
        },
        onCountsAnew: () => runner.send({ kind: 'restart' }),
        onCompleted: () => void runner.send({ kind: 'uploads-completed' }),
      },
      stopped.signal,
    )
    const stopListening = changes.listen((tables) => {
      if (tables.has('ps_crud')) uploads.noteWrite()
    })
    const stopWakeUps = listenForWakeUps?.(() => {
      uploads.retryNow()
      void runner.send({ kind: 'woken' })
    })
    await runner.send({ kind: 'start' })
    const stop = async () => {
      stopped.abort()
      stopListening()
      stopWakeUps?.()
      await runner.stop()
      await this.#atMost(UPLOAD_GRACE_MS, uploads.ended)
      this.#upload = { ...this.#upload, uploading: false }
      this.#update()
    }
    return { runner, stop }
  }

  /** One call of the app's function at a time, even when the one before was given up. */
  #uploadInTurn(uploadData: BoundConnector['uploadData'], signal: AbortSignal): Promise<WriteCheckpointNumber | void> {
    const call = this.#lastUpload.then(() => (signal.aborted ? undefined : uploadData()))
    this.#lastUpload = call.then(
      () => undefined,
      () => undefined,
    )
    return call
  }

  async #atMost(limitMs: number, work: Promise<void>): Promise<void> {
    const done = new AbortController()
    await Promise.race([work, this.#parts.clock.wait(limitMs, done.signal)])
    done.abort()
  }

  async #onRunner({ state, progress, storedStatusChanged }: RunnerChange): Promise<void> {
    this.#state = state
    this.#progress = progress
    try {
      if (storedStatusChanged) this.#stored = await this.#store.readStatus()
    } finally {
      this.#update()
    }
  }

  #update(): void {
    const status = composeStatus({
      state: this.#state,
      upload: this.#upload,
      progress: this.#progress,
      stored: this.#stored,
    })
    if (status.isEqual(this.#status)) return
    this.#status = status
    this.#watchers.each(({ check }) => check(status))
    try {
      this.#parts.onStatus(status)
    } catch (error) {
      this.#parts.logger.log({ level: 'error', message: 'A status listener failed', error })
    }
  }
}

function checkOptions({ appMetadata = {}, retryDelayMs, crudUploadThrottleMs }: SyncOptions): void {
  for (const [key, value] of Object.entries<unknown>(appMetadata)) {
    if (typeof value !== 'string') {
      throw new HeadwaterError(
        'bad-sync-options',
        `Cannot connect: appMetadata holds strings only, but ${JSON.stringify(key)} is ${JSON.stringify(value)}`,
      )
    }
  }
  for (const [name, value] of Object.entries({ retryDelayMs, crudUploadThrottleMs })) {
    if (value !== undefined && !(value >= 0)) {
      throw new HeadwaterError('bad-sync-options', `Cannot connect: ${name} must be 0 or more, got ${value}`)
    }
  }
}
