/**
 * Clients that mean no good, in a process of their own: at fixed rates, so that two runs are attacked alike. They come
 * last for the processors of this machine, as those of other machines would take none of them.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

export type HostileClients = AsyncDisposable & {
  /** `url`: whom they attack. */
  readonly start: (url: string) => Promise<void>
  /** Ends every attack; gives how many requests were sent since the start. */
  readonly stop: () => Promise<number>
}

export type HostileTarget = {
  /** Of users whom the service knows. */
  readonly tokens: readonly string[]
  /** Of a user with much to download. */
  readonly richToken: string
}

export async function startHostileClients(target: HostileTarget): Promise<HostileClients> {
  const child = fork(fileURLToPath(import.meta.url), ['attack'], { execArgv: [] })
  if (child.pid !== undefined) setPriority(child.pid, LOWEST_PRIORITY)
  const ask = async (order: Order): Promise<unknown> => {
    const answer = once(child, 'message')
    child.send(order)
    const [value] = await answer
    return value
  }
  await ask({ target })
  return {
    start: async (url) => void (await ask({ start: url })),
    stop: async () => (await ask({ stop: true })) as number,
    [Symbol.asyncDispose]: async () => {
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
}

type Order = { readonly target?: HostileTarget; readonly start?: string; readonly stop?: true }

type Attacked = HostileTarget & { readonly url: string }

type Attack = {
  readonly name: string
  readonly perSecond: number
  /** Starts one; what it returns ends it. */
  readonly begin: (target: Attacked, index: number) => Socket
  readonly lastsMs: number
}

const LOWEST_PRIORITY = 19

const SHORT_MS = 400
const LONG_MS = 5_000

const HUGE = Buffer.from(JSON.stringify({ parameters: { text: 'x'.repeat(4_000_000) } }))
const BOMB = gzipSync(Buffer.alloc(100 * 1024 * 1024, ' '))
const SUBSCRIPTIONS = JSON.stringify({
  streams: {
    subscriptions: Array.from({ length: 1_000 }, (_, n) => ({ stream: 'picked', parameters: { owner: `quiet-${n}` } })),
  },
})

const tokenOf = ({ tokens }: HostileTarget, index: number): string => tokens[index % tokens.length] ?? ''

const ATTACKS: readonly Attack[] = [
  {
    name: 'reconnects',
    perSecond: 40,
    lastsMs: SHORT_MS,
    begin: (target, index) => send(target, post('{"raw_data":true}', { token: tokenOf(target, index) })),
  },
  {
    name: 'bad tokens',
    perSecond: 20,
    lastsMs: SHORT_MS,
    begin: (target, index) => send(target, post('{}', { token: `${tokenOf(target, index).slice(0, -3)}AAA` })),
  },
  {
    name: 'malformed bodies',
    perSecond: 20,
    lastsMs: SHORT_MS,
    begin: (target, index) => send(target, post('{"buckets":[{"name":7', { token: tokenOf(target, index) })),
  },
  {
    name: 'garbage',
    perSecond: 10,
    lastsMs: SHORT_MS,
    begin: (target) => send(target, 'POST \u0000 HTTP/9\r\n\r\n\u0001\u0002'),
  },
  {
    name: 'huge bodies',
    perSecond: 1,
    lastsMs: LONG_MS,
    begin: (target, index) => send(target, post(HUGE, { token: tokenOf(target, index) })),
  },
  {
    name: 'gzip bombs',
    perSecond: 1,
    lastsMs: LONG_MS,
    begin: (target, index) =>
      send(target, post(BOMB, { token: tokenOf(target, index), headers: { 'Content-Encoding': 'gzip' } })),
  },
  {
    name: 'thousand subscriptions',
    perSecond: 1,
    lastsMs: SHORT_MS,
    begin: (target, index) => send(target, post(SUBSCRIPTIONS, { token: tokenOf(target, index) })),
  },
  {
    name: 'slow heads',
    perSecond: 20,
    lastsMs: LONG_MS,
    begin: (target) => send(target, 'POST /sync/stream HTTP/1.1\r\nX-Slow: '),
  },
  {
    name: 'downloads that are not read',
    perSecond: 1,
    lastsMs: LONG_MS,
    begin: (target) => send(target, post('{"raw_data":true}', { token: target.richToken })).pause(),
  },
  {
    name: 'downloads again and again',
    perSecond: 1,
    lastsMs: 1_000,
    begin: (target) => send(target, post('{"raw_data":true}', { token: target.richToken })),
  },
]

function send({ url }: Attacked, bytes: string | Buffer): Socket {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  socket.on('error', () => {})
  socket.on('data', () => {})
  socket.write(bytes)
  return socket
}

function post(
  body: string | Buffer,
  { token, headers = {} }: { readonly token: string; readonly headers?: Readonly<Record<string, string>> },
): Buffer {
  const bytes = Buffer.from(body)
  const lines = Object.entries({
    Host: 'x',
    Authorization: `Token ${token}`,
    'Content-Type': 'application/json',
    'Content-Length': String(bytes.length),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST /sync/stream HTTP/1.1\r\n${lines.join('')}\r\n`), bytes])
}

/** Takes orders from the parent process. */
function attack(): void {
  let target: HostileTarget | undefined
  let sent = 0
  const timers = new Set<NodeJS.Timeout>()
  const sockets = new Set<Socket>()
  const begin = (to: Attacked, { begin: one, lastsMs }: Attack): void => {
    const socket = one(to, sent++)
    sockets.add(socket)
    const timer = setTimeout(() => socket.destroy(), lastsMs)
    socket.once('close', () => {
      clearTimeout(timer)
      sockets.delete(socket)
    })
  }
  const names = process.env['HOSTILE_ATTACKS']?.split(',')
  process.on('message', (message) => {
    const order = message as Order
    if (order.target !== undefined) target = order.target
    if (order.start !== undefined && target !== undefined) {
      const to = { ...target, url: order.start }
      for (const one of ATTACKS.filter(({ name }) => names === undefined || names.includes(name))) {
        timers.add(setInterval(() => begin(to, one), 1_000 / one.perSecond))
      }
    }
    if (order.stop === true) {
      for (const timer of timers) clearInterval(timer)
      timers.clear()
      for (const socket of sockets) socket.destroy()
    }
    process.send?.(sent)
    if (order.stop === true) sent = 0
  })
  process.once('disconnect', () => process.exit(1))
}

if (process.argv[2] === 'attack') attack()
