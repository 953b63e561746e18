import { escapeLineEnds } from '@headwater/protocol'
import { ByteReader, ByteWriter } from './bytes.ts'

/**
 * A run: operations of one bucket that follow each other, encoded for NDJSON, with an index that finds any of them,
 * and the sum up to any of them, without decoding the operations.
 *
 *     varint   bucket number
 *     varint   count
 *     varint   id of the first operation
 *     varint   id of the last operation
 *     uint32   sum of the checksums
 *     byte     1 if the index has targets
 *     varint   bytes of the index
 *     varint   bytes of the payload
 *     index    per operation: varint id minus the one before (the first: 0), uint32 checksum, varint bytes in the payload;
 *              then, with targets, a varint per operation: for MOVE and CLEAR the highest id that they depend on, else 0
 *     payload  per operation: its JSON object and a comma
 *
 * Op ids are plain numbers in here: one counter hands them out from 1, and 2^53 of them do not run out.
 */
export type RunHeader = {
  readonly bucket: number
  readonly count: number
  readonly firstOp: number
  readonly lastOp: number
  readonly sum: number
  readonly hasTargets: boolean
  /** Where the parts begin and end, in the bytes the header was read from. */
  readonly indexAt: number
  readonly payloadAt: number
  readonly end: number
}

export type RunIndex = {
  readonly opIds: Float64Array
  /** Sum of the checksums up to and including each operation, within the run. */
  readonly sums: Uint32Array
  /** Where each operation's bytes end in the payload, comma included. */
  readonly ends: Uint32Array
  /** Undefined when the run has no MOVE and no CLEAR. */
  readonly targets: Float64Array | undefined
}

export function readRunHeader(bytes: Uint8Array, at: number): RunHeader {
  const reader = new ByteReader(bytes, at)
  const bucket = reader.varint()
  const count = reader.varint()
  const firstOp = reader.varint()
  const lastOp = reader.varint()
  const sum = reader.uint32()
  const hasTargets = reader.byte() === 1
  const indexBytes = reader.varint()
  const payloadBytes = reader.varint()
  const indexAt = reader.at
  const payloadAt = indexAt + indexBytes
  return { bucket, count, firstOp, lastOp, sum, hasTargets, indexAt, payloadAt, end: payloadAt + payloadBytes }
}

/** The run that begins at `at`. Holds views into `bytes`. */
export function readRun(bytes: Uint8Array, at: number): Run {
  return new Run(bytes, readRunHeader(bytes, at))
}

export class Run {
  readonly header: RunHeader
  readonly payload: Uint8Array
  readonly #bytes: Uint8Array
  #index: RunIndex | undefined

  constructor(bytes: Uint8Array, header: RunHeader) {
    this.header = header
    this.payload = bytes.subarray(header.payloadAt, header.end)
    this.#bytes = bytes
  }

  /** Decoded when it is first asked for: who takes the run whole needs none. */
  get index(): RunIndex {
    this.#index ??= readRunIndex(this.#bytes, this.header)
    return this.#index
  }

  get indexBytes(): Uint8Array {
    return this.#bytes.subarray(this.header.indexAt, this.header.payloadAt)
  }
}

function readRunIndex(bytes: Uint8Array, header: RunHeader): RunIndex {
  const { count } = header
  const reader = new ByteReader(bytes, header.indexAt)
  const opIds = new Float64Array(count)
  const sums = new Uint32Array(count)
  const ends = new Uint32Array(count)
  const targets = header.hasTargets ? new Float64Array(count) : undefined
  let opId = header.firstOp
  let sum = 0
  let end = 0
  for (let n = 0; n < count; n++) {
    opId += reader.varint()
    sum = (sum + reader.uint32()) >>> 0
    end += reader.varint()
    opIds[n] = opId
    sums[n] = sum
    ends[n] = end
  }
  if (targets !== undefined) for (let n = 0; n < count; n++) targets[n] = reader.varint()
  return { opIds, sums, ends, targets }
}

/** How many operations of the run have an id up to `opId`. */
export function countUpTo(index: RunIndex, opId: number): number {
  const { opIds } = index
  let low = 0
  let high = opIds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((opIds[middle] ?? 0) <= opId) low = middle + 1
    else high = middle
  }
  return low
}

/** Makes runs, one after the other. */
export class RunBuilder {
  readonly #index = new ByteWriter()
  /** By operation; empty places are 0. */
  readonly #targets: number[] = []
  readonly #payload = new ByteWriter(65_536)
  readonly #whole = new ByteWriter(65_536)
  #count = 0
  #firstOp = 0
  #lastOp = 0
  #sum = 0
  #hasTargets = false
  /** Operations that are not encoded yet: one long text costs half of what many short ones do. */
  #text = ''
  readonly #waiting: WaitingOperation[] = []

  get count(): number {
    return this.#count + this.#waiting.length
  }

  /** At least; what is not encoded yet counts a byte a character. */
  get payloadBytes(): number {
    return this.#payload.length + this.#text.length
  }

  /** `json`: the operation as `formatOperation` writes it. `target`: of a MOVE or CLEAR that has one, else 0. */
  add(opId: number, checksum: number, json: string, target = 0): void {
    this.#text += json
    this.#text += ','
    this.#waiting.push({ opId, checksum, target, length: json.length + 1 })
    if (this.#text.length >= ENCODE_FROM_CHARACTERS) this.#encode()
  }

  /** A whole run, behind what is there already. */
  addWhole(run: Run): void {
    const { count, firstOp, lastOp, sum, hasTargets } = run.header
    if (hasTargets || this.#hasTargets) {
      this.addFrom(run, 0, count)
      return
    }
    this.#encode()
    if (this.#count === 0) this.#firstOp = this.#lastOp = firstOp
    // Its first entry is a single byte 0, since it says how far the first operation is from the run's beginning.
    this.#index.varint(firstOp - this.#lastOp)
    this.#index.raw(run.indexBytes.subarray(1))
    this.#payload.raw(run.payload)
    this.#lastOp = lastOp
    this.#sum = (this.#sum + sum) >>> 0
    this.#count += count
  }

  /** Operations `from` (included) to `to` (excluded) of another run. */
  addFrom(run: Run, from: number, to: number): void {
    this.#encode()
    const { opIds, sums, ends, targets } = run.index
    const start = from === 0 ? 0 : (ends[from - 1] ?? 0)
    this.#payload.raw(run.payload.subarray(start, ends[to - 1] ?? start))
    let end = start
    let sum = from === 0 ? 0 : (sums[from - 1] ?? 0)
    for (let n = from; n < to; n++) {
      const nextEnd = ends[n] ?? 0
      const nextSum = sums[n] ?? 0
      this.#addToIndex(opIds[n] ?? 0, (nextSum - sum) >>> 0, nextEnd - end, targets?.[n] ?? 0)
      end = nextEnd
      sum = nextSum
    }
  }

  /** The bytes of the run; the builder is empty afterwards. A view, good until the next `finish`. */
  finish(bucket: number): Uint8Array {
    this.#encode()
    const whole = this.#whole
    whole.reset()
    whole.varint(bucket)
    whole.varint(this.#count)
    whole.varint(this.#firstOp)
    whole.varint(this.#lastOp)
    whole.uint32(this.#sum)
    whole.byte(this.#hasTargets ? 1 : 0)
    if (this.#hasTargets) for (let n = 0; n < this.#count; n++) this.#index.varint(this.#targets[n] ?? 0)
    whole.varint(this.#index.length)
    whole.varint(this.#payload.length)
    whole.raw(this.#index.view())
    whole.raw(this.#payload.view())
    this.#index.reset()
    this.#payload.reset()
    this.#count = 0
    this.#sum = 0
    this.#targets.length = 0
    this.#hasTargets = false
    return whole.view()
  }

  #encode(): void {
    if (this.#waiting.length === 0) return
    const text = this.#text
    const from = this.#payload.length
    if (this.#payload.text(text) === text.length) {
      for (const { opId, checksum, target, length } of this.#waiting) this.#addToIndex(opId, checksum, length, target)
    } else {
      // Beyond ASCII: each operation's bytes must be counted, and there may be line ends to escape.
      this.#payload.length = from
      let at = 0
      for (const { opId, checksum, target, length } of this.#waiting) {
        const bytes = this.#payload.text(escapeLineEnds(text.slice(at, at + length)))
        this.#addToIndex(opId, checksum, bytes, target)
        at += length
      }
    }
    this.#text = ''
    this.#waiting.length = 0
  }

  #addToIndex(opId: number, checksum: number, bytes: number, target: number): void {
    if (this.#count === 0) this.#firstOp = this.#lastOp = opId
    this.#index.varint(opId - this.#lastOp)
    this.#index.uint32(checksum)
    this.#index.varint(bytes)
    if (target > 0) {
      this.#targets[this.#count] = target
      this.#hasTargets = true
    }
    this.#lastOp = opId
    this.#sum = (this.#sum + checksum) >>> 0
    this.#count += 1
  }
}

type WaitingOperation = {
  readonly opId: number
  readonly checksum: number
  readonly target: number
  readonly length: number
}

/** Texts of this size are in the processor's cache still when they are written. */
const ENCODE_FROM_CHARACTERS = 16_384
