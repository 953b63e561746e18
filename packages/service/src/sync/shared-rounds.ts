import {
  type BucketEntry,
  type Checksum,
  encodeDataLine,
  encodeLine,
  type LineFormat,
  type OperationFormat,
  type OpId,
} from '@headwater/protocol'
import type { SyncStorage } from '../storage/storage.ts'
import { isSameEntry } from './plan-send.ts'

/** What the lines follow from: sessions that agree in all of it are told the same. */
export type RoundKey = {
  readonly format: OperationFormat
  /** The bucket, as it was announced before. */
  readonly entry: BucketEntry
  /** What the client has of the bucket. */
  readonly after: OpId
  readonly checkpoint: OpId
  readonly writeCheckpoint: bigint | undefined
}

/** All that is said about a change of one bucket. */
export type SharedRound = {
  /** Whole lines. Many write them at once: not to be changed. */
  readonly bytes: Uint8Array
  readonly checksum: Checksum
  readonly count: number
  /** Of the bucket, when it was sent. */
  readonly position: OpId
  readonly operations: number
}

/** Rounds kept for the next session that is told the same: those of one commit wake together. */
const ROUNDS_MAX = 16

/** A larger round is sent in steps, by each session for itself. */
const OPERATIONS_MAX = 1_000
const BYTES_MAX = 65_536

/** Makes the lines of a small change once for all sessions that share its bucket. */
export class SharedRounds {
  readonly #storage: SyncStorage
  /** The newest first. */
  readonly #rounds: { readonly key: RoundKey; readonly round: Promise<SharedRound | undefined> }[] = []

  constructor(storage: SyncStorage) {
    this.#storage = storage
  }

  /** Undefined when the change is not that simple: too large, nothing new, or not to be completed. */
  find(key: RoundKey): Promise<SharedRound | undefined> {
    for (const known of this.#rounds) if (isSameKey(known.key, key)) return known.round
    const made = { key, round: this.#make(key) }
    made.round.catch(() => {
      const at = this.#rounds.indexOf(made)
      if (at !== -1) this.#rounds.splice(at, 1)
    })
    this.#rounds.unshift(made)
    if (this.#rounds.length > ROUNDS_MAX) this.#rounds.pop()
    return made.round
  }

  async #make(key: RoundKey): Promise<SharedRound | undefined> {
    const { format, entry, after, checkpoint, writeCheckpoint } = key
    const { bucket } = entry
    if (after >= checkpoint) return undefined
    using _pin = this.#storage.pinCheckpoint(checkpoint)
    const [sum] = await this.#storage.readSums([bucket], checkpoint)
    if (sum === undefined || (sum.checksum === entry.checksum && sum.count === entry.count)) return undefined
    const page = await this.#storage.readBucket({
      bucket,
      after,
      upTo: checkpoint,
      format,
      bytesMax: BYTES_MAX,
      operationsMax: OPERATIONS_MAX,
    })
    if (page.count === 0 || page.hasMore || page.completeFrom > checkpoint) return undefined
    const lineFormat: LineFormat = format === 'bson' ? 'bson' : 'ndjson'
    const updated = { ...entry, checksum: sum.checksum, count: sum.count }
    const diff = { lastOpId: checkpoint, writeCheckpoint, updatedBuckets: [updated], removedBuckets: [] }
    const { nextAfter, hasMore } = page
    const bytes = Buffer.concat([
      encodeLine({ kind: 'checkpoint-diff', diff }, lineFormat),
      ...encodeDataLine({ bucket, after, nextAfter, hasMore }, page, format),
      encodeLine({ kind: 'checkpoint-complete', lastOpId: checkpoint }, lineFormat),
    ])
    return { bytes, checksum: sum.checksum, count: sum.count, position: nextAfter, operations: page.count }
  }
}

/** The sums announced before are not in the lines, but they decide whether there is anything to say. */
function isSameKey(a: RoundKey, b: RoundKey): boolean {
  return (
    a.checkpoint === b.checkpoint &&
    a.after === b.after &&
    a.format === b.format &&
    a.writeCheckpoint === b.writeCheckpoint &&
    a.entry.bucket === b.entry.bucket &&
    isSameEntry(a.entry, b.entry)
  )
}
