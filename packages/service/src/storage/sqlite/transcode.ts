import { strict as assert } from 'node:assert'
import { encodeOperation, type Operation, type OperationFormat, parseOpId, toChecksum } from '@headwater/protocol'
import { LruCache } from './lru-cache.ts'
import type { Run } from './run.ts'

/** Transcoded runs kept for the next reader: the first download of many clients reads the same chunks. */
const CACHE_BYTES_MAX = 33_554_432

/** A run in one of the formats. Stored runs are `ndjson`. */
export type EncodedRun = {
  readonly payload: Uint8Array
  /** Where each operation's bytes end, the comma included where there is one. */
  readonly ends: Uint32Array
}

/** Turns stored runs into other formats, remembering what it did. */
export class Transcoder {
  readonly #cache = new LruCache<string, EncodedRun>(CACHE_BYTES_MAX)

  /** `key` names the run: equal keys, equal runs. */
  encode(run: Run, key: string, format: OperationFormat): EncodedRun {
    if (format === 'ndjson') return { payload: run.payload, ends: run.index.ends }
    const cacheKey = `${format} ${key}`
    const known = this.#cache.find(cacheKey)
    if (known !== undefined) return known
    const encoded = transcode(run, format)
    this.#cache.keep(cacheKey, encoded, encoded.payload.length + encoded.ends.byteLength)
    return encoded
  }

  forgetCached(): void {
    this.#cache.clear()
  }
}

function transcode(run: Run, format: Exclude<OperationFormat, 'ndjson'>): EncodedRun {
  const comma = format === 'bson' ? 0 : 1
  const ends = new Uint32Array(run.count)
  const parts: Uint8Array[] = []
  const text = Buffer.from(run.payload.buffer, run.payload.byteOffset, run.payload.byteLength)
  let from = 0
  let end = 0
  for (let n = 0; n < run.count; n++) {
    const to = run.index.ends[n] ?? 0
    const bytes = encodeOperation(decodeStored(text.toString('utf8', from, to - 1)), format)
    parts.push(bytes)
    if (comma === 1) parts.push(COMMA)
    end += bytes.length + comma
    ends[n] = end
    from = to
  }
  return { payload: Buffer.concat(parts, end), ends }
}

const COMMA = Uint8Array.of(0x2c)

/** Reads an operation as this package itself wrote it. */
function decodeStored(json: string): Operation {
  const stored = JSON.parse(json) as StoredOperation
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

type StoredOperation = {
  readonly op_id: string
  readonly op: 'PUT' | 'REMOVE' | 'MOVE' | 'CLEAR'
  readonly checksum: number
  readonly object_type: string
  readonly object_id: string
  readonly subkey: string
  readonly data?: string
}
