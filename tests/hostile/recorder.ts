import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Stands between hostile clients and the service, and keeps every byte that the service sends to them. */
export type Recorder = AsyncDisposable & {
  readonly url: string
  /** What was sent on each connection so far, also on those that are closed. */
  readonly read: () => readonly Buffer[]
  readonly forget: () => void
}

/** To the service at `url`. Reads from it only as fast as its client reads, so that a slow reader stays one. */
export async function startRecorder(url: string): Promise<Recorder> {
  const target = new URL(url)
  const pairs = new Set<readonly [Socket, Socket]>()
  let recordings: Buffer[][] = []
  const server = createServer({ noDelay: true }, (client) => {
    const service = connect({ host: target.hostname, port: Number(target.port), noDelay: true })
    const pair = [client, service] as const
    pairs.add(pair)
    const pieces: Buffer[] = []
    recordings.push(pieces)
    service.on('data', (piece: Buffer) => {
      pieces.push(piece)
      if (!client.write(piece)) service.pause()
    })
    client.on('drain', () => service.resume())
    client.pipe(service)
    service.once('end', () => client.end())
    for (const [one, other] of [pair, [service, client] as const]) {
      one.on('error', () => other.destroy())
      one.once('close', () => {
        other.destroy()
        pairs.delete(pair)
      })
    }
  })
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot read the port of the recorder')
  return {
    url: `http://127.0.0.1:${address.port}`,
    read: () => recordings.map((pieces) => Buffer.concat(pieces)),
    forget: () => {
      recordings = []
    },
    [Symbol.asyncDispose]: async () => {
      for (const [client, service] of pairs) {
        client.destroy()
        service.destroy()
      }
      server.close()
      await once(server, 'close')
    },
  }
}
