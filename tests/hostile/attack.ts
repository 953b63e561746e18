import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Random } from '@headwater/testkit'

/** Attacks go on side by side, so many of them at once. */
const ATTACKS_AT_ONCE = 40

export async function inParallel(count: number, attack: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < count) await attack(next++)
  }
  await Promise.all(Array.from({ length: Math.min(count, ATTACKS_AT_ONCE) }, work))
}

/** Resolves to undefined when the service does not take the connection. */
export async function openSocket(url: string): Promise<Socket | undefined> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), noDelay: true })
  socket.on('error', () => {})
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  return socket.destroyed ? undefined : socket
}

/** Sends bytes, waits for the first that come back, and leaves. What they are the recorder knows. */
export async function throwAt(url: string, bytes: string | Buffer, patienceMs = 1_000): Promise<string> {
  const socket = await openSocket(url)
  if (socket === undefined) return ''
  socket.write(bytes)
  const answer = await firstOf(socket, patienceMs)
  socket.destroy()
  return answer
}

export async function firstOf(socket: Socket, patienceMs: number): Promise<string> {
  const patience = AbortSignal.timeout(patienceMs)
  try {
    const arrived = await Promise.race([
      once(socket, 'data', { signal: patience }),
      once(socket, 'close', { signal: patience }),
    ])
    return Buffer.isBuffer(arrived[0]) ? arrived[0].toString('latin1') : ''
  } catch {
    return ''
  }
}

export type PostOptions = {
  readonly path?: string
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
}

export function post(body: string | Buffer, { path = '/sync/stream', token, headers = {} }: PostOptions = {}): Buffer {
  const bytes = Buffer.from(body)
  const lines = Object.entries({
    Host: 'x',
    ...(token === undefined ? {} : { Authorization: `Token ${token}` }),
    'Content-Type': 'application/json',
    'Content-Length': String(bytes.length),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), bytes])
}

const INTERESTING = [
  '\u0000',
  '-1',
  '9223372036854775808',
  '1e999',
  'null',
  '[',
  '{',
  '"',
  '\\u0000',
  '__proto__',
  '\ud800',
  '[[[[[[[[',
]

/** The same bytes with a few of them wrong. */
export function mutate(random: Random, bytes: Buffer): Buffer {
  let mutated = Buffer.from(bytes)
  for (let change = random.between(1, 4); change > 0; change--) {
    const at = random.integer(mutated.length + 1)
    const end = Math.min(mutated.length, at + random.between(1, 8))
    const way = random.integer(5)
    const middle =
      way === 0
        ? Buffer.from(Array.from({ length: end - at }, () => random.integer(256)))
        : way === 1
          ? Buffer.of()
          : way === 2
            ? Buffer.from(random.pick(INTERESTING))
            : way === 3
              ? Buffer.concat([mutated.subarray(at, end), mutated.subarray(at, end)])
              : Buffer.from([(mutated[at] ?? 0) ^ (1 << random.integer(8))])
    mutated = Buffer.concat([mutated.subarray(0, at), middle, mutated.subarray(way === 4 ? at + 1 : end)])
  }
  return mutated
}
