const SMALLEST_BYTES = 1_024

/** Pieces from this size on are handed on as they are; smaller ones are gathered, since each that is written costs. */
const BY_REFERENCE_BYTES = 8_192

/** Lines, gathered until they are worth handing on. */
export class LineBuffer {
  #parts: Uint8Array[] = []
  #gathered: Buffer | undefined
  #gatheredBytes = 0
  length = 0

  /** Pieces of one or more lines, in order. Large ones must not be changed afterwards. */
  push(...pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      this.length += piece.length
      if (piece.length >= BY_REFERENCE_BYTES) {
        this.#seal()
        this.#parts.push(piece)
        continue
      }
      this.#reserve(piece.length).set(piece, this.#gatheredBytes)
      this.#gatheredBytes += piece.length
    }
  }

  /** Whole lines that others may write too. */
  pushShared(lines: Uint8Array): void {
    this.#seal()
    this.#parts.push(lines)
    this.length += lines.length
  }

  /** What was gathered, in order, now the caller's; empty afterwards. */
  take(): readonly Uint8Array[] {
    this.#seal()
    const taken = this.#parts
    this.#parts = []
    this.length = 0
    return taken
  }

  #seal(): void {
    if (this.#gathered !== undefined) this.#parts.push(this.#gathered.subarray(0, this.#gatheredBytes))
    this.#gathered = undefined
    this.#gatheredBytes = 0
  }

  #reserve(more: number): Buffer {
    const needed = this.#gatheredBytes + more
    if (this.#gathered !== undefined && needed <= this.#gathered.length) return this.#gathered
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#gatheredBytes * 2, SMALLEST_BYTES))
    if (this.#gathered !== undefined) grown.set(this.#gathered.subarray(0, this.#gatheredBytes))
    this.#gathered = grown
    return grown
  }
}
