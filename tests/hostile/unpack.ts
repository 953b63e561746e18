import { constants, gunzipSync, inflateRawSync, zstdDecompressSync } from 'node:zlib'

const HEAD_END = '\r\n\r\n'

/** What one connection said, taken out of chunks, frames and compression; as far as it came. */
export function unpack(bytes: Buffer): readonly Buffer[] {
  const found: Buffer[] = []
  for (let rest = bytes; rest.length > 0;) {
    const headEnd = rest.indexOf(HEAD_END)
    if (headEnd === -1 || !rest.subarray(0, 5).equals(Buffer.from('HTTP/'))) break
    const head = rest.toString('latin1', 0, headEnd).toLowerCase()
    rest = rest.subarray(headEnd + HEAD_END.length)
    if (head.startsWith('http/1.1 101 ')) {
      found.push(...unpackFrames(rest))
      break
    }
    const { body, end } = cutBody(head, rest)
    found.push(decompress(body, /^content-encoding: (\w+)/m.exec(head)?.[1]))
    rest = rest.subarray(end)
  }
  return found
}

function cutBody(head: string, rest: Buffer): { readonly body: Buffer; readonly end: number } {
  if (/^transfer-encoding: chunked/m.test(head)) return cutChunks(rest)
  const length = Number(/^content-length: (\d+)/m.exec(head)?.[1] ?? 0)
  return { body: rest.subarray(0, length), end: length }
}

function cutChunks(rest: Buffer): { readonly body: Buffer; readonly end: number } {
  const pieces: Buffer[] = []
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf('\r\n', at)
    if (lineEnd === -1) return { body: Buffer.concat(pieces), end: rest.length }
    const length = Number.parseInt(rest.toString('latin1', at, lineEnd), 16)
    const start = lineEnd + 2
    if (length === 0) return { body: Buffer.concat(pieces), end: start + 2 }
    pieces.push(rest.subarray(start, start + length))
    at = start + length + 2
  }
}

function decompress(body: Buffer, encoding: string | undefined): Buffer {
  if (body.length === 0 || encoding === undefined) return body
  if (encoding === 'gzip') return gunzipSync(body, { finishFlush: constants.Z_SYNC_FLUSH })
  if (encoding === 'zstd') return zstdDecompressSync(body, { finishFlush: constants.ZSTD_e_continue })
  throw new Error(`Cannot unpack ${encoding}`)
}

const SYNC_TAIL = Buffer.of(0, 0, 0xff, 0xff)

/** Payloads of the service's frames: plain ones one by one, and all compressed ones together, as they share a window. */
function unpackFrames(bytes: Buffer): readonly Buffer[] {
  const plain: Buffer[] = []
  const compressed: Buffer[] = []
  let isCompressed = false
  for (let at = 0; at + 2 <= bytes.length;) {
    const first = bytes[at] ?? 0
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    if (at + 2 + lengthBytes > bytes.length) break
    const length =
      lengthBytes === 0 ? short : bytes.readUIntBE(at + (lengthBytes === 8 ? 4 : 2), lengthBytes === 8 ? 6 : 2)
    const start = at + 2 + lengthBytes
    const payload = bytes.subarray(start, start + length)
    at = start + length
    if ((first & 0x0f) !== 0) isCompressed = (first & 0x40) !== 0
    if (!isCompressed) plain.push(payload)
    else compressed.push(payload, ...((first & 0x80) === 0 ? [] : [SYNC_TAIL]))
  }
  if (compressed.length === 0) return plain
  return [...plain, inflateRawSync(Buffer.concat(compressed), { finishFlush: constants.Z_SYNC_FLUSH })]
}
