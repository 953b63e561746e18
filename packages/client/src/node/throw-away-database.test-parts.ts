import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { Clock } from '../clock.ts'
import type { BackendConnector, SyncOptions } from '../connector.ts'
import type { Logger, LogRecord } from '../logger.ts'
import type { Schema } from '../schema/schema.ts'
import { ScriptedService } from '../sync/scripted-service.test-parts.ts'
import { HeadwaterDatabase } from './index.ts'

/** A database for one test: real SQLite in a directory that goes with it, and a service that speaks by hand. */
export type ThrowAway = {
  readonly db: HeadwaterDatabase
  readonly service: ScriptedService
  readonly logs: LogRecord[]
  readonly directory: string
  readonly connector: BackendConnector
  /** Connects with pauses of a few milliseconds. */
  readonly connect: (options?: SyncOptions, connector?: Partial<BackendConnector>) => Promise<void>
  /** Closes the database and opens the same file again. */
  readonly reopen: (schema?: Schema) => Promise<ThrowAway>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export type ThrowAwayOptions = {
  readonly directory?: string
  readonly clock?: Clock
  /** Fixed, so that pauses are exactly as long as the rule says; 0.5 is the middle of their spread. */
  readonly random?: () => number
  readonly logger?: Logger
  readonly listenForWakeUps?: (wake: () => void) => () => void
}

export async function openThrowAway(schema: Schema, options: ThrowAwayOptions = {}): Promise<ThrowAway> {
  const { directory, ...parts } = options
  const path = directory ?? mkdtempSync(join(tmpdir(), 'headwater-client-'))
  const service = new ScriptedService()
  const logs: LogRecord[] = []
  const db = new HeadwaterDatabase({
    schema,
    database: { dbFilename: 'app.db', dbLocation: path },
    fetch: service.fetch,
    logger: { log: (record) => logs.push(record) },
    ...parts,
  })
  await db.init()
  const connector: BackendConnector = {
    fetchCredentials: () => Promise.resolve({ endpoint: 'http://service.test', token: 'token-1' }),
    uploadData: async (database) => {
      const transaction = await database.getNextCrudTransaction()
      await transaction?.complete()
    },
  }
  return {
    db,
    service,
    logs,
    directory: path,
    connector,
    connect: (options = {}, overrides = {}) =>
      db.connect({ ...connector, ...overrides }, { retryDelayMs: 5, crudUploadThrottleMs: 0, ...options }),
    reopen: async (newSchema = schema) => {
      await db.close()
      return openThrowAway(newSchema, { ...options, directory: path })
    },
    [Symbol.asyncDispose]: async () => {
      await db.close()
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/** Patient enough for a machine with other things to do. */
const PATIENCE = { timeout: 10_000, interval: 5 }

export function until(condition: () => boolean | Promise<boolean>): Promise<unknown> {
  return vi.waitUntil(condition, PATIENCE)
}

/** Repeats an assertion until it holds. */
export function eventually(assertion: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(assertion, PATIENCE)
}
