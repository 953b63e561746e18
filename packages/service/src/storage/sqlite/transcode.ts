import { strict as assert } from 'node:assert'
import {
  encodeOperation,
  type Operation,
  type OperationBytes,
  type OperationFormat,
  parseOpId,
  toChecksum,
  transcodeToBson,
} from '@headwater/protocol'
import { LruCache } from '../../lru-cache.ts'
import type { Run } from './run.ts'

/** Transcoded runs kept for the next reader: the first download of many clients reads the same chunks. */
const CACHE_BYTES_MAX = 33_554_432

/** Turns stored runs into other formats, remembering what it did. */
export class Transcoder {
  readonly #cache = new LruCache<string, OperationBytes>(CACHE_BYTES_MAX)

  /** `key` names the run: equal keys, equal runs. */
  encode(run: Run, key: string, format: OperationFormat): OperationBytes {
    if (format === 'ndjson') return new StoredOperations(run)
    const cacheKey = `${format} ${key}`
    const known = this.#cache.find(cacheKey)
    if (known !== undefined) return known
    const stored = new StoredOperations(run)
    const encoded = format === 'bson' ? transcodeToBson(stored) : nestData(stored)
    this.#cache.keep(cacheKey, encoded, encoded.bytes.length + encoded.ends.byteLength)
    return encoded
  }

  forgetCached(): void {
    this.#cache.clear()
  }
}

/** Where operations end is found out when it is asked for. */
class StoredOperations implements OperationBytes {
  readonly #run: Run

  constructor(run: Run) {
    this.#run = run
  }

  get bytes(): Uint8Array {
    return this.#run.payload
  }

  get ends(): Uint32Array {
    return this.#run.index.ends
  }
}

/** For clients from before 2024 only, so it may cost more. */
function nestData({ bytes, ends: storedEnds }: OperationBytes): OperationBytes {
  const ends = new Uint32Array(storedEnds.length)
  const parts: Uint8Array[] = []
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let from = 0
  let end = 0
  for (const [n, to] of storedEnds.entries()) {
    const nested = encodeOperation(decodeStored(text.toString('utf8', from, to - COMMA.length)), 'ndjson-nested')
    parts.push(nested, COMMA)
    end += nested.length + COMMA.length
    ends[n] = end
    from = to
  }
  return { bytes: Buffer.concat(parts, end), ends }
}

const COMMA = Uint8Array.of(0x2c)

/** Reads an operation as this package itself wrote it. */
function decodeStored(json: string): Operation {
  const stored = JSON.parse(json) as StoredJson
  const opId = parseOpId(stored.op_id)
  const checksum = toChecksum(stored.checksum)
  const { object_type: type, object_id: id, subkey, data } = stored
  switch (stored.op) {
    case 'PUT':
      assert(data !== undefined)
      return { kind: 'put', opId, checksum, type, id, subkey, data }
    case 'REMOVE':
      return { kind: 'remove', opId, checksum, type, id, subkey }
    case 'MOVE':
      return { kind: 'move', opId, checksum }
    case 'CLEAR':
      return { kind: 'clear', opId, checksum }
  }
}

type StoredJson = {
  readonly op_id: string
  readonly op: 'PUT' | 'REMOVE' | 'MOVE' | 'CLEAR'
  readonly checksum: number
  readonly object_type: string
  readonly object_id: string
  readonly subkey: string
  readonly data?: string
}
