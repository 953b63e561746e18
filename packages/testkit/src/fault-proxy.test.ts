import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts'

test('bytes pass both ways when nothing is wrong', async () => {
  const { client } = await connectThroughProxy()

  client.write('hello')

  expect(await readText(client)).toBe('hello')
})

test('latency delays bytes without changing their order', async () => {
  const { client, proxy } = await connectThroughProxy()
  proxy.setFault({ kind: 'latency', delayMs: 30 })

  const startedAtMs = performance.now()
  client.write('late')

  expect(await readText(client)).toBe('late')
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(55)
})

test('what a stall held back arrives when it ends', async () => {
  const { client, proxy } = await connectThroughProxy()
  proxy.setFault({ kind: 'stall' })
  client.write('patience')

  const answer = readText(client)
  const first = await Promise.race([answer, passMs(50)])
  proxy.setFault({ kind: 'none' })

  expect(first).toBe('nothing')
  expect(await answer).toBe('patience')
})

test('a reset is an error on the open connection, and a new one works', async () => {
  const { client, proxy } = await connectThroughProxy()
  client.write('x')
  await readText(client)

  const error = once(client, 'error')
  proxy.resetConnections()
  const [reset] = await error
  const second = connect(proxy.port, '127.0.0.1')
  onTestFinished(() => void second.destroy())
  second.write('again')

  expect(reset).toMatchObject({ code: 'ECONNRESET' })
  expect(await readText(second)).toBe('again')
})

test('a half-open connection swallows bytes for ever, without an error', async () => {
  const { client, proxy } = await connectThroughProxy()
  proxy.setFault({ kind: 'half-open' })
  client.write('lost')
  const answer = readText(client)
  await passMs(20)
  proxy.setFault({ kind: 'none' })
  client.write('lost too')

  expect(await Promise.race([answer, passMs(60)])).toBe('nothing')
  expect(client.destroyed).toBe(false)
})

test('refused connections fail at once', async () => {
  const { proxy } = await connectThroughProxy()
  proxy.setFault({ kind: 'refuse' })

  const refused = connect(proxy.port, '127.0.0.1')
  const [error] = await once(refused, 'error')

  expect(error).toMatchObject({ code: 'ECONNRESET' })
})

async function connectThroughProxy(): Promise<{ readonly client: Socket; readonly proxy: FaultProxy }> {
  const echo = createServer((socket) => void socket.on('error', () => socket.destroy()).pipe(socket))
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const proxy = await startFaultProxy((echo.address() as AddressInfo).port)
  const client = connect(proxy.port, '127.0.0.1')
  await once(client, 'connect')
  onTestFinished(async () => {
    client.destroy()
    await proxy[Symbol.asyncDispose]()
    echo.close()
  })
  return { client, proxy }
}

async function readText(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, 'data')
  return String(chunk)
}

/** A fault shows as nothing happening, so there has to be a time after which nothing has happened. */
function passMs(ms: number): Promise<'nothing'> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, 'nothing')
  })
}
