import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeLine, type Line, type SyncRequest, toBucketName, type UnknownLine } from '@headwater/protocol'
import type { GrantedBucket, LoadedPlan, Resolution } from '@headwater/sync-config'
import { createManualClock, type ManualClock } from '@headwater/testkit'
import { expect } from 'vitest'
import type { RevocationWatch } from '../auth/revocations.ts'
import { key, origin } from '../storage/example-data.contract.ts'
import { openSqliteStorage } from '../storage/sqlite/sqlite-storage.ts'
import type { BucketStorage } from '../storage/storage.ts'
import { Alarms } from './alarms.ts'
import { type CheckpointFeed, createCheckpointFeed } from './checkpoint-feed.ts'
import { openSyncStream, type SyncParts } from './session.ts'
import { SharedRounds } from './shared-rounds.ts'
import { Turns } from './turns.ts'

type ServiceOptions = {
  readonly grants?: Readonly<Record<string, number>>
  /** Also buckets `dynamic-…` by the entries of the lookup `members`. */
  readonly dynamic?: boolean
  readonly resolveAfter?: (clock: ManualClock) => Promise<void>
  readonly turns?: SyncParts['turns']
  readonly wrapStorage?: (storage: BucketStorage) => BucketStorage
}

type Connect = {
  readonly expiresInMs?: number
  readonly format?: 'ndjson' | 'bson'
  /** Ends this stream only. */
  readonly signal?: AbortSignal
  readonly revocation?: RevocationWatch
}

/** A storage, and streams from it whose lines are read one chunk after the other. */
export async function startService({
  grants = { lists: 3, todos: 3 },
  dynamic = false,
  resolveAfter = async () => {},
  turns = new Turns(),
  wrapStorage = (storage) => storage,
}: ServiceOptions = {}) {
  const path = await mkdtemp(join(tmpdir(), 'headwater-session-'))
  const log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} }
  const metrics = { add: () => {}, set: () => {}, change: () => {}, observe: () => {} }
  const storage = wrapStorage(await openSqliteStorage({ path, log }))
  await storage.startGeneration(origin())
  const clock = createManualClock()
  const stop = new AbortController()
  const resolve: LoadedPlan['resolve'] = async (_, readLookups) => {
    await resolveAfter(clock)
    const lookupKeys = dynamic ? [key('members')] : []
    const entries = (await readLookups(lookupKeys)).flat().map((outputs) => JSON.parse(outputs) as string[])
    const names = [...Object.entries(grants), ...entries.map(([name]) => [`dynamic-${name}`, 3] as const)]
    return resolutionOf(
      names.map(([name, priority]) => granted(name, priority)),
      lookupKeys,
    )
  }
  const plan = { hash: 'example', tables: [], forTable: () => undefined, resolve }
  const feed: CheckpointFeed = createCheckpointFeed(
    { storage, clock, turns, loadPlan: () => plan, bucketsMax: 1000 },
    stop.signal,
  )
  const parts = {
    storage,
    feed,
    rounds: new SharedRounds(storage),
    alarms: new Alarms(clock),
    clock,
    random: () => 0.5,
    chooseRetryAfterMs: (streams: number) => (streams > 1 ? streams : undefined),
    log,
    metrics,
    noteResolved: () => {},
    turns,
  }

  const open = (
    request: Partial<SyncRequest> = {},
    { expiresInMs = 3_600_000, format = 'ndjson', signal, revocation }: Connect = {},
  ) =>
    openSyncStream(
      parts,
      {
        request: { ...emptyRequest(), ...request },
        user: { userId: 'ann', claims: {}, expiresAtMs: clock.nowMs() + expiresInMs },
        format,
        revocation,
      },
      signal ?? stop.signal,
    )

  return {
    storage,
    open,
    connect: (request: Partial<SyncRequest> = {}, options: Connect = {}) => readerOf(open(request, options)),
    /** Lets time pass until `work` is done. */
    clockUntil: async <T>(work: Promise<T>): Promise<T> => {
      const progress = { isDone: false }
      void work
        .catch(() => {})
        .finally(() => {
          progress.isDone = true
        })
      while (!progress.isDone) {
        await clock.advance(500)
        // The stream may have given others a turn.
        await new Promise(setImmediate)
      }
      return work
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await feed.ended
      await storage[Symbol.asyncDispose]()
      await rm(path, { recursive: true })
    },
  }
}

const LINE_FEED = 0x0a

/** `chunk` reads on until a line ends. */
function readerOf(stream: AsyncIterableIterator<Uint8Array, undefined>) {
  const chunk = async (): Promise<(Line | UnknownLine)[]> => {
    const pieces: Uint8Array[] = []
    do {
      const { value } = await stream.next()
      if (value === undefined) {
        expect(pieces).toEqual([])
        return []
      }
      pieces.push(value)
    } while (pieces.at(-1)?.at(-1) !== LINE_FEED)
    const text = Buffer.concat(pieces).toString()
    return text.trimEnd().split('\n').map(decodeLine)
  }
  const until = async (kind: Line['kind']) => {
    const lines: (Line | UnknownLine)[] = []
    while (!lines.some((line) => line.kind === kind)) lines.push(...(await chunk()))
    return lines
  }
  const bytes = async () => (await stream.next()).value ?? new Uint8Array(0)
  return { chunk, until, bytes }
}

function granted(name: string, priority: number): GrantedBucket {
  return { bucket: toBucketName(name), priority, reasons: [{ kind: 'default', stream: 0 }] }
}

function resolutionOf(buckets: readonly GrantedBucket[], lookupKeys: Resolution['lookupKeys']): Resolution {
  const streams = [{ name: 'all', isDefault: true, errors: [], buckets: buckets.length }]
  return { buckets, streams, bucketsMax: 1000, lookupKeys, exceeded: [] }
}

function emptyRequest(): SyncRequest {
  return {
    buckets: [],
    clientId: undefined,
    parameters: {},
    appMetadata: {},
    rawData: true,
    includeDefaults: true,
    namesStreams: false,
    subscriptions: [],
  }
}
