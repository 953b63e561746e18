/** int32 length and the final zero. */
const DOCUMENT_BYTES_MIN = 5
const LENGTH_BYTES = 4

/** One whole document, in pieces that follow each other; views, not copies. */
export type DocumentPieces = readonly Uint8Array[]

/**
 * Finds the BSON documents in a stream of our own, whose chunks may end anywhere: each begins with its length, 4 bytes,
 * little-endian. Keeps one unfinished document at most.
 */
export class DocumentCutter {
  #begun: Uint8Array[] = []
  #begunBytes = 0

  /** No document was begun and not ended. */
  get isBetween(): boolean {
    return this.#begunBytes === 0
  }

  /** The documents that this chunk ends, in order. Throws a `RangeError` for what cannot be a document. */
  cut(chunk: Uint8Array): readonly DocumentPieces[] {
    const documents: DocumentPieces[] = []
    let start = 0
    for (;;) {
      const available = this.#begunBytes + chunk.length - start
      if (available < LENGTH_BYTES) break
      const missing = this.#readLength(chunk, start) - this.#begunBytes
      if (missing > chunk.length - start) break
      const last = chunk.subarray(start, start + missing)
      documents.push([...this.#begun, last])
      this.#begun = []
      this.#begunBytes = 0
      start += missing
    }
    if (start < chunk.length) this.#begun.push(chunk.subarray(start))
    this.#begunBytes += chunk.length - start
    return documents
  }

  #readLength(chunk: Uint8Array, start: number): number {
    let length = 0
    for (let index = LENGTH_BYTES - 1; index >= 0; index--) {
      length = length * 256 + this.#byteAt(index, chunk, start)
    }
    if (length < DOCUMENT_BYTES_MIN) throw new RangeError(`Cannot cut a document of ${length} bytes`)
    return length
  }

  #byteAt(index: number, chunk: Uint8Array, start: number): number {
    let before = 0
    for (const piece of this.#begun) {
      const byte = piece[index - before]
      if (byte !== undefined) return byte
      before += piece.length
    }
    return chunk[start + index - before] ?? 0
  }
}
