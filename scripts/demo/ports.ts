import { createServer } from 'node:net'

/** How far apart the ports are that are tried: room for the others of the demo in between. */
const STEP = 10

/**
 * The port if nobody listens on it, else one of a few after it, else any free one. The same ones are tried each time,
 * since a browser keeps a page's data under its port. Somebody may still take the port before we do.
 */
export async function choosePort(preferred: number): Promise<number> {
  for (const candidate of [preferred, preferred + STEP, preferred + 2 * STEP, 0]) {
    const port = await tryListen(candidate)
    if (port !== undefined) return port
  }
  return preferred
}

/** Listens on 127.0.0.1 for a moment. Undefined: the port is taken. */
function tryListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => {
      resolve(undefined)
    })
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : undefined)
      })
    })
  })
}
