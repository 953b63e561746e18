import { BSON_TYPE } from './bson-type.ts'

const utf8 = new TextEncoder()

/** Up to this many characters a loop over them is quicker than a call into the platform's encoder. */
const LOOP_CHARS_MAX = 48

/**
 * Writes one BSON document after another into a buffer that grows and is used again.
 * Every `begin…` has its `end`, which fills in the length.
 */
export class BsonWriter {
  #bytes: Uint8Array
  #view: DataView
  #at = 0
  readonly #openAt: number[] = []

  constructor(bytesInitial: number) {
    this.#bytes = new Uint8Array(bytesInitial)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** The outermost document; what was written before is forgotten. */
  begin(): void {
    this.#at = 0
    this.#open()
  }

  beginDocument(name: string): void {
    this.#name(BSON_TYPE.document, name)
    this.#open()
  }

  beginArray(name: string): void {
    this.#name(BSON_TYPE.array, name)
    this.#open()
  }

  end(): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = 0
    const openedAt = this.#openAt.pop()
    if (openedAt === undefined) throw new RangeError('BSON document ended more often than begun')
    this.#view.setInt32(openedAt, this.#at - openedAt, true)
  }

  /** A copy of what was written. */
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.#at)
  }

  string(name: string, value: string): void {
    this.#name(BSON_TYPE.string, name)
    this.#reserve(5)
    const lengthAt = this.#at
    this.#at += 4
    this.#text(value)
    this.#reserve(1)
    this.#bytes[this.#at++] = 0
    this.#view.setInt32(lengthAt, this.#at - lengthAt - 4, true)
  }

  /** Whole numbers of 32 bits as int32, all others as double, which is what clients of the protocol expect. */
  number(name: string, value: number): void {
    const isInt32 = (value | 0) === value
    this.#name(isInt32 ? BSON_TYPE.int32 : BSON_TYPE.double, name)
    this.#reserve(8)
    if (isInt32) this.#view.setInt32(this.#at, value, true)
    else this.#view.setFloat64(this.#at, value, true)
    this.#at += isInt32 ? 4 : 8
  }

  boolean(name: string, value: boolean): void {
    this.#name(BSON_TYPE.boolean, name)
    this.#reserve(1)
    this.#bytes[this.#at++] = value ? 1 : 0
  }

  null(name: string): void {
    this.#name(BSON_TYPE.null, name)
  }

  #open(): void {
    this.#openAt.push(this.#at)
    this.#reserve(4)
    this.#at += 4
  }

  /** A name ends at its first zero byte, so one inside it cannot be written. */
  #name(type: number, name: string): void {
    if (name.includes('\0')) throw new RangeError('A BSON name cannot contain U+0000')
    this.#reserve(1)
    this.#bytes[this.#at++] = type
    this.#text(name)
    this.#reserve(1)
    this.#bytes[this.#at++] = 0
  }

  #text(text: string): void {
    this.#reserve(text.length * 3)
    if (text.length <= LOOP_CHARS_MAX && this.#ascii(text)) return
    this.#at += utf8.encodeInto(text, this.#bytes.subarray(this.#at)).written
  }

  /** False, with nothing written, when a character is not ASCII. Room for it must be there. */
  #ascii(text: string): boolean {
    const bytes = this.#bytes
    const start = this.#at
    for (let index = 0; index < text.length; index++) {
      const char = text.charCodeAt(index)
      if (char > 0x7f) return false
      bytes[start + index] = char
    }
    this.#at = start + text.length
    return true
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}
