const SMALLEST_BYTES = 1_024

/** Whole lines, gathered until they are worth handing on. */
export class LineBuffer {
  #bytes: Buffer | undefined
  length = 0

  /** Copies the pieces of one or more lines. */
  push(...pieces: readonly Uint8Array[]): void {
    let more = 0
    for (const piece of pieces) more += piece.length
    const bytes = this.#reserve(more)
    for (const piece of pieces) {
      bytes.set(piece, this.length)
      this.length += piece.length
    }
  }

  /** What was gathered, now the caller's; empty afterwards. */
  take(): Uint8Array {
    const taken = this.#bytes?.subarray(0, this.length) ?? new Uint8Array(0)
    this.#bytes = undefined
    this.length = 0
    return taken
  }

  #reserve(more: number): Buffer {
    const needed = this.length + more
    if (this.#bytes !== undefined && needed <= this.#bytes.length) return this.#bytes
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.length * 2, SMALLEST_BYTES))
    if (this.#bytes !== undefined) grown.set(this.#bytes.subarray(0, this.length))
    this.#bytes = grown
    return grown
  }
}
