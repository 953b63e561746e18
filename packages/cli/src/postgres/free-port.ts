import { once } from 'node:events'
import { createServer } from 'node:net'

/** Is nobody listening on this port of 127.0.0.1? */
export async function isPortFree(port: number): Promise<boolean> {
  return (await tryListen(port)) !== undefined
}

/** A port of 127.0.0.1 that nobody listens on now. Another program may take it before we do. */
export async function findFreePort(): Promise<number> {
  const port = await tryListen(0)
  if (port === undefined) throw new Error('Cannot find a free port: the system has none left')
  return port
}

async function tryListen(port: number): Promise<number | undefined> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch {
    return undefined
  }
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : undefined
}
