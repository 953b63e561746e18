import type { Server } from 'node:net'
import { HeadwaterError } from '@headwater/protocol'

/** When TCP begins to ask whether a silent client is still there. */
const TCP_KEEP_ALIVE_MS = 60_000

/** Of every connection, whichever process takes it. */
export const CONNECTION_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS } as const

/** Throws `port-in-use`, or `bad-settings` for an address that is not this machine's. Port 0 takes any free one. */
export async function listen(server: Server, host: string, port: number): Promise<{ readonly url: string }> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(describeListenError(error, host, port))
    }
    server.once('error', fail)
    server.listen(port, host, () => {
      server.off('error', fail)
      resolve()
    })
  })
  const address = server.address()
  const boundPort = typeof address === 'object' && address !== null ? address.port : port
  return { url: `http://${hostInUrl(host)}:${boundPort}` }
}

function describeListenError(error: Error, host: string, port: number): Error {
  const code: unknown = Reflect.get(error, 'code')
  if (code === 'EADDRINUSE') {
    return new HeadwaterError(
      'port-in-use',
      `Cannot listen on ${host}:${port}: another process uses the port. Stop it, or choose another one with --port ` +
        'or http.port.',
      { cause: error },
    )
  }
  return new HeadwaterError(
    'bad-settings',
    `Cannot listen on ${host}:${port}: ${error.message}. Change http.host or http.port.`,
    {
      cause: error,
    },
  )
}

/** Where a browser on this machine finds a server that listens on all addresses. */
function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
