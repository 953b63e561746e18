import type { IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'
import { parseRequestJson } from '@headwater/sync-config'
import { HeadwaterError, type RequestObject, type RequestValue } from '@headwater/protocol'
import type { BodyRoom } from './answer.ts'
import { unreadable } from './unreadable.ts'

/** The body of a request, as far as it has one of these types. */
export type BodyType = 'application/json' | 'application/yaml'

/** Each piece that is unpacked costs a round through another thread. */
const INFLATED_CHUNK_BYTES = 64 * 1024

/** Requests of very many buckets shrink to a fifth or a twentieth; what shrinks to less is made to be unpacked. */
const INFLATED_RATIO_MAX = 100
const PACKED_PIECE_BYTES = 16 * 1024

/**
 * A JSON body. Plain text is an empty object, and so is no body at all.
 * Throws `bad-request`, `request-too-large`, `request-memory-full`, `unsupported-media-type`.
 */
export async function readJson(message: IncomingMessage, room: BodyRoom): Promise<RequestValue> {
  const text = await readText(message, room, ['application/json'])
  return text === undefined ? {} : parseBody(text)
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
  const body = parseBody(text)
  const value = isObject(body) ? body[field] : undefined
  return typeof value === 'string' ? value : undefined
}

/**
 * A JSON body as it comes, in pieces of some kilobytes. None without a body, and none of plain text.
 * Throws `bad-request`, `request-too-large`, `request-memory-full`, `unsupported-media-type`.
 */
export async function* readPieces(message: IncomingMessage, room: BodyRoom): AsyncGenerator<Buffer, void, undefined> {
  if (!hasBody(message)) return
  const isGzip = checkType(message, ['application/json'])
  const isJson = typeOf(message) === 'application/json'
  let isEmpty = true
  for await (const piece of readBytes(message, room, isGzip)) {
    isEmpty = false
    if (isJson) yield piece
  }
  if (isJson && isEmpty) throw emptyBody()
}

/** Undefined without a body, and for plain text. */
async function readText(
  message: IncomingMessage,
  room: BodyRoom,
  types: readonly BodyType[],
): Promise<string | undefined> {
  if (!hasBody(message)) return undefined
  const isGzip = checkType(message, types)
  const type = typeOf(message)
  const pieces: Buffer[] = []
  for await (const piece of readBytes(message, room, isGzip)) pieces.push(piece)
  if (type === 'text/plain') return undefined
  if (pieces.length === 0 && type === 'application/json') throw emptyBody()
  return Buffer.concat(pieces).toString()
}

/** Throws when there should be one. */
function hasBody(message: IncomingMessage): boolean {
  if (message.headers['transfer-encoding'] !== undefined || contentLength(message) > 0) return true
  if (typeOf(message) === 'application/json' && message.method === 'POST') throw emptyBody()
  return false
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

/** `room` bounds what comes: of a compressed body what comes out of it. */
async function* readBytes(
  message: IncomingMessage,
  { bytesMax, claim }: BodyRoom,
  isGzip: boolean,
): AsyncGenerator<Buffer, void, undefined> {
  if (contentLength(message) > bytesMax) throw tooLarge(bytesMax)
  const body = takeAll(message)
  let bytes = 0
  for await (const piece of isGzip ? inflate(body, bytesMax) : body) {
    bytes += piece.length
    if (bytes > bytesMax) throw tooLarge(bytesMax)
    claim?.hold(bytes)
    yield piece
  }
}

/**
 * What has come already is taken at once, as the whole of most bodies is: Node's own iterator listens to much that cannot
 * happen then. What nobody wants any more is let go: it would stand in the way of the answer, and of the next request.
 */
async function* takeAll(message: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  try {
    for (;;) {
      for (let piece = readNow(message); piece !== null; piece = readNow(message)) yield piece
      if (message.complete) return
      await untilMore(message)
    }
  } finally {
    message.resume()
  }
}

function readNow(message: IncomingMessage): Buffer | null {
  const piece: unknown = message.read()
  return Buffer.isBuffer(piece) ? piece : null
}

/** Until there may be something to read, or the end. Rejects when the client leaves before. */
function untilMore(message: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      message.off('readable', settle)
      message.off('close', settle)
      if (message.complete || !message.destroyed) resolve()
      else reject(message.errored ?? new Error('The client has left before the end of its request'))
    }
    message.on('readable', settle)
    message.on('close', settle)
    if (message.destroyed) settle()
  })
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

function parseBody(body: string): RequestValue {
  try {
    return parseRequestJson(body)
  } catch (cause) {
    throw unreadable('body', 'json', cause)
  }
}

function isObject(value: RequestValue): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
