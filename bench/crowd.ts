/** Very many clients of one server, in processes of their own, so that what is measured is the server. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { openRawStream, type RawStreamOpen } from './raw-streams.ts'

export type CrowdOptions = Omit<RawStreamOpen, 'token' | 'localAddress'> & {
  /** A client is connected when it has received this. */
  readonly greeting: string
}

export type Crowd = AsyncDisposable & {
  /** Connects one more client for each token. Throws when one is not greeted. */
  readonly add: (tokens: readonly string[]) => Promise<void>
  /**
   * Has `act` make something happen after which each client receives `text`; gives the milliseconds from then until the
   * last one has it. Throws when that takes too long or a client was lost.
   */
  readonly timeUntilAllHave: (text: string, act: () => Promise<void> | void) => Promise<number>
}

/** A process may not have many more files open on an ordinary machine. */
const CLIENTS_PER_PROCESS = 5_000
/** In each process. */
const CONNECTING_AT_ONCE = 10
const PATIENCE_MS = 60_000

/** What the parent asks for; each is answered by one `Answer`, `watch` by two. */
type Order =
  | { readonly kind: 'begin'; readonly options: CrowdOptions; readonly localAddress: string | undefined }
  | { readonly kind: 'add'; readonly tokens: readonly string[] }
  | { readonly kind: 'watch'; readonly text: string }

type Answer =
  | { readonly kind: 'done' }
  /** `atNs`: when the last client received the text, by the clock that all processes of the machine share. */
  | { readonly kind: 'arrived'; readonly atNs: string }
  | { readonly kind: 'failed'; readonly message: string }

export function openCrowd(options: CrowdOptions): Crowd {
  const members: { readonly child: ChildProcess; clients: number }[] = []

  const findRoom = async (): Promise<{ readonly child: ChildProcess; clients: number }> => {
    const last = members.at(-1)
    if (last !== undefined && last.clients < CLIENTS_PER_PROCESS) return last
    const child = fork(fileURLToPath(import.meta.url), ['crowd'], { execArgv: ['--conditions=@headwater/source'] })
    const member = { child, clients: 0 }
    members.push(member)
    await ask(child, { kind: 'begin', options, localAddress: addressOf(members.length) })
    return member
  }

  return {
    add: async (tokens) => {
      for (let at = 0; at < tokens.length;) {
        const member = await findRoom()
        const some = tokens.slice(at, at + CLIENTS_PER_PROCESS - member.clients)
        member.clients += some.length
        at += some.length
        await ask(member.child, { kind: 'add', tokens: some })
      }
    },
    timeUntilAllHave: async (text, act) => {
      await Promise.all(members.map(({ child }) => ask(child, { kind: 'watch', text })))
      const startedAtNs = process.hrtime.bigint()
      const [arrivals] = await Promise.all([Promise.all(members.map(({ child }) => nextAnswer(child))), act()])
      const times = arrivals.map((arrival) => (arrival.kind === 'arrived' ? BigInt(arrival.atNs) : 0n))
      const lastNs = times.reduce((latest, atNs) => (atNs > latest ? atNs : latest), startedAtNs)
      return Number(lastNs - startedAtNs) / 1e6
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(members.map(({ child }) => end(child)))
    },
  }
}

/** Linux gives all of 127.0.0.0/8 to the machine; with an address for each process they cannot run out of ports. */
function addressOf(process_: number): string | undefined {
  return process.platform === 'linux' ? `127.0.0.${process_ + 1}` : undefined
}

async function ask(child: ChildProcess, order: Order): Promise<void> {
  const answer = nextAnswer(child)
  child.send(order)
  await answer
}

async function nextAnswer(child: ChildProcess): Promise<Answer> {
  const [answer] = (await once(child, 'message')) as [Answer]
  if (answer.kind === 'failed') throw new Error(answer.message)
  return answer
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/** The child's side. */
class Clients {
  readonly #options: CrowdOptions
  readonly #localAddress: string | undefined
  #connected = 0
  #watched: string | undefined
  /** Clients that do not have the watched text yet. */
  #missing = 0
  #patience: NodeJS.Timeout | undefined

  constructor(options: CrowdOptions, localAddress: string | undefined) {
    this.#options = options
    this.#localAddress = localAddress
  }

  async add(tokens: readonly string[]): Promise<void> {
    const left = [...tokens]
    const connectSome = async (): Promise<void> => {
      for (let token = left.pop(); token !== undefined; token = left.pop()) await this.#connect(token)
    }
    await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, connectSome))
  }

  watch(text: string): void {
    this.#watched = text
    this.#missing = this.#connected
    this.#patience = setTimeout(() => {
      answer({ kind: 'failed', message: `${this.#missing} of ${this.#connected} clients did not get ${text}` })
    }, PATIENCE_MS)
  }

  /** Lines that are looked for are short: none is split over two chunks. */
  #connect(token: string): Promise<void> {
    const { greeting } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const socket = openRawStream({ ...this.#options, token, localAddress: this.#localAddress })
    let isGreeted = false
    let received = ''
    socket.on('data', (chunk) => {
      if (isGreeted) {
        if (this.#watched !== undefined && chunk.includes(this.#watched)) this.#note()
        return
      }
      received += chunk.toString('latin1')
      if (!received.includes(greeting)) return
      isGreeted = true
      received = ''
      this.#connected += 1
      resolve()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      const message = `A client was lost ${isGreeted ? 'later' : `before it was greeted: ${received.slice(0, 500)}`}`
      reject(new Error(message))
      if (isGreeted) answer({ kind: 'failed', message })
    })
    return promise
  }

  #note(): void {
    this.#missing -= 1
    if (this.#missing > 0) return
    clearTimeout(this.#patience)
    answer({ kind: 'arrived', atNs: String(process.hrtime.bigint()) })
  }
}

function answer(message: Answer): void {
  process.send?.(message)
}

function obeyParent(): void {
  let clients: Clients | undefined
  process.once('disconnect', () => process.exit(1))
  process.on('message', (message) => {
    const order = message as Order
    if (order.kind === 'begin') clients = new Clients(order.options, order.localAddress)
    const work = order.kind === 'add' ? clients?.add(order.tokens) : undefined
    if (order.kind === 'watch') clients?.watch(order.text)
    void Promise.resolve(work).then(
      () => answer({ kind: 'done' }),
      (error: unknown) => answer({ kind: 'failed', message: String(error) }),
    )
  })
}

if (process.argv[2] === 'crowd') obeyParent()
