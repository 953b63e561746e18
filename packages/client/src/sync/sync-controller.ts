import type { JsonObject } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import type { Credentials, SyncOptions, UploadSource } from '../connector.ts'
import type { Logger } from '../logger.ts'
import type { Schema } from '../schema/schema.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import type { ChangeFeed } from '../watch/change-feed.ts'
import { SyncStatus } from './status.ts'
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
  readonly uploadSource: UploadSource
  readonly onStatus: (status: SyncStatus) => void
}

export type BoundConnector = {
  readonly fetchCredentials: () => Promise<Credentials | null>
  readonly uploadData: () => Promise<void>
}

export class SyncController {
  status = new SyncStatus({ connected: false, connecting: false, downloading: false, uploading: false })
  readonly #parts: SyncParts
  constructor(parts: SyncParts) {
    this.#parts = parts
  }
  async connect(_connector: BoundConnector, _options: SyncOptions): Promise<void> {}
  async disconnect(): Promise<void> {}
  async reloadStatus(): Promise<void> {}
  async waitForStatus(_predicate: (status: SyncStatus) => boolean, _signal?: AbortSignal): Promise<void> {}
  stream(name: string, parameters: JsonObject | null): SyncStream {
    void this.#parts
    throw new Error(`${name} ${JSON.stringify(parameters)}`)
  }
}
