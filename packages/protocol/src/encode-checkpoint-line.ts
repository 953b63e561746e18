import { writeField } from './bson.ts'
import { BsonWriter } from './bson-writer.ts'
import { toSignedChecksum } from './checksum.ts'
import type { BucketEntry, BucketReason, Line, LimitFigures, StreamEntry, StreamError } from './line.ts'
import { escapeLineEnds } from './ndjson.ts'
import type { JsonObject, JsonValue } from './request.ts'

/** The lines that may name very many buckets. */
export type CheckpointLine = Extract<Line, { readonly kind: 'checkpoint' | 'checkpoint-diff' }>

/** Pieces of a line, to be written in order. Between two steps whoever asked for them may let others run. */
export type EncodingSteps = Generator<undefined, readonly Uint8Array[], undefined>

/** Buckets that are encoded in one step, of less than a millisecond. */
const BUCKETS_PER_STEP = 250

/** A piece has so many characters, and at most what one step adds to them. */
const PIECE_CHARS = 65_536

const BSON_BYTES_USUAL = 4_096

/** One whole line, as `encodeLine` makes it. */
export function encodeCheckpointLine(line: CheckpointLine, format: 'ndjson' | 'bson'): EncodingSteps {
  const name = line.kind === 'checkpoint' ? 'checkpoint' : 'checkpoint_diff'
  const fields = fieldsOf(line)
  return format === 'bson' ? encodeBsonLine(name, fields) : encodeJsonLine(name, fields)
}

type Field = readonly [name: string, content: JsonValue | LongList]

/** Its items are encoded a few at a time. */
class LongList {
  readonly length: number
  /** Items from `from` on, `to` excluded, as they go over the wire. */
  readonly slice: (from: number, to: number) => readonly JsonValue[]

  constructor(length: number, slice: LongList['slice']) {
    this.length = length
    this.slice = slice
  }
}

function fieldsOf(line: CheckpointLine): readonly Field[] {
  const { lastOpId, writeCheckpoint } = line.kind === 'checkpoint' ? line.checkpoint : line.diff
  const common: Field[] = [['last_op_id', `${lastOpId}`]]
  if (writeCheckpoint !== undefined) common.push(['write_checkpoint', `${writeCheckpoint}`])
  if (line.kind === 'checkpoint') {
    const { buckets, streams, limits } = line.checkpoint
    // Before the buckets: who looks at the line would have to go past very many of them.
    if (limits !== undefined) common.push(['limits', limitsToWire(limits)])
    return [...common, ['buckets', listOf(buckets)], ['streams', streams.map(streamToWire)]]
  }
  const { removedBuckets, updatedBuckets } = line.diff
  const removed = new LongList(removedBuckets.length, (from, to) => removedBuckets.slice(from, to))
  return [...common, ['removed_buckets', removed], ['updated_buckets', listOf(updatedBuckets)]]
}

function listOf(entries: readonly BucketEntry[]): LongList {
  return new LongList(entries.length, (from, to) => entries.slice(from, to).map(bucketToWire))
}

function* encodeJsonLine(name: string, fields: readonly Field[]): EncodingSteps {
  const pieces: Uint8Array[] = []
  let text = `{"${name}":{`
  for (const [index, [field, content]] of fields.entries()) {
    text += `${index === 0 ? '' : ','}"${field}":`
    if (!(content instanceof LongList)) {
      text += JSON.stringify(content)
      continue
    }
    text += '['
    for (let at = 0; at < content.length; at += BUCKETS_PER_STEP) {
      if (at > 0) {
        yield
        text += ','
      }
      text += JSON.stringify(content.slice(at, at + BUCKETS_PER_STEP)).slice(1, -1)
      if (text.length >= PIECE_CHARS) {
        pieces.push(utf8.encode(escapeLineEnds(text)))
        text = ''
      }
    }
    text += ']'
  }
  pieces.push(utf8.encode(escapeLineEnds(`${text}}}\n`)))
  return pieces
}

const utf8 = new TextEncoder()

function* encodeBsonLine(name: string, fields: readonly Field[]): EncodingSteps {
  const writer = new BsonWriter(BSON_BYTES_USUAL)
  writer.begin()
  writer.beginDocument(name)
  for (const [field, content] of fields) {
    if (!(content instanceof LongList)) {
      writeField(writer, field, content)
      continue
    }
    writer.beginArray(field)
    for (let at = 0; at < content.length; at += BUCKETS_PER_STEP) {
      if (at > 0) yield
      for (const [n, item] of content.slice(at, at + BUCKETS_PER_STEP).entries()) writeField(writer, `${at + n}`, item)
    }
    writer.end()
  }
  writer.end()
  writer.end()
  return [writer.toBytes()]
}

function bucketToWire(entry: BucketEntry): JsonValue {
  return {
    bucket: entry.bucket,
    checksum: toSignedChecksum(entry.checksum),
    count: entry.count,
    priority: entry.priority,
    subscriptions: entry.subscriptions.map(reasonToWire),
  }
}

function reasonToWire(reason: BucketReason): JsonValue {
  return reason.kind === 'default' ? { default: reason.stream } : { sub: reason.subscription }
}

function streamToWire(stream: StreamEntry): JsonValue {
  return {
    name: stream.name,
    is_default: stream.isDefault,
    errors: stream.errors.map(errorToWire),
    ...bucketFigureToWire(stream),
  }
}

function errorToWire(error: StreamError): JsonValue {
  return { subscription: error.subscription, message: error.message, ...bucketFigureToWire(error) }
}

function bucketFigureToWire({ buckets }: { readonly buckets?: number }): JsonObject {
  return buckets === undefined ? {} : { buckets }
}

function limitsToWire({ buckets, bucketsMax }: LimitFigures): JsonValue {
  return { buckets, buckets_max: bucketsMax }
}
