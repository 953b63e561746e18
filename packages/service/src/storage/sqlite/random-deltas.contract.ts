import { type BucketName, type OpId, toChecksum } from '@headwater/protocol'
import { type Random, seededRandom } from '@headwater/testkit'
import type { Delta, DeltaOperation } from '../delta.ts'
import type { SyncStorage } from '../storage.ts'
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
  const id = String(random.integer(500))
  const checksum = toChecksum(random.integer(2 ** 32))
  return random.chance(0.8) ? { ...put(name, id), checksum } : { ...remove(name, id), checksum }
}

/** What a storage must hold after the transactions at 1 … `resume`: ids and checksums of each bucket's operations. */
export function modelUpTo(
  seed: number,
  resume: number,
): Map<BucketName, readonly { opId: number; checksum: number }[]> {
  const model = new Map<BucketName, { opId: number; checksum: number }[]>()
  let last = 0
  for (let position = 1; position <= resume; position++) {
    for (const { operations } of transactionAt(seed, position)) {
      for (const { bucket: name, checksum } of operations) {
        last += 1
        const held = model.get(name) ?? []
        held.push({ opId: last, checksum })
        model.set(name, held)
      }
    }
  }
  return model
}

/** The same of a storage, up to an op id, read in pages of random size. */
export async function readModel(
  storage: Pick<SyncStorage, 'readBucket'>,
  names: Iterable<BucketName>,
  random: Random,
  upTo: OpId = opId(Number.MAX_SAFE_INTEGER),
): Promise<Map<BucketName, readonly { opId: number; checksum: number }[]>> {
  const model = new Map<BucketName, { opId: number; checksum: number }[]>()
  for (const name of names) {
    const held: { opId: number; checksum: number }[] = []
    for (let hasMore = true; hasMore;) {
      const page = await storage.readBucket({
        bucket: name,
        after: opId(held.at(-1)?.opId ?? 0),
        upTo,
        format: 'ndjson',
        bytesMax: random.between(1, 400_000),
        operationsMax: random.between(1, 1500),
      })
      hasMore = page.hasMore
      const operations = JSON.parse(`[${Buffer.concat(page.body).toString()}]`) as { op_id: string; checksum: number }[]
      held.push(...operations.map(({ op_id, checksum }) => ({ opId: Number(op_id), checksum })))
    }
    model.set(name, held)
  }
  return model
}
