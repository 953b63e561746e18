import { decodeBson } from './bson.ts'
import { toChecksum } from './checksum.ts'
import { HeadwaterError } from './errors.ts'
import type {
  BucketEntry,
  BucketReason,
  Line,
  LimitFigures,
  StreamEndReason,
  StreamEntry,
  StreamError,
  UnknownLine,
} from './line.ts'
import { OP_ID_ZERO, type OpId, parseOpId } from './op-id.ts'
import { type BucketName, type Operation, toBucketName } from './operation.ts'
import { WireObject } from './wire-object.ts'

/** What a bucket has when an old service does not say. */
const PRIORITY_DEFAULT = 3

/**
 * Reads one NDJSON line, without its line feed. A line of a kind this version does not know is kept as such, and
 * unknown fields are passed over, so that an older client survives a newer service. Throws `bad-line`.
 */
export function decodeLine(text: string): Line | UnknownLine {
  return fromWire(parseJson(text))
}

/** The same for one BSON document. Throws `bad-line`, or `bad-bson` if it is not one. */
export function decodeBsonLine(bytes: Uint8Array): Line | UnknownLine {
  return fromWire(decodeBson(bytes))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new HeadwaterError('bad-line', `Cannot read a line: it is not JSON: ${JSON.stringify(text.slice(0, 80))}`, {
      cause,
    })
  }
}

function fromWire(value: unknown): Line | UnknownLine {
  const wire = new WireObject(value, 'line', 'bad-line')
  const [wireKind, ...others] = wire.names()
  if (wireKind === undefined || others.length > 0) {
    throw new HeadwaterError('bad-line', `Cannot read a line: expected one key, got ${1 + others.length}`)
  }
  switch (wireKind) {
    case 'data':
      return decodeData(wire.object('data'))
    case 'checkpoint':
      return decodeCheckpoint(wire.object('checkpoint'))
    case 'checkpoint_diff':
      return decodeDiff(wire.object('checkpoint_diff'))
    case 'checkpoint_complete':
      return { kind: 'checkpoint-complete', lastOpId: opIdOf(wire.object('checkpoint_complete'), 'last_op_id') }
    case 'partial_checkpoint_complete': {
      const complete = wire.object('partial_checkpoint_complete')
      return {
        kind: 'partial-checkpoint-complete',
        lastOpId: opIdOf(complete, 'last_op_id'),
        priority: complete.integer('priority'),
      }
    }
    case 'token_expires_in':
      return { kind: 'token-expires-in', seconds: wire.integer('token_expires_in') }
    case 'stream_error': {
      const wireError = wire.object('stream_error')
      const code = wireError.has('code') ? wireError.string('code') : ''
      const message = wireError.has('message') ? wireError.string('message') : ''
      return { kind: 'stream-error', code, message, ...retryAfterOf(wireError) }
    }
    case 'stream_end': {
      const end = wire.object('stream_end')
      const reason = END_REASONS.find((known) => end.is('reason', known.replaceAll('-', '_'))) ?? 'other'
      return { kind: 'stream-end', reason, ...retryAfterOf(end) }
    }
    default:
      return { kind: 'unknown', wireKind }
  }
}

const END_REASONS: readonly StreamEndReason[] = ['token-expired', 'token-revoked', 'config-changed', 'shutdown']

function retryAfterOf(wire: WireObject): { readonly retryAfterMs?: number } {
  if (!wire.has('retry_after_ms')) return {}
  return { retryAfterMs: Math.max(0, wire.integer('retry_after_ms')) }
}

function decodeCheckpoint(wire: WireObject): Line {
  return {
    kind: 'checkpoint',
    checkpoint: {
      lastOpId: opIdOf(wire, 'last_op_id'),
      writeCheckpoint: writeCheckpointOf(wire),
      buckets: wire.objects('buckets').map(decodeBucket),
      streams: wire.has('streams') ? wire.objects('streams').map(decodeStream) : [],
      ...limitsOf(wire),
    },
  }
}

function decodeDiff(wire: WireObject): Line {
  return {
    kind: 'checkpoint-diff',
    diff: {
      lastOpId: opIdOf(wire, 'last_op_id'),
      writeCheckpoint: writeCheckpointOf(wire),
      updatedBuckets: wire.objects('updated_buckets').map(decodeBucket),
      removedBuckets: wire.strings('removed_buckets').map(toBucketName),
    },
  }
}

function decodeBucket(wire: WireObject): BucketEntry {
  return {
    bucket: bucketOf(wire),
    checksum: toChecksum(wire.integer('checksum')),
    count: wire.has('count') ? wire.integer('count') : 0,
    priority: wire.has('priority') ? wire.integer('priority') : PRIORITY_DEFAULT,
    subscriptions: wire.has('subscriptions') ? wire.objects('subscriptions').map(decodeReason) : [],
  }
}

function decodeReason(wire: WireObject): BucketReason {
  return wire.has('default')
    ? { kind: 'default', stream: wire.integer('default') }
    : { kind: 'subscription', subscription: wire.integer('sub') }
}

function decodeStream(wire: WireObject): StreamEntry {
  return {
    name: wire.string('name'),
    isDefault: wire.boolean('is_default'),
    errors: wire.has('errors') ? wire.objects('errors').map(decodeStreamError) : [],
    ...bucketFigureOf(wire),
  }
}

function decodeStreamError(wire: WireObject): StreamError {
  return {
    subscription: wire.is('subscription', 'default') ? 'default' : wire.integer('subscription'),
    message: wire.string('message'),
    ...bucketFigureOf(wire),
  }
}

/** Nothing depends on figures: another service may mean something else by their names, and its lines are read all the same. */
function limitsOf(wire: WireObject): { readonly limits?: LimitFigures } {
  const limits = wire.findObject('limits')
  const buckets = limits?.findInteger('buckets')
  const bucketsMax = limits?.findInteger('buckets_max')
  return buckets === undefined || bucketsMax === undefined ? {} : { limits: { buckets, bucketsMax } }
}

function bucketFigureOf(wire: WireObject): { readonly buckets?: number } {
  const buckets = wire.findInteger('buckets')
  return buckets === undefined ? {} : { buckets }
}

/** Positions may be missing: nobody needs them to read the operations, which have their own. */
function decodeData(wire: WireObject): Line {
  const operations = wire.objects('data').map(decodeOperation)
  const after = wire.has('after') ? opIdOf(wire, 'after') : OP_ID_ZERO
  return {
    kind: 'data',
    batch: {
      bucket: bucketOf(wire),
      after,
      nextAfter: wire.has('next_after') ? opIdOf(wire, 'next_after') : (operations.at(-1)?.opId ?? after),
      hasMore: wire.has('has_more') && wire.boolean('has_more'),
      operations,
    },
  }
}

function decodeOperation(wire: WireObject): Operation {
  const opId = opIdOf(wire, 'op_id')
  const checksum = toChecksum(wire.integer('checksum'))
  const name = wire.string('op')
  switch (name) {
    case 'PUT':
      return { kind: 'put', opId, checksum, ...rowOf(wire), data: wire.string('data') }
    case 'REMOVE':
      return { kind: 'remove', opId, checksum, ...rowOf(wire) }
    case 'MOVE':
      return { kind: 'move', opId, checksum }
    case 'CLEAR':
      return { kind: 'clear', opId, checksum }
    default:
      throw new HeadwaterError('bad-line', `Cannot read an operation: unknown kind ${JSON.stringify(name)}`)
  }
}

/** A subkey may be missing; the empty one then stands for it, equal only to itself. */
function rowOf(wire: WireObject): { type: string; id: string; subkey: string } {
  return {
    type: wire.string('object_type'),
    id: wire.string('object_id'),
    subkey: wire.has('subkey') ? wire.string('subkey') : '',
  }
}

function bucketOf(wire: WireObject): BucketName {
  return toBucketName(wire.string('bucket'))
}

function opIdOf(wire: WireObject, name: string): OpId {
  return parseOpId(wire.string(name))
}

function writeCheckpointOf(wire: WireObject): bigint | undefined {
  return wire.has('write_checkpoint') ? parseOpId(wire.string('write_checkpoint')) : undefined
}
