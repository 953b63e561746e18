import { decodeBson, HeadwaterError, type RequestObject, type RequestValue } from '@headwater/protocol'
import { parseRequestJson } from '@headwater/sync-config'
import type { Turn } from '@headwater/sync-config'
import { readSyncRequest, type ReceivedRequest } from './read-sync-request.ts'
import { type PayloadEncoding, unreadable } from './unreadable.ts'

const ENCODINGS: ReadonlyMap<string, PayloadEncoding> = new Map([
  ['application/json', 'json'],
  ['application/bson', 'bson'],
])

/** As much as the head of an HTTP request may have, whose place it takes. */
const METADATA_BYTES_MAX = 32 * 1024

/** Of a request, which is read in steps. */
const PIECE_BYTES = 64 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Undefined for a type that is not served. */
export function findEncoding(mimeType: string): PayloadEncoding | undefined {
  return ENCODINGS.get(mimeType.toLowerCase())
}

/** Reads the fields of metadata; `what` names them in messages. Throws `bad-request`, `request-too-large`. */
export function decodeMetadata(bytes: Uint8Array, encoding: PayloadEncoding, what: string): RequestObject {
  if (bytes.length > METADATA_BYTES_MAX) {
    throw new HeadwaterError(
      'request-too-large',
      `Cannot read the ${what}: expected at most ${METADATA_BYTES_MAX} bytes, got ${bytes.length}`,
    )
  }
  return expectObject(decode(bytes, encoding, what), what)
}

function decode(bytes: Uint8Array, encoding: PayloadEncoding, what: string): RequestValue {
  try {
    if (encoding === 'bson') return decodeBson(bytes)
    return parseRequestJson(utf8.decode(bytes))
  } catch (cause) {
    throw unreadable(what, encoding, cause)
  }
}

/** Reads the data of a request for a sync stream. Throws `bad-request`, `request-too-large`. */
export function readData(bytes: Uint8Array, encoding: PayloadEncoding, turn: Turn): Promise<ReceivedRequest> {
  const what = 'request'
  return readSyncRequest(piecesOf(bytes, encoding), {
    what,
    encoding,
    fieldsOf: (rest) => expectObject(rest, what),
    turn,
  })
}

/** BSON is read by its lengths, and so in one piece. */
function* piecesOf(bytes: Uint8Array, encoding: PayloadEncoding): Generator<Uint8Array, void, undefined> {
  const length = encoding === 'bson' ? bytes.length : PIECE_BYTES
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

function expectObject(value: RequestValue, what: string): RequestObject {
  if (isObject(value)) return value
  throw new HeadwaterError('bad-request', `Cannot read the ${what}: expected an object`)
}

function isObject(value: RequestValue): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
