import {
  type BucketName,
  OP_ID_ZERO,
  type OperationFormat,
  type OpId,
  toBucketName,
  toChecksum,
  toOpId,
} from '@headwater/protocol'
import type { LookupKey, LookupOutputs, Plan } from '@headwater/sync-config'
import { expect } from 'vitest'
import { shortTurn } from '../sync/turns.test-parts.ts'
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import type { Delta, DeltaOperation, LookupChange, RowKey, RowState, StoredLookup } from './delta.ts'
import { readLookups } from './read-lookups.ts'
import type { BucketStorage, Commit, EncodedOperations, GenerationOrigin } from './storage.ts'

/** A storage that a test may close and open again, as a process does that is started again. */
export type StorageUnderTest = AsyncDisposable & {
  readonly storage: BucketStorage
  readonly reopen: () => Promise<BucketStorage>
}

export type OpenStorage = () => Promise<StorageUnderTest>

/** An empty storage with a generation. */
export async function begin(open: OpenStorage): Promise<StorageUnderTest> {
  const opened = await open()
  await opened.storage.startGeneration(origin())
  return opened
}

export function origin(): GenerationOrigin {
  return { systemId: '7001', slot: 'headwater', plan: examplePlan() }
}

export function examplePlan(): Plan {
  return { version: 1, hash: 'example', tables: [], body: {} }
}

/** Entries under keys, in order. */
export async function lookupsAt(storage: BucketStorage, keys: readonly string[], upTo: OpId) {
  const found = await readLookups(storage, { keys: keys.map(key), upTo }, shortTurn())
  return found?.map((entries) => entries.toSorted())
}

export function deltaAt(resume: number, parts: Partial<Delta>): Delta {
  return {
    operations: [],
    lookups: [],
    rowStates: [],
    writeCheckpoints: [],
    customWriteCheckpoints: [],
    copies: [],
    rowErrors: [],
    show: true,
    soleSources: SOLE_SOURCES,
    ...parts,
    resume: lsn(resume),
  }
}

/** Of the rows of `put` and `remove`. */
const SOLE_SOURCES: ReadonlySet<string> = new Set(['5:'])

export function slice(parts: Partial<Delta>): Delta {
  return { ...deltaAt(0, { show: false, ...parts }), resume: undefined }
}

export function put(
  name: string,
  id: string,
  checksum = 1_000_000_007 + id.length,
): DeltaOperation & { readonly kind: 'put' } {
  return {
    kind: 'put',
    bucket: bucket(name),
    row: rowKey(id),
    type: 'todos',
    id,
    subkey: rowKey(id),
    data: JSON.stringify({ id, title: `Title of ${id}` }),
    checksum: toChecksum(checksum),
  }
}

export function remove(name: string, id: string): DeltaOperation {
  return {
    kind: 'remove',
    bucket: bucket(name),
    row: rowKey(id),
    type: 'todos',
    id,
    subkey: rowKey(id),
    checksum: toChecksum(3_333_333_333),
  }
}

export function lookupChange(
  row: string,
  before: readonly StoredLookup[],
  after: readonly StoredLookup[],
): LookupChange {
  return { row: rowKey(row), before, after }
}

export function lookup(name: string, outputs: string): StoredLookup {
  return { key: key(name), outputs: outputs as LookupOutputs }
}

export function key(name: string): LookupKey {
  return name as LookupKey
}

export function bucket(name: string): BucketName {
  return toBucketName(name)
}

export function lsn(value: number): Lsn {
  return toLsn(BigInt(value))
}

export function opId(value: number): OpId {
  return toOpId(BigInt(value))
}

export function rowKey(id: string): RowKey {
  return `5:${id}` as RowKey
}

export function stateIn(name: string, id: string): RowState {
  return {
    memberships: [{ bucket: bucket(name), type: 'todos', id, dataHash: '00ff1a2b3c4d5e6f' }],
    lookups: [],
    toasted: {},
  }
}

export function shownOp(commit: Commit): OpId {
  return commit.checkpoint?.opId ?? OP_ID_ZERO
}

type WireOperation = {
  readonly op_id: string
  readonly op: string
  readonly checksum: number
  readonly object_id?: string
  readonly data: unknown
}

export function readOf(
  name: string,
  limits: { after?: number; upTo?: number; operationsMax?: number; bytesMax?: number } = {},
) {
  const { after = 0, upTo = 1_000_000, operationsMax = 1000, bytesMax = 1_048_576 } = limits
  return {
    bucket: bucket(name),
    after: opId(after),
    upTo: opId(upTo),
    format: 'ndjson',
    operationsMax,
    bytesMax,
  } as const
}

export async function* readPages(
  storage: BucketStorage,
  name: string,
  format: OperationFormat,
): AsyncGenerator<EncodedOperations> {
  let after = OP_ID_ZERO
  for (let hasMore = true; hasMore;) {
    const page = await storage.readBucket({ ...readOf(name), after, format })
    after = page.nextAfter
    hasMore = page.hasMore
    yield page
  }
}

export async function readAll(
  storage: BucketStorage,
  name: string,
  format: 'ndjson' | 'ndjson-nested' = 'ndjson',
): Promise<WireOperation[]> {
  const operations: WireOperation[] = []
  for await (const page of readPages(storage, name, format)) {
    const some = JSON.parse(`[${Buffer.concat(page.body).toString()}]`) as WireOperation[]
    expect(some.length).toBe(page.count)
    operations.push(...some)
  }
  return operations
}

export async function idsIn(storage: BucketStorage, name: string): Promise<readonly (string | undefined)[]> {
  return (await readAll(storage, name)).map(({ object_id }) => object_id)
}

export async function readEverything(storage: BucketStorage): Promise<unknown> {
  const head = await storage.readHead()
  const upTo = head?.checkpoint.opId ?? OP_ID_ZERO
  return {
    head,
    resume: await storage.readResume(),
    sums: await storage.readSums([bucket('a'), bucket('b'), bucket('c'), bucket('new')], upTo),
    operations: [
      await readVisible(storage, 'a', upTo),
      await readVisible(storage, 'b', upTo),
      await readVisible(storage, 'c', upTo),
    ],
    lookups: await lookupsAt(storage, ['k'], upTo),
    rowStates: await storage.readRowStates([rowKey('1')]),
    writeCheckpoint: await storage.readWriteCheckpoint('ann'),
  }
}

async function readVisible(storage: BucketStorage, name: string, upTo: OpId): Promise<string> {
  const { body } = await storage.readBucket({ ...readOf(name), upTo })
  return Buffer.concat(body).toString()
}
