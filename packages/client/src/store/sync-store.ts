import type { BucketEntry, BucketName, OpId, StreamEntry } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import type { Schema } from '../schema/schema.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import type { SqliteConnection } from '../sqlite/driver.ts'
import type { BucketProgress, SyncPriorityStatus } from '../sync/status.ts'
import { announceAll, announceChanged, readPositions, readProgress } from './buckets.ts'
import { buildIndex, complete } from './complete.ts'
import type { Completion, CompletionOutcome } from './complete.ts'
import { storeData } from './data.ts'
import type { DataLine, StoredData } from './data.ts'
import { noteStreamsSynced, readSubscriptions, reconcileStreams, renewSubscriptions } from './subscriptions.ts'
import type { InUse, StreamKey, Subscription } from './subscriptions.ts'

export type StoredStatus = {
  readonly priorities: readonly SyncPriorityStatus[]
  readonly subscriptions: readonly Subscription[]
}

export type StoreParts = { readonly sql: SqlDatabase; readonly clock: Clock; readonly readSchema: () => Schema }

/** What the device holds of the service's buckets. Each method is one transaction. */
export class SyncStore {
  readonly #parts: StoreParts

  constructor(parts: StoreParts) {
    this.#parts = parts
  }

  /** Returns what is missing now. */
  announceAll(entries: readonly BucketEntry[], streams: readonly StreamEntry[]): Promise<BucketProgress[]> {
    return this.#write(async (connection) => {
      await announceAll(connection, entries)
      await reconcileStreams(connection, streams)
      return readProgress(connection)
    })
  }

  announceChanged(updated: readonly BucketEntry[], removed: readonly BucketName[]): Promise<BucketProgress[]> {
    return this.#write(async (connection) => {
      await announceChanged(connection, updated, removed)
      return readProgress(connection)
    })
  }

  storeData(lines: readonly DataLine[]): Promise<StoredData> {
    return this.#write((connection) => storeData(connection, lines))
  }

  /** `streams`: those that are complete with it; undefined for all. */
  complete(completion: Completion, streams: readonly StreamKey[] | undefined): Promise<CompletionOutcome> {
    const { clock, readSchema } = this.#parts
    return this.#parts.sql.writeLock((session) =>
      session.transaction(async () => {
        const nowMs = clock.nowMs()
        const outcome = await complete(session.connection, { schema: readSchema(), completion, nowMs })
        if (outcome.kind === 'published') {
          await noteStreamsSynced(session.connection, streams, nowMs)
          session.note(outcome.tables)
        }
        return outcome
      }),
    )
  }

  /** Makes later changes fast; first downloads go without. */
  buildIndex(): Promise<void> {
    return this.#write(buildIndex)
  }

  /** What to ask the service for. Subscriptions in `held` do not run out. */
  prepareRequest(held: readonly StreamKey[]): Promise<{
    readonly buckets: readonly { readonly name: BucketName; readonly after: OpId }[]
    readonly subscriptions: readonly Subscription[]
  }> {
    return this.#write(async (connection) => {
      await renewSubscriptions(connection, { held, released: [] }, this.#parts.clock.nowMs())
      const subscriptions = await readSubscriptions(connection)
      return {
        buckets: await readPositions(connection),
        subscriptions: subscriptions.filter(({ ttlSeconds }) => ttlSeconds !== undefined),
      }
    })
  }

  /** Returns the subscriptions that are left. */
  renew(inUse: InUse): Promise<readonly Subscription[]> {
    return this.#write(async (connection) => {
      await renewSubscriptions(connection, inUse, this.#parts.clock.nowMs())
      const subscriptions = await readSubscriptions(connection)
      return subscriptions.filter(({ ttlSeconds }) => ttlSeconds !== undefined)
    })
  }

  readStatus(): Promise<StoredStatus> {
    return this.#parts.sql.writeLock(async ({ connection }) => {
      const { rows } = await connection.run('SELECT priority, last_synced_at FROM ps_sync_state ORDER BY priority')
      return {
        priorities: rows.map(([priority, microseconds]) => ({
          priority: Number(priority),
          hasSynced: true,
          lastSyncedAt: new Date(Number(microseconds) / 1000),
        })),
        subscriptions: await readSubscriptions(connection),
      }
    })
  }

  nowMs(): number {
    return this.#parts.clock.nowMs()
  }

  write<T>(work: (connection: SqliteConnection) => Promise<T>): Promise<T> {
    return this.#write(work)
  }

  #write<T>(work: (connection: SqliteConnection) => Promise<T>): Promise<T> {
    return this.#parts.sql.writeLock((session) => session.transaction(() => work(session.connection)))
  }
}
