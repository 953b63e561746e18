import { BSON_TYPE } from './bson-type.ts'

/** Operations in one format, back to back. */
export type OperationBytes = {
  readonly bytes: Uint8Array
  /** Where each operation's bytes end; what separates it from the next is included. */
  readonly ends: Uint32Array
}

/**
 * Operations as `formatOperation` writes them for `ndjson`, each with a comma behind it, as the elements of a BSON array
 * with the keys 0, 1, …: the documents that `encodeOperation` makes of the same operations, several times faster, since
 * nothing becomes a string between. Throws a RangeError when the bytes are not what `formatOperation` writes.
 */
export function transcodeToBson(ndjson: OperationBytes): OperationBytes {
  const count = ndjson.ends.length
  const transcoder = new BsonTranscoder(ndjson.bytes, ndjson.bytes.length + count * GROWTH_BYTES_MAX)
  const ends = new Uint32Array(count)
  let from = 0
  for (const [n, end] of ndjson.ends.entries()) {
    transcoder.key(n)
    ends[n] = transcoder.operation(from, end)
    from = end
  }
  return { bytes: transcoder.finish(), ends }
}

/** The documents `from` (included) to `to` (excluded) of such an array, without their keys. */
export function documentsOf({ bytes, ends }: OperationBytes, from: number, to: number): Uint8Array[] {
  const documents: Uint8Array[] = []
  for (let n = from; n < to; n++) {
    const start = n === 0 ? 0 : (ends[n - 1] ?? 0)
    documents.push(bytes.subarray(start + String(n).length + KEY_FRAME_BYTES, ends[n]))
  }
  return documents
}

/** Type and zero around a key. */
const KEY_FRAME_BYTES = 2

/**
 * So much larger is an operation in BSON at most: the names are longer by their types and lengths, the values never; and
 * there is a key of up to ten digits.
 */
const GROWTH_BYTES_MAX = 44

const QUOTE = 0x22
const BACKSLASH = 0x5c
const ZERO = 0x30

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0))

/** What stands before a value in the JSON, by its length, and in the BSON. */
type Frame = { readonly json: number; readonly bson: Words }

/** Bytes, four in each word, and zeros after the last. */
type Words = { readonly words: Int32Array; readonly length: number }

function wordsOf(text: string): Words {
  const view = new DataView(new ArrayBuffer(Math.ceil(text.length / 4) * 4))
  for (let n = 0; n < text.length; n++) view.setUint8(n, text.charCodeAt(n))
  return {
    words: Int32Array.from({ length: view.byteLength / 4 }, (_, n) => view.getInt32(n * 4, true)),
    length: text.length,
  }
}

const STRING = String.fromCharCode(BSON_TYPE.string)

const OP_ID: Frame = { json: '{"op_id":"'.length, bson: wordsOf(`${STRING}op_id\0`) }
const OBJECT_ID: Frame = { json: ',"object_id":"'.length, bson: wordsOf(`${STRING}object_id\0`) }
const CHECKSUM: Frame = { json: ',"checksum":'.length, bson: wordsOf('checksum\0') }
const SUBKEY: Frame = { json: ',"subkey":"'.length, bson: wordsOf(`${STRING}subkey\0`) }
const DATA: Frame = { json: ',"data":"'.length, bson: wordsOf(`${STRING}data\0`) }

/** The kind of an operation and, where it has a row, what stands before its type. */
const PUT = kindFrame('PUT', true)
const REMOVE = kindFrame('REMOVE', true)
const MOVE = kindFrame('MOVE', false)
const CLEAR = kindFrame('CLEAR', false)

function kindFrame(op: string, hasRow: boolean): Frame {
  const bson = `${STRING}op\0${String.fromCharCode(op.length + 1)}\0\0\0${op}\0`
  return hasRow
    ? { json: `,"op":"${op}","object_type":"`.length, bson: wordsOf(`${bson}${STRING}object_type\0`) }
    : { json: `,"op":"${op}"`.length, bson: wordsOf(bson) }
}

/** By the first letter, which tells them apart. */
const FRAME_OF_KIND: ReadonlyMap<number | undefined, Frame> = new Map([
  [0x50, PUT],
  [0x52, REMOVE],
  [0x4d, MOVE],
  [0x43, CLEAR],
])

const KIND_AT = ',"op":"'.length

class BsonTranscoder {
  readonly #json: Uint8Array
  readonly #bson: Uint8Array
  readonly #jsonView: DataView
  readonly #view: DataView
  /** In the JSON. */
  #from = 0
  /** In the BSON. */
  #to = 0

  constructor(json: Uint8Array, bytesMax: number) {
    this.#json = json
    this.#jsonView = new DataView(json.buffer, json.byteOffset, json.byteLength)
    this.#bson = new Uint8Array(bytesMax + INT32_BYTES)
    this.#view = new DataView(this.#bson.buffer)
  }

  /** Type and key of the next document. */
  key(index: number): void {
    const bson = this.#bson
    const digits = index < 10 ? 1 : index < 100 ? 2 : index < 1_000 ? 3 : String(index).length
    bson[this.#to] = BSON_TYPE.document
    let rest = index
    for (let at = this.#to + digits; at > this.#to; at--) {
      const tenth = Math.floor(rest / 10)
      bson[at] = ZERO + rest - tenth * 10
      rest = tenth
    }
    bson[this.#to + digits + 1] = 0
    this.#to += digits + KEY_FRAME_BYTES
  }

  /** The operation whose JSON and comma are in these bytes; returns where its document ends. */
  operation(from: number, end: number): number {
    const startedAt = this.#to
    this.#from = from
    this.#to += INT32_BYTES
    this.#string(OP_ID)
    const kind = FRAME_OF_KIND.get(this.#json[this.#from + KIND_AT])
    if (kind === undefined) throw new RangeError('A stored operation is of no known kind')
    const hasRow = kind === PUT || kind === REMOVE
    if (hasRow) {
      this.#string(kind)
      this.#string(OBJECT_ID)
    } else this.#head(kind)
    this.#checksum()
    if (hasRow) this.#string(SUBKEY)
    if (kind === PUT) this.#string(DATA)
    this.#bson[this.#to++] = 0
    // What is left are the closing brace and the comma.
    if (this.#from !== end - 2) throw new RangeError('A stored operation is not what was written')
    this.#view.setInt32(startedAt, this.#to - startedAt, true)
    return this.#to
  }

  finish(): Uint8Array {
    return this.#bson.subarray(0, this.#to)
  }

  /** Writes up to three bytes too many, which what follows writes over. */
  #head({ json, bson }: Frame): void {
    const { words, length } = bson
    const to = this.#to
    for (let n = 0; n < words.length; n++) this.#view.setInt32(to + n * INT32_BYTES, words[n] ?? 0, true)
    this.#from += json
    this.#to = to + length
  }

  #string(frame: Frame): void {
    this.#head(frame)
    const bson = this.#bson
    const json = this.#json
    const lengthAt = this.#to
    const wordsEnd = json.length - INT32_BYTES
    let from = this.#from
    let to = lengthAt + INT32_BYTES
    for (;;) {
      while (from <= wordsEnd) {
        const word = this.#jsonView.getInt32(from, true)
        const special = zeroBytes(word ^ QUOTES) | zeroBytes(word ^ BACKSLASHES)
        this.#view.setInt32(to, word, true)
        const plain = special === 0 ? INT32_BYTES : firstByte(special)
        from += plain
        to += plain
        if (special !== 0) break
      }
      const byte = json[from++]
      if (byte === QUOTE) break
      if (byte === undefined) throw new RangeError('A stored operation ends too early')
      if (byte !== BACKSLASH) bson[to++] = byte
      else {
        const char = json[from++] ?? 0
        const short = SHORT_ESCAPES[char] ?? 0
        if (short !== 0) bson[to++] = short
        else {
          this.#from = from
          this.#to = to
          this.#unicodeEscape()
          from = this.#from
          to = this.#to
        }
      }
    }
    bson[to++] = 0
    this.#view.setInt32(lengthAt, to - lengthAt - INT32_BYTES, true)
    this.#from = from
    this.#to = to
  }

  /** Behind `\u`: a character that has to be escaped, or a half of a pair without the other, which no UTF-8 can hold. */
  #unicodeEscape(): void {
    let code = 0
    for (let n = 0; n < 4; n++) code = (code << 4) | hexDigit(this.#json[this.#from++] ?? 0)
    const bson = this.#bson
    if (code < 0x80) bson[this.#to++] = code
    else if (code < 0x800) {
      bson[this.#to++] = 0xc0 | (code >> 6)
      bson[this.#to++] = 0x80 | (code & 0x3f)
    } else {
      const isSurrogate = (code & 0xf800) === 0xd800
      const char = isSurrogate ? REPLACEMENT_CHARACTER : code
      bson[this.#to++] = 0xe0 | (char >> 12)
      bson[this.#to++] = 0x80 | ((char >> 6) & 0x3f)
      bson[this.#to++] = 0x80 | (char & 0x3f)
    }
  }

  /** As `BsonWriter.number` writes it. */
  #checksum(): void {
    const typeAt = this.#to++
    this.#head(CHECKSUM)
    const json = this.#json
    let from = this.#from
    let value = 0
    for (;;) {
      const digit = (json[from] ?? 0) - ZERO
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
      from += 1
    }
    this.#from = from
    const isInt32 = (value | 0) === value
    this.#bson[typeAt] = isInt32 ? BSON_TYPE.int32 : BSON_TYPE.double
    if (isInt32) this.#view.setInt32(this.#to, value, true)
    else this.#view.setFloat64(this.#to, value, true)
    this.#to += isInt32 ? INT32_BYTES : DOUBLE_BYTES
  }
}

/** Four of them, as one word. */
const QUOTES = 0x22222222
const BACKSLASHES = 0x5c5c5c5c

/** The highest bit of the first of the four bytes that is 0, and maybe of later ones; 0 when none is. */
function zeroBytes(word: number): number {
  return (word - 0x01010101) & ~word & 0x80808080
}

/** Which of the four bytes has the lowest bit that is set. */
function firstByte(bits: number): number {
  return (31 - Math.clz32(bits & -bits)) >> 3
}

const INT32_BYTES = 4
const DOUBLE_BYTES = 8

const REPLACEMENT_CHARACTER = 0xfffd

/** What one letter behind a backslash stands for; 0 for `u`. */
const SHORT_ESCAPES = new Uint8Array(256)
for (const [letter, char] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t'].map((pair) => ascii(pair))) {
  SHORT_ESCAPES[letter ?? 0] = char ?? 0
}

function hexDigit(char: number): number {
  return char <= 0x39 ? char - 0x30 : (char | 0x20) - 0x57
}
