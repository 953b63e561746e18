import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'
import type { Schema } from './schema/schema.ts'
import type { SqliteDriver } from './sqlite/driver.ts'
import type { SyncStatus } from './sync/status.ts'

/** What the core is given by a platform. Apps use the class of their platform, which takes a file name instead. */
export type DatabaseParts<S extends Schema = Schema> = {
  readonly schema: S
  readonly driver: SqliteDriver
  readonly logger?: Logger | undefined
  readonly fetch?: typeof fetch | undefined
  readonly clock?: Clock | undefined
  /** 0 … 1, for the spread of retries. */
  readonly random?: (() => number) | undefined
  /** Sent as `x-user-agent`. */
  readonly userAgent?: string | undefined
  /** Tells of moments when a retry is worth while at once (the network is back, the page is shown). */
  readonly listenForWakeUps?: ((wake: () => void) => () => void) | undefined
}

/** What apps of every platform say. */
export type HeadwaterDatabaseOptions<S extends Schema = Schema> = Omit<DatabaseParts<S>, 'driver'>

export type DatabaseListener = {
  readonly initialized?: () => void
  readonly schemaChanged?: (schema: Schema) => void
  readonly statusChanged?: (status: SyncStatus) => void
  readonly closing?: () => void
  readonly closed?: () => void
}

export type DisconnectAndClearOptions = {
  /** Local-only tables too; default true. */
  readonly clearLocal?: boolean
  /** Keeps what was downloaded, so that the same user need not download it again. */
  readonly soft?: boolean
}

/** `disconnect` is accepted for the sake of apps that pass it: syncing always ends, since nobody else could go on with it. */
export type CloseOptions = { readonly disconnect?: boolean }

export type WaitForFirstSyncOptions = { readonly signal?: AbortSignal; readonly priority?: number }
