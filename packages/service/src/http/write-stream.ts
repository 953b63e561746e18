import type { ServerResponse } from 'node:http'
import type { Transform } from 'node:stream'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import type { StreamAnswer } from './answer.ts'
import { CORS_HEADERS } from './cors.ts'
import type { ContentEncoding } from './negotiate.ts'
import type { SlowReaders } from './slow-readers.ts'

/** Bytes that may wait in memory for one client, besides the chunk being written: enough to keep a socket busy. */
const WAITING_BYTES_MAX = 128 * 1024

/**
 * Who understands that a stream has failed leaves by itself in this time, and the others are cut off after it. Sooner,
 * what they have received and not yet decompressed would be lost to them (seen with Node 24.21: 29 lines of 30).
 */
const LAST_LINE_MS = 250

/** Before the first byte a failure can still be an HTTP error; after it the connection is cut. */
export type Written = { readonly headersSent: boolean; readonly bytesSent: number; readonly error: unknown }

/**
 * Writes a stream to its client: headers with the first chunk, every chunk flushed, never more in memory than the client
 * takes. Never rejects. When the stream fails after the first byte the client is told why, and the response is cut off,
 * without its final chunk, so that nobody takes it for a normal end.
 */
export async function writeStream(
  answer: StreamAnswer,
  response: ServerResponse,
  slowReaders: SlowReaders,
): Promise<Written> {
  const chunks = answer.chunks[Symbol.asyncIterator]()
  const writer = new ChunkWriter(answer, response, slowReaders)
  let error: unknown
  try {
    // Called for each chunk: a loop over the chunks themselves would hold the last one while it waits for the next.
    while (await chunks.next().then(writer.take));
  } catch (failure) {
    error = failure
    if (response.headersSent) {
      await writer.take({ value: answer.tellFailure(failure), done: false })
      await cutOff(response)
    }
  }
  await chunks.return?.()
  return { headersSent: response.headersSent, bytesSent: writer.bytesSent, error }
}

class ChunkWriter {
  bytesSent = 0
  readonly #answer: StreamAnswer
  readonly #response: ServerResponse
  readonly #slowReaders: SlowReaders
  #write: Write | undefined

  constructor(answer: StreamAnswer, response: ServerResponse, slowReaders: SlowReaders) {
    this.#answer = answer
    this.#response = response
    this.#slowReaders = slowReaders
  }

  /** False when no more can be written. */
  readonly take = (next: IteratorResult<Uint8Array>): boolean | Promise<boolean> => {
    if (next.done === true) return this.#end()
    if (this.#response.destroyed) return false
    const { length } = next.value
    this.#write ??= beginResponse(this.#answer, this.#response)
    const room = this.#write(next.value)
    this.bytesSent += length
    return room === undefined || this.#untilRoom(room, WAITING_BYTES_MAX + length)
  }

  async #end(): Promise<false> {
    if (this.#write !== undefined) await this.#write(undefined)
    return false
  }

  async #untilRoom(room: Promise<void>, bytes: number): Promise<true> {
    const { userId } = this.#answer
    const proceed = this.#slowReaders.wait({ userId, bytes, cutOff: () => this.#response.destroy() })
    await room
    proceed()
    return true
  }
}

/** What was written still arrives; the final chunk of the transfer coding never does. */
async function cutOff(response: ServerResponse): Promise<void> {
  if (response.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  response.once('close', resolve)
  const timeout = setTimeout(resolve, LAST_LINE_MS)
  await promise
  clearTimeout(timeout)
  response.socket?.destroySoon()
}

/** Writes one chunk, or undefined for the end. Resolves when there is room for the next, or the client is gone. */
type Write = (chunk: Uint8Array | undefined) => Promise<void> | undefined

function beginResponse({ encoding, headers }: StreamAnswer, response: ServerResponse): Write {
  const coding = encoding === 'identity' ? {} : { 'Content-Encoding': encoding }
  // What is written in this turn, such as the first chunk, leaves in one system call with the head.
  const { socket } = response
  socket?.cork()
  process.nextTick(() => socket?.uncork())
  // As a list, and at once: Node keeps no table of them then, and one plain text instead of all its parts.
  response.writeHead(200, Object.entries({ ...CORS_HEADERS, ...headers, ...coding }).flat())
  response.flushHeaders()
  if (encoding === 'identity') return (chunk) => writePlain(response, chunk)
  const compressor = pipeCompressed(encoding, response)
  return (chunk) => writeCompressed(compressor, chunk)
}

function writePlain(response: ServerResponse, chunk: Uint8Array | undefined): Promise<void> | undefined {
  if (chunk === undefined) {
    response.end()
    return undefined
  }
  if (response.write(chunk) || response.writableLength < WAITING_BYTES_MAX) return undefined
  return new Promise((resolve) => {
    const proceed = (): void => {
      response.off('drain', proceed)
      response.off('close', proceed)
      resolve()
    }
    response.once('drain', proceed)
    response.once('close', proceed)
  })
}

/** The compressor waits for the client, so a chunk that has gone through it is a chunk that the client has room for. */
function writeCompressed(compressor: Transform, chunk: Uint8Array | undefined): Promise<void> | undefined {
  if (chunk === undefined) {
    compressor.end()
    return undefined
  }
  return new Promise((resolve) => {
    const proceed = (): void => {
      compressor.off('close', proceed)
      resolve()
    }
    // A compressor that waits for its reader and is destroyed forgets the chunk that it was given (seen with 24.21).
    compressor.once('close', proceed)
    compressor.write(chunk, proceed)
  })
}

function pipeCompressed(encoding: Exclude<ContentEncoding, 'identity'>, response: ServerResponse): Transform {
  const compressor = encoding === 'gzip' ? createGzip(GZIP) : createZstdCompress(ZSTD)
  compressor.on('error', () => response.destroy())
  response.once('close', () => compressor.destroy())
  compressor.pipe(response)
  return compressor
}

/**
 * Windows are small because every open stream keeps its compressor: 116 KiB for gzip and 174 KiB for zstd, against 279
 * and 402 KiB with the usual settings, while a stream of rows shrinks as much (2.9 and 3.3 times).
 */
const GZIP = { flush: constants.Z_SYNC_FLUSH, level: 1, memLevel: 5, windowBits: 12 }
const ZSTD = {
  flush: constants.ZSTD_e_flush,
  params: {
    [constants.ZSTD_c_compressionLevel]: 1,
    [constants.ZSTD_c_windowLog]: 15,
    [constants.ZSTD_c_hashLog]: 13,
  },
}
