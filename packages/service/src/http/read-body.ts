import type { IncomingMessage } from 'node:http'
import { parseRequestJson } from '@headwater/sync-config'
import { HeadwaterError, type RequestObject } from '@headwater/protocol'

/**
 * The fields of a JSON body. A body that is no object, or plain text, has none; so has no body at all.
 * Throws `bad-request`, `request-too-large`, `unsupported-media-type`.
 */
export async function readFields(message: IncomingMessage, bytesMax: number): Promise<RequestObject> {
  const type = message.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  const isExpected = message.headers['transfer-encoding'] !== undefined || contentLength(message) > 0
  if (!isExpected) {
    if (type === 'application/json' && message.method === 'POST') {
      throw new HeadwaterError('bad-request', 'Cannot read the body: expected JSON, got nothing')
    }
    return {}
  }
  checkType(message, type)
  const body = await readBytes(message, bytesMax)
  return type === 'application/json' ? parseFields(body) : {}
}

function checkType(message: IncomingMessage, type: string | undefined): void {
  if (type !== 'application/json' && type !== 'text/plain') {
    throw new HeadwaterError(
      'unsupported-media-type',
      `Cannot read the body: expected application/json, got ${JSON.stringify(type ?? 'no type')}`,
    )
  }
  const encoding = message.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HeadwaterError(
      'unsupported-media-type',
      `Cannot read the body: expected no content encoding, got ${JSON.stringify(encoding)}`,
    )
  }
}

function contentLength(message: IncomingMessage): number {
  return Number(message.headers['content-length'] ?? 0)
}

async function readBytes(message: IncomingMessage, bytesMax: number): Promise<Buffer> {
  if (contentLength(message) > bytesMax) throw tooLarge(bytesMax)
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of message.iterator({ destroyOnReturn: false })) {
    const buffer: Buffer = piece
    bytes += buffer.length
    if (bytes > bytesMax) throw tooLarge(bytesMax)
    pieces.push(buffer)
  }
  return Buffer.concat(pieces)
}

function tooLarge(bytesMax: number): HeadwaterError {
  return new HeadwaterError('request-too-large', `Cannot read the body: it is longer than ${bytesMax} bytes`)
}

function parseFields(body: Buffer): RequestObject {
  let value: unknown
  try {
    value = parseRequestJson(body.toString())
  } catch (cause) {
    throw new HeadwaterError('bad-request', 'Cannot read the body: it is not JSON', { cause })
  }
  return isObject(value) ? value : {}
}

function isObject(value: unknown): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
