import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { finished } from 'node:stream'

/** What the wire does to connections, old ones and new ones alike. */
export type Fault =
  | { readonly kind: 'none' }
  /** Every chunk waits this long, in order: a slow line as well as a far one. */
  | { readonly kind: 'latency'; readonly delayMs: number }
  /** Connections stay up; nothing passes until the fault ends, then everything arrives. */
  | { readonly kind: 'stall' }
  /** The far side is gone without a word: bytes vanish, and nobody is told, not even after the fault has ended. */
  | { readonly kind: 'half-open' }
  /** New connections are closed at once. */
  | { readonly kind: 'refuse' }

export type FaultProxy = AsyncDisposable & {
  /** Where to connect to, on 127.0.0.1. */
  readonly port: number
  readonly setFault: (fault: Fault) => void
  /** Cuts every open connection with a TCP reset. */
  readonly resetConnections: () => void
  readonly countConnections: () => number
}

type Pair = { readonly client: Socket; readonly target: Socket; lost: boolean }

/** Forwards TCP to `targetPort` on 127.0.0.1, and misbehaves on request. */
export async function startFaultProxy(targetPort: number, port = 0): Promise<FaultProxy> {
  const pairs = new Set<Pair>()
  let fault: Fault = { kind: 'none' }
  let faultChanged = Promise.withResolvers<void>()

  const forward = async (pair: Pair, from: Socket, to: Socket): Promise<void> => {
    for await (const chunk of from) {
      while (fault.kind === 'stall') await faultChanged.promise
      if (fault.kind === 'half-open') pair.lost = true
      if (pair.lost) continue
      if (fault.kind === 'latency') await delay(fault.delayMs)
      if (!to.write(chunk as Uint8Array)) await Promise.race([once(to, 'drain'), once(to, 'close')])
    }
    if (!pair.lost) to.end()
  }

  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (fault.kind === 'refuse') {
      client.resetAndDestroy()
      return
    }
    const target = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true })
    const pair: Pair = { client, target, lost: false }
    pairs.add(pair)
    for (const [mine, other] of [[client, target] as const, [target, client] as const]) {
      mine.setNoDelay(true)
      finished(mine, () => {
        mine.destroy()
        if (!pair.lost) other.destroySoon()
        if (client.destroyed && target.destroyed) pairs.delete(pair)
      })
      // A connection that breaks is what this proxy is for: `finished` has seen it.
      forward(pair, mine, other).catch(() => other.resetAndDestroy())
    }
  })
  await listen(server, port)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot read the port of the fault proxy')

  const resetConnections = (): void => {
    for (const { client, target } of pairs) {
      client.resetAndDestroy()
      target.resetAndDestroy()
    }
  }
  const setFault = (next: Fault): void => {
    fault = next
    faultChanged.resolve()
    faultChanged = Promise.withResolvers<void>()
  }
  return {
    port: address.port,
    setFault,
    resetConnections,
    countConnections: () => pairs.size,
    [Symbol.asyncDispose]: async () => {
      setFault({ kind: 'refuse' })
      resetConnections()
      server.close()
      if (server.listening) await once(server, 'close')
    },
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}

function delay(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs)
  })
}
