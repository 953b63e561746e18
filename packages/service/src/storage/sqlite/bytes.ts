/** Up to here a loop in JavaScript is quicker than a call into the platform. The length of such a text is one byte. */
const LOOP_CHARACTERS_MAX = 64
const LOOP_BYTES_MAX = 64

/** A growing buffer, written from the front and used again after `reset`. */
export class ByteWriter {
  #bytes: Buffer
  length = 0

  constructor(bytes = 16_384) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes)
  }

  reset(): void {
    this.length = 0
  }

  /** An unsigned integer up to 2^53 - 1, seven bits a byte, least significant first. */
  varint(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.length++] = rest
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.length++] = value
  }

  uint32(value: number): void {
    this.#reserve(4)
    this.length = this.#bytes.writeUInt32LE(value, this.length)
  }

  /** UTF-8, without a length. Returns the bytes written. */
  text(value: string): number {
    this.#reserve(value.length * 3)
    if (value.length <= LOOP_CHARACTERS_MAX && this.#ascii(value)) return value.length
    const written = this.#bytes.write(value, this.length, 'utf8')
    this.length += written
    return written
  }

  /** UTF-8 behind its length in bytes. */
  prefixedText(value: string): void {
    if (value.length <= LOOP_CHARACTERS_MAX) {
      this.#reserve(1 + value.length)
      this.#bytes[this.length++] = value.length
      if (this.#ascii(value)) return
      this.length -= 1
    }
    this.varint(Buffer.byteLength(value, 'utf8'))
    this.text(value)
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** All that another writer holds. */
  append(other: ByteWriter): void {
    this.#reserve(other.length)
    if (other.length <= LOOP_BYTES_MAX) {
      for (let at = 0; at < other.length; at++) this.#bytes[this.length + at] = other.#bytes[at] ?? 0
    } else other.#bytes.copy(this.#bytes, this.length, 0, other.length)
    this.length += other.length
  }

  /** A view, good until the next write or reset. */
  view(from = 0): Uint8Array {
    return this.#bytes.subarray(from, this.length)
  }

  copy(): Uint8Array {
    const bytes = new Uint8Array(this.length)
    bytes.set(this.view())
    return bytes
  }

  /** Writes ASCII for which there is room, or nothing. */
  #ascii(value: string): boolean {
    const bytes = this.#bytes
    let at = this.length
    for (let n = 0; n < value.length; n++) {
      const code = value.charCodeAt(n)
      if (code >= 0x80) return false
      bytes[at++] = code
    }
    this.length = at
    return true
  }

  #reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.view())
    this.#bytes = grown
  }
}

/** Reads what `ByteWriter` wrote; reading past the end throws a RangeError. */
export class ByteReader {
  readonly #bytes: Buffer
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length
  }

  varint(): number {
    let byte = this.byte()
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    let scale = 0x80
    do {
      byte = this.byte()
      value += (byte & 0x7f) * scale
      scale *= 0x80
    } while (byte >= 0x80)
    return value
  }

  byte(): number {
    const value = this.#bytes[this.at++]
    if (value === undefined) throw new RangeError('Stored bytes end too early')
    return value
  }

  uint32(): number {
    const value = this.#bytes.readUInt32LE(this.at)
    this.at += 4
    return value
  }

  text(bytes: number): string {
    const from = this.at
    return this.#bytes.toString('utf8', from, this.#advance(bytes))
  }

  prefixedText(): string {
    const bytes = this.varint()
    return this.text(bytes)
  }

  /** A view. */
  raw(bytes: number): Uint8Array {
    const from = this.at
    return this.#bytes.subarray(from, this.#advance(bytes))
  }

  #advance(bytes: number): number {
    if (this.at + bytes > this.#bytes.length) throw new RangeError('Stored bytes end too early')
    this.at += bytes
    return this.at
  }
}
