import type { JsonObject } from '@headwater/protocol'
import type { CrudBatch, CrudTransaction, UploadQueueStats } from './upload/crud.ts'

export type Credentials = {
  /** Address of the service, without a slash at its end. */
  readonly endpoint: string
  readonly token: string
  readonly expiresAt?: Date
}

/** What `uploadData` is given: the queue, and the database to query. */
export interface UploadSource {
  getCrudBatch(limit?: number): Promise<CrudBatch | null>
  getNextCrudTransaction(): Promise<CrudTransaction | null>
  getCrudTransactions(): AsyncIterableIterator<CrudTransaction>
  getUploadQueueStats(includeSize?: boolean): Promise<UploadQueueStats>
  getClientId(): Promise<string>
}

/** What an app provides: who the user is, and where writes go. */
export interface BackendConnector<Database extends UploadSource = UploadSource> {
  /** Fresh credentials at every call; `null` when no one is signed in. */
  fetchCredentials(): Promise<Credentials | null>
  /**
   * Sends what is queued to the app's backend and calls `complete()`. A throw means "later, the same again".
   *
   * A backend that applies uploads later chooses a write checkpoint for them, which it writes to the source with them.
   * It is returned here, and downloads wait for it. Otherwise the service is asked for one.
   */
  uploadData(database: Database): Promise<WriteCheckpointNumber | void>
}

/** A whole number from 1 up, ascending for each client; as digits where JavaScript would round it. */
export type WriteCheckpointNumber = string | number | bigint

export type SyncOptions = {
  /** Connection parameters, as the sync config reads them with `connection.parameter('x')`. */
  readonly params?: JsonObject
  /** Strings that the service logs with the connection. */
  readonly appMetadata?: { readonly [key: string]: string }
  readonly connectionMethod?: 'http'
  readonly includeDefaultStreams?: boolean
  /** First pause after a failure; it doubles up to a minute. */
  readonly retryDelayMs?: number
  /** Least time between uploads that writes start. */
  readonly crudUploadThrottleMs?: number
}

export const DEFAULT_RETRY_DELAY_MS = 5000
export const DEFAULT_CRUD_UPLOAD_THROTTLE_MS = 1000
