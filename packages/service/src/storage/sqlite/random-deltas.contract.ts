import { type BucketName, toChecksum } from '@headwater/protocol'
import { type Random, seededRandom } from '@headwater/testkit'
import type { Delta, DeltaOperation } from '../delta.ts'
import type { DefragmentationLimits } from '../defragment.ts'
import type { BucketStorage, Commit, SyncStorage } from '../storage.ts'
import { expect } from 'vitest'
import { deltaAt, opId, put, remove, slice } from '../example-data.contract.ts'

/** The transaction at a log position: the same for the same seed, so that a process that is started again repeats it. */
export function transactionAt(seed: number, position: number): readonly Delta[] {
  const random = seededRandom(seed * 1_000_003 + position)
  const slices = random.chance(0.1) ? random.between(1, 3) : 0
  return [
    ...Array.from({ length: slices }, () => slice(randomParts(random))),
    deltaAt(position, {
      ...randomParts(random),
      show: random.chance(0.9),
      writeCheckpoints: [{ key: 'ann', number: BigInt(position) }],
    }),
  ]
}

function randomParts(random: Random): Pick<Delta, 'operations' | 'lookups' | 'rowStates'> {
  const operations = Array.from({ length: randomSize(random) }, () => randomOperation(random))
  return {
    operations,
    lookups: [],
    rowStates: operations.map(({ row, bucket: name, id }) => ({
      row,
      after: { memberships: [{ bucket: name, type: 'todos', id, dataHash: 'abcd' }], lookups: [], toasted: {} },
    })),
  }
}

function randomSize(random: Random): number {
  return random.weighted({ none: 1, one: 5, some: 4, many: 1 }) === 'many'
    ? random.between(500, 2500)
    : random.integer(20)
}

function randomOperation(random: Random): DeltaOperation {
  const name = `bucket-${random.integer(random.chance(0.5) ? 3 : 40)}`
  const id = String(random.integer(random.chance(0.5) ? 20 : 500))
  const checksum = toChecksum(random.integer(2 ** 32))
  return random.chance(0.8) ? { ...put(name, id), checksum } : { ...remove(name, id), checksum }
}

/** An operation as the model and a client see it; `row` is undefined where it has none. */
export type ModelOperation = {
  readonly opId: number
  readonly op: 'PUT' | 'REMOVE' | 'MOVE' | 'CLEAR'
  readonly checksum: number
  readonly row: string | undefined
}

/** The whole history of each bucket after the transactions at 1 … `resume`. */
export function modelUpTo(seed: number, resume: number): Map<BucketName, readonly ModelOperation[]> {
  const model = new Map<BucketName, ModelOperation[]>()
  let last = 0
  for (let position = 1; position <= resume; position++) {
    for (const { operations } of transactionAt(seed, position)) {
      for (const { bucket: name, checksum, id, kind } of operations) {
        last += 1
        const held = model.get(name) ?? []
        held.push({ opId: last, op: kind === 'put' ? 'PUT' : 'REMOVE', checksum, row: id })
        model.set(name, held)
      }
    }
  }
  return model
}

/** Whatever has been superseded anywhere, everything is put once more, a few rows at a time. */
export const EAGER: DefragmentationLimits = {
  deadMin: 1,
  gainMin: 0,
  savedShareMin: 0,
  portionOperations: 7,
  portionBytes: 1_000_000,
  portionMs: 60_000,
  pauseMs: 0,
  dailyBytes: 1_000_000_000,
}

/** So that op ids are those of the model. */
export const NEVER: DefragmentationLimits = { ...EAGER, dailyBytes: 0 }

/** The whole history of each bucket, as a storage was given it and put rows into it once more by itself. */
export class RecordedHistory {
  readonly buckets = new Map<BucketName, ModelOperation[]>()
  reappended = 0
  #head = 0

  /** Every row that was put once more must be the newest of its bucket, as it is. */
  async append(storage: BucketStorage, delta: Delta, random: Random): Promise<Commit> {
    const commit = await storage.append(delta)
    if (delta.show) {
      const count = Number(commit.checkpoint?.opId) - this.#head - delta.operations.length
      const names = commit.touchesAll ? this.buckets.keys() : commit.buckets
      for (const name of count > 0 ? names : []) await this.#readReappended(storage, name, count, random)
      this.#head += count
      this.reappended += count
    }
    for (const { bucket: name, checksum, id, kind } of delta.operations) {
      this.#head += 1
      this.#add(name, { opId: this.#head, op: kind === 'put' ? 'PUT' : 'REMOVE', checksum, row: id })
    }
    return commit
  }

  async #readReappended(storage: BucketStorage, name: BucketName, count: number, random: Random): Promise<void> {
    const between = { after: this.#head, upTo: this.#head + count }
    const { operations } = await readBetween(storage, name, between, random)
    for (const operation of operations) {
      const newest = this.buckets.get(name)?.findLast(({ row }) => row === operation.row)
      expect({ ...newest, opId: operation.opId }).toEqual({ ...operation, op: 'PUT' })
      this.#add(name, operation)
    }
  }

  #add(name: BucketName, operation: ModelOperation): void {
    const history = this.buckets.get(name)
    if (history === undefined) this.buckets.set(name, [operation])
    else history.push(operation)
  }
}

/** What a client holds of a bucket: the PUT of each row, and the sum of everything. */
export type Held = { readonly rows: ReadonlyMap<string, number>; readonly sum: number }

export const NOTHING_HELD: Held = { rows: new Map(), sum: 0 }

/** What a client holds that held `before` and gets these operations. */
export function holdAfter(before: Held, operations: readonly ModelOperation[]): Held {
  const rows = new Map(before.rows)
  let { sum } = before
  for (const { op, opId: id, checksum, row = '' } of operations) {
    sum = op === 'CLEAR' ? checksum : (sum + checksum) >>> 0
    if (op === 'CLEAR') rows.clear()
    else if (op === 'PUT') rows.set(row, id)
    else if (op === 'REMOVE') rows.delete(row)
  }
  return { rows, sum }
}

/** What a new client holds of each bucket that gets everything up to `upTo`. */
export function heldIn(
  model: ReadonlyMap<BucketName, readonly ModelOperation[]>,
  upTo = Infinity,
): ReadonlyMap<BucketName, Held> {
  return new Map(
    [...model].map(([name, operations]) => [
      name,
      holdAfter(
        NOTHING_HELD,
        operations.filter(({ opId: id }) => id <= upTo),
      ),
    ]),
  )
}

/** What a storage has of a bucket between two positions, read in pages of random size. */
export async function readBetween(
  storage: Pick<SyncStorage, 'readBucket'>,
  name: BucketName,
  { after, upTo }: { readonly after: number; readonly upTo: number },
  random: Random,
): Promise<{ readonly operations: readonly ModelOperation[]; readonly completeFrom: number }> {
  const operations: ModelOperation[] = []
  let completeFrom = 0
  for (let hasMore = true; hasMore;) {
    const page = await storage.readBucket({
      bucket: name,
      after: opId(operations.at(-1)?.opId ?? after),
      upTo: opId(upTo),
      format: 'ndjson',
      bytesMax: random.between(1, 400_000),
      operationsMax: random.between(1, 1500),
    })
    completeFrom = Math.max(completeFrom, Number(page.completeFrom))
    hasMore = page.hasMore && page.count > 0
    const read = JSON.parse(`[${Buffer.concat(page.body).toString()}]`) as WireOperation[]
    operations.push(
      ...read.map(({ op_id, op, checksum, object_id }) => ({ opId: Number(op_id), op, checksum, row: object_id })),
    )
  }
  return { operations, completeFrom }
}

type WireOperation = {
  readonly op_id: string
  readonly op: ModelOperation['op']
  readonly checksum: number
  readonly object_id: string | undefined
}

/** As `heldIn`, of a storage. */
export async function readHeld(
  storage: Pick<SyncStorage, 'readBucket'>,
  names: Iterable<BucketName>,
  random: Random,
): Promise<ReadonlyMap<BucketName, Held>> {
  const held = new Map<BucketName, Held>()
  for (const name of names) {
    const everything = { after: 0, upTo: Number.MAX_SAFE_INTEGER }
    const { operations } = await readBetween(storage, name, everything, random)
    held.set(name, holdAfter(NOTHING_HELD, operations))
  }
  return held
}
