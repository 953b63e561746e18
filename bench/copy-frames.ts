import { Client, type ClientConfig } from 'pg'

export type CopyFrames = Disposable & {
  /** Payloads of the CopyData messages that arrived together: views, valid until the next. */
  readonly batches: AsyncIterable<readonly Uint8Array[]>
}

const COPY_DATA = 'd'.charCodeAt(0)
const COPY_DONE = 'c'.charCodeAt(0)
const ERROR = 'E'.charCodeAt(0)

/** Message type and length, which counts itself. */
const HEADER_BYTES = 5

/**
 * Sends one statement that is answered by a copy stream, and walks the answer on the bare socket, because the figures
 * of a limit must not contain anybody's parser. The connection is good for nothing else afterwards.
 */
export async function openCopyFrames(
  config: ClientConfig & { readonly replication?: 'database' },
  statement: string,
): Promise<CopyFrames> {
  const client = new Client(config)
  await client.connect()
  client.on('error', () => undefined)
  const { stream } = client.connection
  stream.removeAllListeners('data')
  client.connection.query(statement)
  return {
    batches: readBatches(stream),
    [Symbol.dispose]: () => void stream.destroy(),
  }
}

async function* readBatches(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const frames: Uint8Array[] = []
    let at = 0
    while (at + HEADER_BYTES <= bytes.length) {
      const end = at + 1 + bytes.readInt32BE(at + 1)
      if (end > bytes.length) break
      const type = bytes[at]
      if (type === ERROR) throw new Error(`Postgres refused: ${bytes.toString('utf8', at + HEADER_BYTES, end)}`)
      if (type === COPY_DATA) frames.push(bytes.subarray(at + HEADER_BYTES, end))
      if (type === COPY_DONE) {
        yield frames
        return
      }
      at = end
    }
    rest = bytes.subarray(at)
    yield frames
  }
}
