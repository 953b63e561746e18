import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { ProcessUsage } from '@headwater/testkit'

/** A Node HTTP server that does nothing but write, in a process of its own: the limit of everything that is served. */
export type BareServer = AsyncDisposable & {
  /** `GET /<bytes>` streams that many bytes; a `POST` to anywhere is answered by `broadcast`. */
  readonly url: string
  /** Writes the text to every held response. */
  readonly broadcast: (text: string) => void
  readonly readUsage: () => Promise<ProcessUsage>
}

/** As much as one data line of a sync stream holds. */
const CHUNK_BYTES = 256 * 1024

export async function startBareServer(): Promise<BareServer> {
  const child = fork(fileURLToPath(import.meta.url), ['serve'], { execArgv: [] })
  const [port] = await once(child, 'message')
  return {
    url: `http://127.0.0.1:${port as number}`,
    broadcast: (text) => void child.send({ broadcast: text }),
    readUsage: async () => {
      const answer = once(child, 'message')
      child.send({ usage: true })
      const [usage] = await answer
      return usage as ProcessUsage
    },
    [Symbol.asyncDispose]: async () => {
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
}

type Order = { readonly broadcast?: string; readonly usage?: true }

function serve(): void {
  const held: ServerResponse[] = []
  const chunk = Buffer.alloc(CHUNK_BYTES, 'x')
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    if (request.method === 'POST') {
      request.resume()
      response.flushHeaders()
      held.push(response)
    } else {
      void stream(response, Number(request.url?.slice(1)), chunk)
    }
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') process.send?.(address.port)
  })
  process.once('disconnect', () => process.exit(1))
  process.on('message', (message) => {
    const order = message as Order
    if (order.broadcast !== undefined) for (const response of held) response.write(order.broadcast)
    if (order.usage === true) {
      const { user, system } = process.cpuUsage()
      process.send?.({ cpuMs: (user + system) / 1_000, residentBytes: process.memoryUsage.rss() })
    }
  })
}

async function stream(response: ServerResponse, bytes: number, chunk: Buffer): Promise<void> {
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (!response.write(left >= chunk.length ? chunk : chunk.subarray(0, left))) await once(response, 'drain')
  }
  response.end()
}

if (process.argv[2] === 'serve') serve()
