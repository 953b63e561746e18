import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BucketName, toBucketName, toChecksum } from '@headwater/protocol'
import { compileSyncConfig } from '@headwater/sync-config'
import { createManualClock, type ManualClock } from '@headwater/testkit'
import { Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { createRevocations } from './auth/revocations.ts'
import { parseServiceOptions } from './config/options.ts'
import { NO_OPERATOR } from './http/http-server.test-parts.ts'
import { createMetrics } from './observe/metrics.ts'
import { openLines, type RawLine, SECRET, tokenOf } from './protocol.test-parts.ts'
import { startServing } from './serving.ts'
import type { DeltaOperation } from './storage/delta.ts'
import { deltaAt, put, remove } from './storage/example-data.contract.ts'
import { PIN_MS_MAX } from './storage/checkpoint-pins.ts'
import { openSqliteStorage } from './storage/sqlite/sqlite-storage.ts'
import type { BucketStorage } from './storage/storage.ts'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  photos:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM photos
  tasks:
    auto_subscribe: true
    priority: 3
    query: SELECT * FROM tasks
`

/** More than a socket that nobody reads takes up, and few enough operations that no newer checkpoint interrupts. */
const PHOTOS = 900
const PHOTO_BYTES = 20_000

test.each([
  {
    stage: 'MOVEs',
    // A row that nothing supersedes stands before them.
    first: [{ id: 't0', checksum: 7 }],
    left: [
      ['901', 'PUT', 7],
      ['902', 'MOVE', 1400086169],
      ['903', 'MOVE', 1918513038],
      ['904', 'MOVE', 1700094079],
      ['905', 'REMOVE', 3964038316],
    ],
  },
  { stage: 'a CLEAR', first: [], left: [['904', 'CLEAR', 392797010]] },
])(
  '[protocol 49] a checkpoint is not completed when a row of it went into $stage, and a newer one follows',
  async (given) => {
    const { first, left } = given
    const service = await startService()
    const { storage, photos, tasks, history } = service
    const more = first.map(({ id, checksum }) => put(tasks, id, checksum))
    await storage.append(deltaAt(10, { operations: [...photos, ...more, ...history.slice(0, 4)] }))
    await using stream = await openLines(service.url, tokenOf('ann'), { raw_data: true })
    const [announced] = await stream.until('checkpoint')
    const extra = first.reduce((sum, { checksum }) => sum + checksum, 0)
    expect(entryOf(announced?.json.checkpoint.buckets, tasks)).toMatchObject({ checksum: 392797010 + extra })

    await storage.append(deltaAt(20, { operations: history.slice(4) }))
    await service.compactPastPins()
    const lines = await stream.until('checkpoint_complete')

    const from = lines.findIndex(({ json }) => json.data?.bucket === tasks)
    expect(lines.slice(0, from).every(({ kind }) => kind === 'data' || kind === 'partial_checkpoint_complete')).toBe(
      true,
    )
    expect(lines.slice(from).map(({ kind }) => kind)).toEqual([
      'data',
      'checkpoint_diff',
      'data',
      'checkpoint_complete',
    ])
    expect(describeOps(lines[from])).toEqual(left)
    const { updated_buckets } = lines[from + 1]?.json.checkpoint_diff ?? {}
    expect(updated_buckets).toMatchObject([{ bucket: tasks, checksum: -245227469 + extra }])
    expect(describeOps(lines[from + 2]).map(([, op, checksum]) => [op, checksum])).toEqual([
      ['PUT', 1123480163],
      ['PUT', 2533462654],
    ])
  },
)

test('[protocol 49, 62] a checkpoint of which everything went into a later CLEAR is left for the one that has the CLEAR', async () => {
  const service = await startService()
  const { storage, photos, tasks, history } = service
  await storage.append(deltaAt(10, { operations: [...photos, ...history.slice(0, 2)] }))
  await using stream = await openLines(service.url, tokenOf('ann'), { raw_data: true })
  await stream.until('checkpoint')

  await storage.append(deltaAt(20, { operations: history.slice(2) }))
  await service.compactPastPins()
  const lines = await stream.until('checkpoint_complete')

  const from = lines.findIndex(({ kind }) => kind === 'checkpoint_diff')
  expect(lines.slice(0, from).some(({ json }) => json.data?.bucket === tasks)).toBe(false)
  expect(lines[from]?.json.checkpoint_diff).toMatchObject({
    last_op_id: '906',
    updated_buckets: [{ bucket: tasks, checksum: -245227469, count: 3 }],
  })
  expect(lines.slice(from).map(({ kind }) => kind)).toEqual(['checkpoint_diff', 'data', 'checkpoint_complete'])
  expect(describeOps(lines[from + 1])).toEqual([
    ['904', 'CLEAR', 392797010],
    ['905', 'PUT', 1123480163],
    ['906', 'PUT', 2533462654],
  ])
})

test('[protocol 63] while a client is being brought to a checkpoint, nothing above it is compacted', async () => {
  const service = await startService()
  const { storage, photos, tasks, history } = service
  await storage.append(deltaAt(10, { operations: [...photos, ...history.slice(0, 4)] }))
  await using stream = await openLines(service.url, tokenOf('ann'), { raw_data: true })
  await stream.until('checkpoint')

  await storage.append(deltaAt(20, { operations: history.slice(4) }))
  await storage.compact()
  const lines = await stream.until('checkpoint_complete')
  expect(lines.at(-1)?.json).toEqual({ checkpoint_complete: { last_op_id: '904' } })
  expect(describeOps(lines.at(-2))).toEqual([
    ['901', 'PUT', 1400086169],
    ['902', 'PUT', 1918513038],
    ['903', 'PUT', 1700094079],
    ['904', 'REMOVE', 3964038316],
  ])
  const newer = await stream.until('checkpoint_complete')
  expect(newer.map(({ kind }) => kind)).toEqual(['checkpoint_diff', 'data', 'checkpoint_complete'])
  expect(entryOf(newer[0]?.json.checkpoint_diff.updated_buckets, tasks)).toMatchObject({ checksum: -245227469 })
})

type Served = {
  readonly url: string
  readonly storage: BucketStorage
  readonly tasks: BucketName
  readonly photos: readonly DeltaOperation[]
  /** Six operations of the tasks, of which compaction leaves a CLEAR and two rows. */
  readonly history: readonly DeltaOperation[]
  /** Compacts when whoever is being served has been for too long. */
  readonly compactPastPins: () => Promise<void>
}

/** What serves clients, over storage that the test writes itself. */
async function startService(): Promise<Served> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-compaction-'))
  onTestFinished(() => rm(path, { recursive: true }))
  const clock: ManualClock = createManualClock()
  const log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} }
  const storage = await openSqliteStorage({ path, log, monotonicMs: clock.monotonicMs })
  onTestFinished(() => storage[Symbol.asyncDispose]())
  const compiled = compileSyncConfig(SYNC_CONFIG)
  if (compiled.kind === 'refused') throw new Error('The sync config of the test is wrong')
  await storage.startGeneration({ systemId: '1', slot: 'headwater', plan: compiled.plan })
  await storage.append(deltaAt(1, {}))

  const metrics = createMetrics(new Registry())
  const notAsked = async (): Promise<never> => {
    throw new Error('nobody should ask for this')
  }
  const serving = startServing({
    settings: parseServiceOptions({
      source: { url: 'postgresql://localhost/none' },
      syncConfig: { content: SYNC_CONFIG },
      http: { port: 0 },
      auth: { secret: SECRET, audience: ['tests'] },
    }),
    storage,
    revocations: createRevocations({
      stored: [],
      store: async () => {},
      lifetimeMaxSeconds: 3_600,
      log,
      metrics,
      nowMs: Date.now,
    }),
    log,
    metrics,
    replicating: {
      requestWriteCheckpoint: notAsked,
      requestCheckpointNumber: notAsked,
      readHealth: async () => ({ started: true, ready: true, touchedAtMs: Date.now(), problem: undefined }),
      readMetrics: notAsked,
      operator: NO_OPERATOR,
      takePlaceAmongAll: () => ({ granted: Promise.resolve(), giveBack: () => {} }),
    },
  })
  onTestFinished(() => serving.stop())
  const { url } = await serving.listen()
  const [photos, tasks] = await readBuckets(url)
  return {
    url,
    storage,
    tasks,
    photos: Array.from({ length: PHOTOS }, (_, n) => ({
      ...put(photos, `P${n}`, n),
      data: JSON.stringify({ id: `P${n}`, body: 'x'.repeat(PHOTO_BYTES) }),
    })),
    history: [
      put(tasks, 't1', 1400086169),
      put(tasks, 't2', 1918513038),
      put(tasks, 't1', 1700094079),
      { ...remove(tasks, 't2'), checksum: toChecksum(3964038316) },
      put(tasks, 't3', 1123480163),
      put(tasks, 't1', 2533462654),
    ],
    compactPastPins: async () => {
      await clock.advance(PIN_MS_MAX + 1)
      await storage.compact()
    },
  }
}

/** The buckets that anybody gets, by priority. */
async function readBuckets(url: string): Promise<readonly [BucketName, BucketName]> {
  await using stream = await openLines(url, tokenOf('ann'), {})
  const [line] = await stream.until('checkpoint_complete')
  const names = new Map<number, string>(
    line?.json.checkpoint.buckets.map(({ bucket, priority }: { bucket: string; priority: number }) => [
      priority,
      bucket,
    ]),
  )
  return [toBucketName(names.get(1) ?? ''), toBucketName(names.get(3) ?? '')]
}

function entryOf(entries: readonly { readonly bucket: string }[], name: BucketName): unknown {
  return entries.find(({ bucket }) => bucket === name)
}

type WireOperation = { readonly op_id: string; readonly op: string; readonly checksum: number }

function describeOps(line: RawLine | undefined): readonly (readonly [string, string, number])[] {
  const operations: readonly WireOperation[] = line?.json.data.data ?? []
  return operations.map(({ op_id, op, checksum }) => [op_id, op, checksum])
}
