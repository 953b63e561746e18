import { BSON_DEPTH_MAX, decodeBson, HeadwaterError, type RequestObject } from '@headwater/protocol'
import { JSON_DEPTH_MAX, parseRequestJson } from '@headwater/sync-config'

const TYPES = { 'application/json': 'json', 'application/bson': 'bson' } as const

/** How a client encodes what it sends. */
export type PayloadEncoding = (typeof TYPES)[keyof typeof TYPES]

/** Undefined for a type that is not served. */
export function findEncoding(mimeType: string): PayloadEncoding | undefined {
  return new Map(Object.entries(TYPES)).get(mimeType.toLowerCase())
}

/** Reads one object; `what` names it in messages. Throws `bad-request`. */
export function decodePayload(bytes: Uint8Array, encoding: PayloadEncoding, what: string): RequestObject {
  const value = decode(bytes, encoding, what)
  if (isObject(value)) return value
  throw new HeadwaterError('bad-request', `Cannot read the ${what}: expected an object`)
}

function decode(bytes: Uint8Array, encoding: PayloadEncoding, what: string): unknown {
  try {
    if (encoding === 'bson') return decodeBson(bytes)
    return parseRequestJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    const levels = encoding === 'bson' ? BSON_DEPTH_MAX : JSON_DEPTH_MAX
    throw new HeadwaterError(
      'bad-request',
      `Cannot read the ${what}: it is not ${encoding.toUpperCase()}, or nested deeper than ${levels} levels`,
      { cause },
    )
  }
}

function isObject(value: unknown): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
