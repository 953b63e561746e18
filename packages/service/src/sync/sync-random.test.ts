import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeLine, type SyncRequest, toBucketName, toChecksum } from '@headwater/protocol'
import type { GrantedBucket, LoadedPlan } from '@headwater/sync-config'
import {
  applyRawLine,
  emptyRawStore,
  type Random,
  type RawStore,
  readRawRows,
  readSeeds,
  seededRandom,
} from '@headwater/testkit'
import { expect, test } from 'vitest'
import { PIN_MS_MAX } from '../storage/checkpoint-pins.ts'
import type { DefragmentationLimits } from '../storage/defragment.ts'
import type { DeltaOperation, LookupChange } from '../storage/delta.ts'
import { EAGER, NEVER } from '../storage/sqlite/random-deltas.contract.ts'
import { openSqliteStorage } from '../storage/sqlite/sqlite-storage.ts'
import { deltaAt, key, lookup, lookupChange, origin, put, remove, slice } from '../storage/example-data.contract.ts'
import type { BucketStorage } from '../storage/storage.ts'
import { createCheckpointFeed } from './checkpoint-feed.ts'
import { systemClock } from '../clock.ts'
import { Alarms } from './alarms.ts'
import { openSyncStream, type SyncParts } from './session.ts'
import { shortTurns } from './turns.test-parts.ts'
import { Turns } from './turns.ts'
import { SharedRounds } from './shared-rounds.ts'

const LISTS = 12
const CLIENTS = 4
const STEPS = 120

test(
  'clients that come and go, while buckets are compacted and defragmented, always end with the rows of the buckets they have',
  { timeout: 60_000 },
  async () => {
    for (const seed of readSeeds(process.env, 3)) {
      await runScenario(seed, new Turns(), NEVER)
      await runScenario(seed, new Turns(), EAGER)
      await runScenario(seed, shortTurns, EAGER)
    }
  },
)

/** Rows move between lists, users join and leave lists; what each list and user holds is kept beside. */
type Model = {
  readonly rows: Map<string, { readonly list: string; readonly data: string }>
  readonly members: Map<string, Set<string>>
}

async function runScenario(
  seed: number,
  turns: SyncParts['turns'],
  defragmentation: DefragmentationLimits,
): Promise<void> {
  const random = seededRandom(seed)
  const path = await mkdtemp(join(tmpdir(), 'headwater-sync-random-'))
  const log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} }
  const metrics = { add: () => {}, set: () => {}, change: () => {}, observe: () => {} }
  let nowMs = 0
  let pins = 0
  const opened = await openSqliteStorage({ path, log, defragmentation, monotonicMs: () => nowMs })
  const storage: BucketStorage = {
    ...opened,
    pinCheckpoint: (checkpoint) => {
      const pin = opened.pinCheckpoint(checkpoint)
      pins += 1
      return {
        [Symbol.dispose]: () => {
          pin[Symbol.dispose]()
          pins -= 1
        },
      }
    },
  }
  await storage.startGeneration(origin())
  const stop = new AbortController()
  const feed = createCheckpointFeed(
    { storage, clock: systemClock, turns, loadPlan: () => memberPlan(), bucketsMax: 1000 },
    stop.signal,
  )
  const parts: SyncParts = {
    storage,
    feed,
    rounds: new SharedRounds(storage),
    alarms: new Alarms(systemClock),
    clock: systemClock,
    chooseRetryAfterMs: () => undefined,
    random: Math.random,
    log,
    metrics,
    noteResolved: () => {},
    turns,
  }
  const model: Model = { rows: new Map(), members: new Map() }
  await storage.append(deltaAt(1, {}))

  const finished = new AbortController()
  const clients = Array.from({ length: CLIENTS }, (_, n) =>
    runClient(parts, `user${n}`, random.fork(), finished.signal),
  )
  for (let step = 2; step < STEPS; step++) {
    const slices = random.chance(0.1) ? random.between(1, 2) : 0
    for (let n = 0; n < slices; n++) await storage.append(slice(randomChange(random, model)))
    await storage.append(deltaAt(step, { ...randomChange(random, model), show: random.chance(0.9) }))
    await new Promise(setImmediate)
    // Whoever is being brought to a checkpoint now has taken too long.
    if (random.chance(0.2)) nowMs += PIN_MS_MAX + 1
    if (step === STEPS / 2 || random.chance(0.06)) await storage.compact()
  }
  await storage.append(deltaAt(STEPS, {}))
  const { moved, reappended } = (await storage.readStatus()).compaction
  expect(moved, `seed ${seed}`).toBeGreaterThan(0)
  expect(reappended > 0, `seed ${seed}`).toBe(defragmentation === EAGER)
  finished.abort()

  for (const [n, client] of clients.entries()) {
    const store = await client
    expect(readRawRows(store).get('todos') ?? new Map(), `seed ${seed}, user${n}`).toEqual(
      expectedRows(model, `user${n}`),
    )
  }
  expect(pins, `seed ${seed}`).toBe(0)
  stop.abort()
  await feed.ended
  await storage[Symbol.asyncDispose]()
  await rm(path, { recursive: true })
}

/** Connects again and again, hanging up at random, until the writing has finished; then once more, to the end. */
async function runClient(parts: SyncParts, userId: string, random: Random, finished: AbortSignal): Promise<RawStore> {
  const store = emptyRawStore()
  while (!finished.aborted) await follow(parts, userId, store, random.between(1, 12))
  await follow(parts, userId, store, undefined)
  return store
}

/** Reads so many chunks; without a number, until a checkpoint is complete. */
async function follow(parts: SyncParts, userId: string, store: RawStore, chunksMax: number | undefined): Promise<void> {
  const stop = new AbortController()
  const buckets = [...store.buckets].map(([name, { after }]) => ({ name, after }))
  const user = { userId, claims: { sub: userId }, expiresAtMs: Date.now() + 3_600_000 }
  const request: SyncRequest = {
    buckets,
    clientId: undefined,
    parameters: {},
    appMetadata: {},
    rawData: true,
    includeDefaults: true,
    namesStreams: false,
    subscriptions: [],
  }
  const deadline = chunksMax === undefined ? undefined : setTimeout(() => stop.abort(), 50)
  let chunks = 0
  const pieces: Uint8Array[] = []
  for await (const bytes of openSyncStream(parts, { request, user, format: 'ndjson' }, stop.signal)) {
    pieces.push(bytes)
    if (bytes.at(-1) !== LINE_FEED) continue
    const lines = Buffer.concat(pieces.splice(0)).toString().trimEnd().split('\n').map(decodeLine)
    const isComplete = lines.map((line) => applyRawLine(store, line)).some(Boolean)
    chunks += 1
    if (chunksMax === undefined ? isComplete : chunks >= chunksMax) break
  }
  clearTimeout(deadline)
}

const LINE_FEED = 0x0a

/** A user has a bucket for each list that the lookup `members` names for it. */
function memberPlan(): LoadedPlan {
  const resolve: LoadedPlan['resolve'] = async ({ claims }, readLookups, turn) => {
    const lookupKey = key(`members of ${JSON.stringify(claims['sub'])}`)
    const [entries = []] = await readLookups([lookupKey])
    const lists = entries.map((outputs) => String((JSON.parse(outputs) as unknown[])[0]))
    if (turn?.isOver === true) await turn.next()
    const buckets = lists.map((list): GrantedBucket => ({
      bucket: toBucketName(list),
      priority: Number(list.slice(4)) % 3,
      reasons: [{ kind: 'default', stream: 0 }],
    }))
    const streams = [{ name: 'lists', isDefault: true, errors: [], buckets: buckets.length }]
    return { buckets, streams, bucketsMax: 1000, lookupKeys: [lookupKey], exceeded: [] }
  }
  return { hash: 'members', tables: [], forTable: () => undefined, resolve }
}

function randomChange(random: Random, model: Model): { operations: DeltaOperation[]; lookups: LookupChange[] } {
  const operations: DeltaOperation[] = []
  const lookups: LookupChange[] = []
  const changes = random.chance(0.05) ? 1500 : random.integer(8)
  for (let n = 0; n < changes; n++) operations.push(...changeRow(random, model))
  if (random.chance(0.3)) lookups.push(...changeMember(random, model))
  return { operations, lookups }
}

function changeRow(random: Random, { rows }: Model): DeltaOperation[] {
  const id = String(random.integer(3000))
  const before = rows.get(id)
  const operations: DeltaOperation[] = []
  const list = `list${random.integer(LISTS)}`
  const isGone = random.chance(0.2)
  if (before !== undefined && (isGone || before.list !== list)) {
    operations.push({ ...remove(before.list, id), checksum: toChecksum(random.integer(2 ** 32)) })
  }
  if (isGone) {
    rows.delete(id)
    return operations
  }
  const data = JSON.stringify({ id, text: random.text(random.integer(200)) })
  rows.set(id, { list, data })
  return [...operations, { ...put(list, id, random.integer(2 ** 32)), data }]
}

function changeMember(random: Random, { members }: Model): LookupChange[] {
  const user = `user${random.integer(CLIENTS)}`
  const list = `list${random.integer(LISTS)}`
  const lists = members.get(user) ?? new Set()
  members.set(user, lists)
  const entry = [lookup(`members of ${JSON.stringify(user)}`, JSON.stringify([list]))]
  if (lists.delete(list)) return [lookupChange(`${user} ${list}`, entry, [])]
  lists.add(list)
  return [lookupChange(`${user} ${list}`, [], entry)]
}

function expectedRows({ rows, members }: Model, user: string): Map<string, string> {
  const lists: ReadonlySet<string> = members.get(user) ?? new Set()
  return new Map([...rows].filter(([, { list }]) => lists.has(list)).map(([id, { data }]) => [id, data]))
}
