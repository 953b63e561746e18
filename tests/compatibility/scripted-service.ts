import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  decodeSyncRequest,
  encodeBsonElements,
  encodeDataLine,
  encodeLine,
  encodeOperation,
  type Line,
  type LineFormat,
  type SyncRequest,
} from '@headwater/protocol'

/** A client has so long to read why its stream breaks off. */
const LAST_LINE_MS = 250

/**
 * A service that answers stream number n with the lines of `script(request, n)`. It ends a stream after a `stream-end`,
 * cuts it off after a `stream-error`, as a service does, and keeps any other open.
 */
export type ScriptedService = AsyncDisposable & { readonly url: string; readonly requests: readonly SyncRequest[] }

export async function startScriptedService(
  format: LineFormat,
  script: (request: SyncRequest, index: number) => readonly Line[],
): Promise<ScriptedService> {
  const requests: SyncRequest[] = []
  // Browsers ask before they send a token.
  const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*, authorization' }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204, cors).end()
      return
    }
    const body = Buffer.concat(await request.toArray()).toString()
    const decoded = decodeSyncRequest(JSON.parse(body))
    requests.push(decoded)
    const type = format === 'bson' ? 'application/vnd.powersync.bson-stream' : 'application/x-ndjson'
    response.writeHead(200, { ...cors, 'content-type': type })
    const lines = script(decoded, requests.length - 1)
    for (const line of lines) {
      for (const piece of encode(line, format)) response.write(piece)
    }
    const last = lines.at(-1)?.kind
    if (last === 'stream-end') response.end()
    if (last === 'stream-error') setTimeout(() => response.socket?.destroySoon(), LAST_LINE_MS)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function encode(line: Line, format: LineFormat): readonly Uint8Array[] {
  if (line.kind !== 'data') return [encodeLine(line, format)]
  const { operations, ...header } = line.batch
  const encoded = operations.map((operation) => encodeOperation(operation, format))
  const comma = Buffer.from(',')
  const body =
    format === 'bson'
      ? [encodeBsonElements(encoded, 0)]
      : encoded.flatMap((bytes, index) => (index === 0 ? [bytes] : [comma, bytes]))
  return encodeDataLine(header, { body }, format)
}
