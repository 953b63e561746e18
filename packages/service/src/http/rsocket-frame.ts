/**
 * Frames of RSocket 1.0 as the sync protocol uses them: one frame in each binary WebSocket message, without a length
 * before it. All integers are big-endian.
 *
 *     offset  bytes  field
 *          0      4  stream id, 31 bits; 0 is the connection itself
 *          4      2  type in the upper 6 bits, flags in the lower 10
 *          6    any  what the type says
 *
 * Metadata, where the flag METADATA says that there is some, has its length in 3 bytes before it; data goes on to the
 * end of the frame. Source: rsocket.io, "RSocket Protocol", version 1.0.
 */

const HEADER_BYTES = 6

const TYPE = {
  setup: 1,
  lease: 2,
  keepalive: 3,
  requestStream: 6,
  requestN: 8,
  cancel: 9,
  payload: 10,
  error: 11,
  metadataPush: 12,
  resume: 13,
} as const

const FLAG = {
  ignore: 0x200,
  metadata: 0x100,
  /** REQUEST_STREAM: a fragment, more follow. */
  follows: 0x80,
  /** KEEPALIVE: an answer is wanted. */
  respond: 0x80,
  /** SETUP. */
  resume: 0x80,
  /** SETUP. */
  lease: 0x40,
  /** PAYLOAD. */
  complete: 0x40,
  /** PAYLOAD. */
  next: 0x20,
} as const

/** What an ERROR frame may say before its text. */
export const RSOCKET_ERROR = {
  unsupportedSetup: 0x002,
  rejectedSetup: 0x003,
  rejectedResume: 0x004,
  connectionError: 0x101,
  applicationError: 0x201,
} as const

export type RsocketError = (typeof RSOCKET_ERROR)[keyof typeof RSOCKET_ERROR]

/** Views into the message that was decoded, not copies. */
export type ClientFrame =
  | {
      readonly kind: 'setup'
      readonly majorVersion: number
      readonly wantsResume: boolean
      readonly wantsLease: boolean
      /** The connection may be closed when nothing came for so long. */
      readonly lifetimeMs: number
      readonly metadataType: string
      readonly dataType: string
      readonly metadata: Uint8Array | undefined
    }
  | { readonly kind: 'keepalive'; readonly mustRespond: boolean; readonly data: Uint8Array }
  | {
      readonly kind: 'request-stream'
      readonly streamId: number
      /** Payloads that may be sent at first. */
      readonly credit: number
      readonly metadata: Uint8Array | undefined
      readonly data: Uint8Array
    }
  | { readonly kind: 'request-n'; readonly streamId: number; readonly credit: number }
  | { readonly kind: 'cancel'; readonly streamId: number }
  /** An ERROR of the client: on stream 0 it ends the connection. */
  | { readonly kind: 'error'; readonly streamId: number }
  | { readonly kind: 'resume' }
  /** What may be passed over. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'malformed'; readonly problem: string }

/** Reads one frame of a client. Never throws: whatever cannot be read is `malformed`. */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame {
  if (bytes.length < HEADER_BYTES) return malformed(`a frame has at least ${HEADER_BYTES} bytes, got ${bytes.length}`)
  const reader = new FrameReader(bytes)
  const streamId = reader.integer(4) & 0x7fffffff
  const typeAndFlags = reader.integer(2)
  const type = typeAndFlags >> 10
  const flags = typeAndFlags & 0x3ff
  const frame = decodeBody(type, flags, streamId, reader)
  return reader.isCut ? malformed(`the frame of type ${type} is cut off at its end`) : frame
}

function decodeBody(type: number, flags: number, streamId: number, reader: FrameReader): ClientFrame {
  switch (type) {
    case TYPE.setup:
      return streamId === 0 ? decodeSetup(flags, reader) : malformed('SETUP belongs on stream 0')
    case TYPE.keepalive:
      if (streamId !== 0) return malformed('KEEPALIVE belongs on stream 0')
      reader.bytes(8) // The position for resumption.
      return { kind: 'keepalive', mustRespond: (flags & FLAG.respond) !== 0, data: reader.rest() }
    case TYPE.requestStream:
      return decodeRequestStream(flags, streamId, reader)
    case TYPE.requestN:
      return { kind: 'request-n', streamId, credit: reader.integer(4) }
    case TYPE.cancel:
      return { kind: 'cancel', streamId }
    case TYPE.error:
      return { kind: 'error', streamId }
    case TYPE.resume:
      return { kind: 'resume' }
    case TYPE.metadataPush:
      return { kind: 'ignored' }
    default:
      return (flags & FLAG.ignore) !== 0 ? { kind: 'ignored' } : malformed(`frames of type ${type} are not served here`)
  }
}

function decodeSetup(flags: number, reader: FrameReader): ClientFrame {
  const majorVersion = reader.integer(2)
  reader.integer(2) // The minor version.
  reader.integer(4) // How often the client sends KEEPALIVE.
  const lifetimeMs = reader.integer(4)
  const wantsResume = (flags & FLAG.resume) !== 0
  if (wantsResume) reader.bytes(reader.integer(2))
  const metadataType = reader.ascii(reader.integer(1))
  const dataType = reader.ascii(reader.integer(1))
  const metadata = (flags & FLAG.metadata) === 0 ? undefined : reader.bytes(reader.integer(3))
  const wantsLease = (flags & FLAG.lease) !== 0
  return { kind: 'setup', majorVersion, wantsResume, wantsLease, lifetimeMs, metadataType, dataType, metadata }
}

function decodeRequestStream(flags: number, streamId: number, reader: FrameReader): ClientFrame {
  if (streamId % 2 === 0) return malformed(`a client's streams have odd ids, got ${streamId}`)
  if ((flags & FLAG.follows) !== 0) return malformed('a request in several fragments is not served here')
  const credit = reader.integer(4)
  const metadata = (flags & FLAG.metadata) === 0 ? undefined : reader.bytes(reader.integer(3))
  return { kind: 'request-stream', streamId, credit, metadata, data: reader.rest() }
}

function malformed(problem: string): ClientFrame {
  return { kind: 'malformed', problem }
}

/** An answer to KEEPALIVE, with the data that it came with. */
export function encodeKeepalive(data: Uint8Array): Uint8Array {
  const frame = beginFrame(0, TYPE.keepalive, 0, 8 + data.length)
  frame.fill(0, HEADER_BYTES, HEADER_BYTES + 8)
  frame.set(data, HEADER_BYTES + 8)
  return frame
}

/** One value of a stream; `pieces` follow each other without anything between them. */
export function encodeNext(streamId: number, pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
  const frame = beginFrame(streamId, TYPE.payload, FLAG.next, bytes)
  let at = HEADER_BYTES
  for (const piece of pieces) {
    frame.set(piece, at)
    at += piece.length
  }
  return frame
}

/** The normal end of a stream. */
export function encodeComplete(streamId: number): Uint8Array {
  return beginFrame(streamId, TYPE.payload, FLAG.complete, 0)
}

export function encodeError(streamId: number, code: RsocketError, text: string): Uint8Array {
  const message = Buffer.from(text)
  const frame = beginFrame(streamId, TYPE.error, 0, 4 + message.length)
  frame.writeUInt32BE(code, HEADER_BYTES)
  frame.set(message, HEADER_BYTES + 4)
  return frame
}

/** The body is still to be filled in. */
function beginFrame(streamId: number, type: number, flags: number, bodyBytes: number): Buffer {
  const frame = Buffer.allocUnsafeSlow(HEADER_BYTES + bodyBytes)
  frame.writeUInt32BE(streamId, 0)
  frame.writeUInt16BE((type << 10) | flags, 4)
  return frame
}

/** Reads on from the header. Beyond the end everything is zero or empty, and `isCut` says so. */
class FrameReader {
  isCut = false
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Unsigned, of 1 to 4 bytes. */
  integer(length: number): number {
    let value = 0
    for (const byte of this.bytes(length)) value = value * 256 + byte
    return value
  }

  bytes(length: number): Uint8Array {
    const start = this.#at
    this.#at += length
    if (this.#at > this.#bytes.length) this.isCut = true
    return this.#bytes.subarray(start, this.#at)
  }

  ascii(length: number): string {
    return String.fromCharCode(...this.bytes(length))
  }

  rest(): Uint8Array {
    return this.bytes(Math.max(0, this.#bytes.length - this.#at))
  }
}
