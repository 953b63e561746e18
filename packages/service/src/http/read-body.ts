import type { IncomingMessage } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import { JSON_DEPTH_MAX, parseRequestJson } from '@headwater/sync-config'
import { HeadwaterError, type RequestObject } from '@headwater/protocol'
import type { BodyRoom } from './answer.ts'

/** The body of a request, as far as it has one of these types. */
export type BodyType = 'application/json' | 'application/yaml'

/** Each piece that is unpacked costs a round through another thread. */
const INFLATED_CHUNK_BYTES = 64 * 1024

/** Requests of very many buckets shrink to a fifth or a twentieth; what shrinks to less is made to be unpacked. */
const INFLATED_RATIO_MAX = 100
const PACKED_PIECE_BYTES = 16 * 1024

/** To read so long a body takes milliseconds, so others run between its steps. */
const LONG_BYTES = 256 * 1024

/**
 * The fields of a JSON body. A body that is no object, or plain text, has none; so has no body at all.
 * Throws `bad-request`, `request-too-large`, `request-memory-full`, `unsupported-media-type`.
 */
export async function readFields(message: IncomingMessage, room: BodyRoom): Promise<RequestObject> {
  const text = await readText(message, room, ['application/json'])
  return text === undefined ? {} : parseFields(text)
}

/**
 * A body that is a document: YAML as it is, or JSON whose field `field` has it. Undefined when there is none.
 * Throws `bad-request`, `request-too-large`, `request-memory-full`, `unsupported-media-type`.
 */
export async function readDocument(
  message: IncomingMessage,
  room: BodyRoom,
  field: string,
): Promise<string | undefined> {
  const text = await readText(message, room, ['application/json', 'application/yaml'])
  if (text === undefined || typeOf(message) === 'application/yaml') return text
  const value = parseFields(text)[field]
  return typeof value === 'string' ? value : undefined
}

/** Undefined without a body, and for plain text. */
async function readText(
  message: IncomingMessage,
  room: BodyRoom,
  types: readonly BodyType[],
): Promise<string | undefined> {
  const type = typeOf(message)
  const isExpected = message.headers['transfer-encoding'] !== undefined || contentLength(message) > 0
  if (!isExpected) {
    if (type === 'application/json' && message.method === 'POST') throw emptyBody()
    return undefined
  }
  const isGzip = checkType(message, types)
  const body = await readBytes(message, room, isGzip)
  if (type === 'text/plain') return undefined
  if (body.length === 0 && type === 'application/json') throw emptyBody()
  if (body.length < LONG_BYTES) return body.toString()
  await setImmediate()
  const text = body.toString()
  await setImmediate()
  return text
}

function typeOf(message: IncomingMessage): string | undefined {
  return message.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
}

/** True when the body is compressed. */
function checkType(message: IncomingMessage, types: readonly string[]): boolean {
  const type = typeOf(message)
  if (type === undefined || (type !== 'text/plain' && !types.includes(type))) {
    throw unsupported(`expected ${types.join(' or ')}, got ${JSON.stringify(type ?? 'no type')}`)
  }
  const encoding = message.headers['content-encoding']?.trim().toLowerCase()
  if (encoding === undefined || encoding === 'identity') return false
  if (encoding === 'gzip') return true
  throw unsupported(`expected no content encoding, or gzip, got ${JSON.stringify(encoding)}`)
}

function contentLength(message: IncomingMessage): number {
  return Number(message.headers['content-length'] ?? 0)
}

/** `room` bounds what is held: of a compressed body what comes out of it. */
async function readBytes(message: IncomingMessage, room: BodyRoom, isGzip: boolean): Promise<Buffer> {
  if (contentLength(message) > room.bytesMax) throw tooLarge(room.bytesMax)
  const body = message.iterator({ destroyOnReturn: false })
  return gather(isGzip ? inflate(body, room.bytesMax) : body, room)
}

async function gather(chunks: AsyncIterable<Buffer>, { bytesMax, claim }: BodyRoom): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of chunks) {
    bytes += piece.length
    if (bytes > bytesMax) throw tooLarge(bytesMax)
    claim?.hold(bytes)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** Takes on no more than is asked for, so that a small body that unpacks into a huge one is left as soon as it is too long. */
async function* inflate(chunks: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: INFLATED_CHUNK_BYTES })
  // Ends by itself with the body, or with the first chunk that nobody wants any more.
  const fed = { bytes: 0 }
  void feed(chunks, gunzip, fed)
  let bytes = 0
  try {
    for await (const piece of gunzip) {
      bytes += piece.length
      if (bytes > INFLATED_CHUNK_BYTES + fed.bytes * INFLATED_RATIO_MAX) throw tooLarge(bytesMax)
      yield piece
    }
  } catch (cause) {
    if (cause instanceof HeadwaterError) throw cause
    throw new HeadwaterError('bad-request', 'Cannot read the body: it is not whole gzip', { cause })
  } finally {
    gunzip.destroy()
  }
}

/** Never rejects: what fails here fails the reader of `gunzip`. */
async function feed(
  chunks: AsyncIterable<Buffer>,
  gunzip: ReturnType<typeof createGunzip>,
  fed: { bytes: number },
): Promise<void> {
  try {
    for await (const chunk of cut(chunks)) {
      if (gunzip.destroyed) return
      fed.bytes += chunk.length
      await new Promise<void>((resolve) => {
        gunzip.once('close', resolve)
        gunzip.write(chunk, () => {
          gunzip.off('close', resolve)
          resolve()
        })
      })
    }
    gunzip.end()
  } catch (error) {
    gunzip.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}

/** In small pieces, so that it is soon seen when much comes out of little. */
async function* cut(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PACKED_PIECE_BYTES) yield chunk.subarray(at, at + PACKED_PIECE_BYTES)
  }
}

function emptyBody(): HeadwaterError {
  return new HeadwaterError('bad-request', 'Cannot read the body: expected JSON, got nothing')
}

function unsupported(problem: string): HeadwaterError {
  return new HeadwaterError('unsupported-media-type', `Cannot read the body: ${problem}`)
}

function tooLarge(bytesMax: number): HeadwaterError {
  return new HeadwaterError('request-too-large', `Cannot read the body: it is longer than ${bytesMax} bytes`)
}

function parseFields(body: string): RequestObject {
  let value: unknown
  try {
    value = parseRequestJson(body)
  } catch (cause) {
    throw new HeadwaterError(
      'bad-request',
      `Cannot read the body: it is not JSON, or nested deeper than ${JSON_DEPTH_MAX} levels`,
      { cause },
    )
  }
  return isObject(value) ? value : {}
}

function isObject(value: unknown): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
