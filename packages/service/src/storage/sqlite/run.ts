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

export type Run = RunHeader & { readonly index: RunIndex; readonly payload: Uint8Array }

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

/** The payload is a view into `bytes`. */
export function readRun(bytes: Uint8Array, at: number): Run {
  const header = readRunHeader(bytes, at)
  return { ...header, index: readRunIndex(bytes, header), payload: bytes.subarray(header.payloadAt, header.end) }
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
  readonly #targets = new ByteWriter(256)
  readonly #payload = new ByteWriter(65_536)
  readonly #whole = new ByteWriter(65_536)
  #count = 0
  #firstOp = 0
  #lastOp = 0
  #sum = 0
  #hasTargets = false

  get count(): number {
    return this.#count
  }

  get payloadBytes(): number {
    return this.#payload.length
  }

  /** `json`: the operation as an NDJSON object, without a comma. */
  add(opId: number, checksum: number, json: string): void {
    const bytes = this.#payload.text(json) + 1
    this.#payload.byte(COMMA)
    this.#addToIndex(opId, checksum, bytes, 0)
  }

  /** Operations `from` (included) to `to` (excluded) of another run. */
  addFrom(run: Run, from: number, to: number): void {
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
    const whole = this.#whole
    whole.reset()
    whole.varint(bucket)
    whole.varint(this.#count)
    whole.varint(this.#firstOp)
    whole.varint(this.#lastOp)
    whole.uint32(this.#sum)
    whole.byte(this.#hasTargets ? 1 : 0)
    const targetBytes = this.#hasTargets ? this.#targets.length : 0
    whole.varint(this.#index.length + targetBytes)
    whole.varint(this.#payload.length)
    whole.raw(this.#index.view())
    if (this.#hasTargets) whole.raw(this.#targets.view())
    whole.raw(this.#payload.view())
    this.#index.reset()
    this.#targets.reset()
    this.#payload.reset()
    this.#count = 0
    this.#sum = 0
    this.#hasTargets = false
    return whole.view()
  }

  #addToIndex(opId: number, checksum: number, bytes: number, target: number): void {
    if (this.#count === 0) this.#firstOp = this.#lastOp = opId
    this.#index.varint(opId - this.#lastOp)
    this.#index.uint32(checksum)
    this.#index.varint(bytes)
    this.#targets.varint(target)
    if (target > 0) this.#hasTargets = true
    this.#lastOp = opId
    this.#sum = (this.#sum + checksum) >>> 0
    this.#count += 1
  }
}

const COMMA = 0x2c
