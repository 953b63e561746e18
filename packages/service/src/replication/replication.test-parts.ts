import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { JsonObject } from '@headwater/protocol'
import { OP_ID_ZERO } from '@headwater/protocol'
import { compileSyncConfig, describeCheckpointEvents, loadPlan, type Plan } from '@headwater/sync-config'
import type { TestDatabase } from '@headwater/testkit'
import type { Log } from '../observe/log.ts'
import { readLookups } from '../storage/read-lookups.ts'
import { createCheckpointFeed } from '../sync/checkpoint-feed.ts'
import { Turns } from '../sync/turns.ts'
import { openSqliteStorage } from '../storage/sqlite/sqlite-storage.ts'
import type { BucketStorage } from '../storage/storage.ts'
import { type Clock, systemClock } from '../clock.ts'
import { type Replicator, type ReplicatorParts, startReplicator } from './replicator.ts'

/** A replicator over real Postgres and real storage, as a test drives it. */
export type ReplicationUnderTest = AsyncDisposable & {
  readonly storage: BucketStorage
  readonly storagePath: string
  readonly events: readonly LogEvent[]
  readonly replicator: () => Replicator
  /** Returns when everything committed before the call can be seen by clients. */
  readonly settle: () => Promise<void>
  /** What a device of the user holds: `type/id` to data. */
  readonly rows: (claims?: JsonObject) => Promise<ReadonlyMap<string, JsonObject>>
  /** Data as it goes over the wire, by id. */
  readonly data: () => Promise<ReadonlyMap<string, string>>
  readonly countOperations: () => Promise<number>
  readonly stop: () => Promise<void>
  readonly restart: (changes?: Partial<Options>) => Promise<void>
  readonly hasEvent: (event: string) => boolean
  readonly waitForEvent: (event: string) => Promise<LogEvent>
}

export type LogEvent = { readonly event: string; readonly fields: unknown }

type Options = {
  readonly config: string
  readonly pollMs: number
  readonly queryTimeoutMs: number
  readonly clock: Clock
  readonly wrapStorage: (storage: BucketStorage) => ReplicatorParts['storage']
  readonly url: string
  readonly slot: string
  readonly instance: string
}

export const EVERYTHING = 'config:\n  edition: 3\nstreams:\n  all:\n    auto_subscribe: true\n    query: '

export function compilePlan(config: string): Plan {
  const result = compileSyncConfig(config)
  if (result.kind === 'refused') throw new Error(result.diagnostics.map(({ message }) => message).join('\n'))
  return result.plan
}

export const realClock: Clock = {
  nowMs: () => Date.now(),
  wait: (delayMs, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    }),
}

export async function startReplication(
  database: Pick<TestDatabase, 'url' | 'name'>,
  options: Partial<Options> & Pick<Options, 'config'>,
): Promise<ReplicationUnderTest> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-replication-'))
  const events: LogEvent[] = []
  const listeners = new Set<() => void>()
  const note = (event: string, fields?: unknown): void => {
    events.push({ event, fields })
    for (const listener of listeners) listener()
  }
  const log: Log = { error: note, warn: note, info: note, debug: note }
  let storage = await openSqliteStorage({ path, log })
  let settings: Options = {
    pollMs: 200,
    queryTimeoutMs: 30_000,
    clock: realClock,
    wrapStorage: (plain) => plain,
    url: database.url,
    slot: `slot_${database.name}`,
    instance: 'first',
    ...options,
  }
  let running = start()

  function start(): { readonly replicator: Replicator; readonly stop: AbortController; readonly plan: Plan } {
    const stop = new AbortController()
    const plan = compilePlan(settings.config)
    const replicator = startReplicator(
      {
        source: { url: settings.url, publication: 'headwater', slot: settings.slot, instance: settings.instance },
        storage: settings.wrapStorage(storage),
        plan,
        load: (generation) => loadPlan(plan, { generation, bucketsMax: 1_000 }),
        log,
        metrics: { add: () => {}, set: () => {}, change: () => {}, observe: () => {} },
        clock: settings.clock,
        random: () => 0,
        pollMs: settings.pollMs,
        queryTimeoutMs: settings.queryTimeoutMs,
        canaryMs: 5_000,
        untilShown: createCheckpointFeed(
          { storage, clock: systemClock, turns: new Turns(), loadPlan, bucketsMax: 1_000 },
          stop.signal,
        ).untilShown,
      },
      stop.signal,
    )
    replicator.ended.catch(() => undefined)
    return { replicator, stop, plan }
  }

  const stop = async (): Promise<void> => {
    running.stop.abort()
    await running.replicator.ended.catch(() => undefined)
  }

  const waitFor = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      const { promise, resolve } = Promise.withResolvers<void>()
      listeners.add(resolve)
      await promise
      listeners.delete(resolve)
    }
  }

  const isRunning = (): true | undefined =>
    running.replicator.readStatus().phase.kind === 'running' ? true : undefined

  /** Where the app's backend makes write checkpoints, clients do not see this one, and it counts when it is stored. */
  const readShown = async (): Promise<bigint> => {
    const isSeen = describeCheckpointEvents(running.plan) === undefined
    const number = isSeen
      ? await storage.readWriteCheckpoint('settle')
      : (await storage.readStoredWriteCheckpoint('settle')).own
    return (await storage.readHead()) === undefined ? 0n : (number ?? 0n)
  }

  const settle = async (): Promise<void> => {
    const until = new AbortController()
    const commits = storage.watchCommits(until.signal)[Symbol.asyncIterator]()
    try {
      let number: bigint | undefined
      while (number === undefined) {
        await waitFor(isRunning)
        number = await running.replicator.requestWriteCheckpoint('settle').catch(() => undefined)
        // A connection that is lost refuses at once, and is closed by what runs beside this loop.
        await setImmediate()
      }
      for (;;) {
        if ((await readShown()) >= number) return
        await commits.next()
      }
    } finally {
      until.abort()
    }
  }

  const fold = async (claims: JsonObject): Promise<ReadonlyMap<string, string>> => {
    const head = await storage.readHead()
    if (head === undefined) return new Map()
    const { opId } = head.checkpoint
    const plan = loadPlan(running.plan, { generation: head.generation, bucketsMax: 1_000 })
    const { buckets } = await plan.resolve(
      { claims, parameters: {}, includeDefaults: true, subscriptions: [] },
      async (keys) => (await readLookups(storage, { keys, upTo: opId }, new Turns().begin('fold'))) ?? [],
    )
    const rows = new Map<string, Map<string, string>>()
    for (const { bucket } of buckets) {
      let after = OP_ID_ZERO
      for (;;) {
        const read = await storage.readBucket({
          bucket,
          after,
          upTo: opId,
          format: 'ndjson',
          bytesMax: 1_000_000,
          operationsMax: 10_000,
        })
        for (const operation of JSON.parse(`[${Buffer.concat(read.body).toString()}]`) as readonly WireOperation[]) {
          const name = `${operation.object_type}/${operation.object_id}`
          const bySubkey = rows.get(name) ?? new Map<string, string>()
          rows.set(name, bySubkey)
          if (operation.op === 'PUT') bySubkey.set(bucket + operation.subkey, operation.data)
          else bySubkey.delete(bucket + operation.subkey)
        }
        after = read.nextAfter
        if (!read.hasMore) break
      }
    }
    const present = [...rows].flatMap(([name, bySubkey]) =>
      [...bySubkey.values()].slice(-1).map((data) => [name, data] as const),
    )
    return new Map(present)
  }

  return {
    get storage() {
      return storage
    },
    storagePath: path,
    events,
    replicator: () => running.replicator,
    settle,
    rows: async (claims = { sub: 'ann' }) =>
      new Map([...(await fold(claims))].map(([name, data]) => [name, JSON.parse(data) as JsonObject])),
    data: () => fold({ sub: 'ann' }),
    countOperations: async () => (await storage.readStatus()).operations,
    stop,
    restart: async (changes = {}) => {
      await stop()
      await storage[Symbol.asyncDispose]()
      settings = { ...settings, ...changes }
      storage = await openSqliteStorage({ path, log })
      running = start()
    },
    hasEvent: (event) => events.some((one) => one.event === event),
    waitForEvent: (event) => {
      const seen = events.length
      return waitFor(() => events.slice(seen).find((one) => one.event === event))
    },
    [Symbol.asyncDispose]: async () => {
      try {
        await stop()
        await storage[Symbol.asyncDispose]()
      } finally {
        await rm(path, { recursive: true, force: true })
      }
    },
  }
}

type WireOperation = {
  readonly op: string
  readonly object_type: string
  readonly object_id: string
  readonly subkey: string
  readonly data: string
}
