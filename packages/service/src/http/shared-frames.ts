import type { DocumentCutter } from './cut-documents.ts'
import { encodeNext } from './rsocket-frame.ts'

/** Longer chunks are not of those that go to many. */
const KEPT_BYTES_MAX = 64 * 1024

/**
 * The frames of chunks. Streams that are told the same are handed the same chunk, one after the other, and most have the
 * same id on their connection: the frames of the last chunk are kept for the next of them, which must not change them.
 */
export class SharedFrames {
  #chunk: Uint8Array | undefined
  #streamId = 0
  #frames: readonly Uint8Array[] = []

  /** A frame for each document that `chunk` ends, in order. Throws as `DocumentCutter.cut`. */
  cut(documents: DocumentCutter, chunk: Uint8Array, streamId: number): readonly Uint8Array[] {
    const beginsWhole = documents.isBetween
    if (beginsWhole && chunk === this.#chunk && streamId === this.#streamId) return this.#frames
    const frames = documents.cut(chunk).map((pieces) => encodeNext(streamId, pieces))
    if (beginsWhole && documents.isBetween && chunk.length <= KEPT_BYTES_MAX) {
      this.#chunk = chunk
      this.#streamId = streamId
      this.#frames = frames
    }
    return frames
  }
}
