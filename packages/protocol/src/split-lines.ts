import { HeadwaterError } from './errors.ts'

/** A line holds about 1 MiB of rows, or one row of up to 15 MiB, which escaping can double; beyond this something is wrong. */
export const LINE_BYTES_MAX = 64 * 1024 * 1024

const LINE_FEED = 0x0a

/** int32 length and the final zero. */
const BSON_BYTES_MIN = 5

/**
 * Cuts a byte stream into the texts of its lines, without line feeds. Keeps at most one line, of `bytesMax`.
 * Throws `truncated-stream` when the stream ends inside a line, and `bad-line` for a line too long or not UTF-8.
 */
export async function* splitNdjson(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax = LINE_BYTES_MAX,
): AsyncGenerator<string, void, undefined> {
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const begun = new Pieces(bytesMax)
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      const line = begun.concat(chunk.subarray(start, end))
      start = end + 1
      if (line.length > 0) yield decodeText(utf8, line)
    }
    begun.push(chunk.slice(start))
  }
  begun.assertEmpty()
}

/**
 * Cuts a byte stream into BSON documents by their length prefixes. Keeps at most one document, of `bytesMax`.
 * Throws `truncated-stream` when the stream ends inside a document, and `bad-line` for an impossible length.
 */
export async function* splitBson(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax = LINE_BYTES_MAX,
): AsyncGenerator<Uint8Array, void, undefined> {
  const begun = new Pieces(bytesMax)
  let lengthWanted = 4
  for await (const chunk of chunks) {
    let start = 0
    while (begun.length + chunk.length - start >= lengthWanted) {
      const end = start + lengthWanted - begun.length
      const bytes = begun.concat(chunk.subarray(start, end))
      start = end
      const length = readLength(bytes, bytesMax)
      if (length === bytes.length) {
        yield bytes
        lengthWanted = 4
      } else {
        begun.push(bytes)
        lengthWanted = length
      }
    }
    begun.push(chunk.slice(start))
  }
  begun.assertEmpty()
}

function readLength(bytes: Uint8Array, bytesMax: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(0, true)
  if (length < BSON_BYTES_MIN || length > bytesMax) {
    throw new HeadwaterError(
      'bad-line',
      `Cannot read a line: expected a document of ${BSON_BYTES_MIN} to ${bytesMax} bytes, got a length of ${length}`,
    )
  }
  return length
}

function decodeText(utf8: TextDecoder, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new HeadwaterError('bad-line', `Cannot read a line of ${bytes.length} bytes: it is not UTF-8`, { cause })
  }
}

/** The beginning of a line whose end has not arrived. */
class Pieces {
  length = 0
  readonly #bytesMax: number
  #pieces: Uint8Array[] = []

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#grow(piece.length)
    this.#pieces.push(piece)
  }

  /** Everything kept, then `last`; nothing is kept afterwards. */
  concat(last: Uint8Array): Uint8Array {
    this.#grow(last.length)
    if (this.#pieces.length === 0) {
      this.length = 0
      return last
    }
    const whole = new Uint8Array(this.length)
    let at = 0
    for (const piece of [...this.#pieces, last]) {
      whole.set(piece, at)
      at += piece.length
    }
    this.#pieces = []
    this.length = 0
    return whole
  }

  assertEmpty(): void {
    if (this.length === 0) return
    throw new HeadwaterError('truncated-stream', `Cannot read the stream: it ended ${this.length} bytes into a line`)
  }

  #grow(bytes: number): void {
    this.length += bytes
    if (this.length > this.#bytesMax) {
      throw new HeadwaterError('bad-line', `Cannot read a line: expected at most ${this.#bytesMax} bytes, got more`)
    }
  }
}
