/** Lines of one bucket of one table, for services that say what a test wants. */
import { OP_ID_ZERO, toBucketName, toChecksum, toOpId, type Line, type Operation } from '@headwater/protocol'
import type { App } from './device.ts'

const BUCKET = toBucketName('lists')

/** An app of a service that looks at no token. */
export function appOf(endpoint: string): App {
  return {
    fetchCredentials: () => Promise.resolve({ endpoint, token: 'any' }),
    upload: () => Promise.resolve(),
  }
}

export function checkpoint(lastOpId: number, sum: number): Line {
  const entry = { bucket: BUCKET, checksum: toChecksum(sum), count: lastOpId, priority: 3 }
  return {
    kind: 'checkpoint',
    checkpoint: {
      lastOpId: toOpId(BigInt(lastOpId)),
      writeCheckpoint: undefined,
      buckets: [{ ...entry, subscriptions: [{ kind: 'default', stream: 0 }] }],
      streams: [{ name: 'lists', isDefault: true, errors: [] }],
    },
  }
}

export function data(operations: readonly Operation[]): Line {
  const nextAfter = operations.at(-1)?.opId ?? OP_ID_ZERO
  return { kind: 'data', batch: { bucket: BUCKET, after: OP_ID_ZERO, nextAfter, hasMore: false, operations } }
}

export function put(opId: number, id: string, checksum: number, name: string): Operation {
  const row = { type: 'lists', id, subkey: id, data: JSON.stringify({ id, name, owner_id: 'ann' }) }
  return { kind: 'put', opId: toOpId(BigInt(opId)), checksum: toChecksum(checksum), ...row }
}

export function complete(lastOpId: number): Line {
  return { kind: 'checkpoint-complete', lastOpId: toOpId(BigInt(lastOpId)) }
}
