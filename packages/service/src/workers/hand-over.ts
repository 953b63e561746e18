import type { Socket } from 'node:net'
import type { Listener } from '../serving.ts'

/** Connections that wait while no worker can take one, such as while one is started again. More are cut off. */
const WAITING_MAX = 1_024

/** Who serves connections. */
export type Taker = {
  readonly connections: number
  readonly mayTake: boolean
  readonly take: (listener: Listener, socket: Socket) => void
}

/** Gives each connection to whoever has the fewest. */
export class HandOver {
  readonly #takers: Iterable<Taker>
  #waiting: { readonly listener: Listener; readonly socket: Socket }[] = []
  #isClosed = false

  constructor(takers: Iterable<Taker>) {
    this.#takers = takers
  }

  offer(listener: Listener, socket: Socket): void {
    // Until it is handed over nobody else looks after it, and a client may go at any time.
    socket.on('error', () => socket.destroy())
    if (this.#isClosed || this.#waiting.length >= WAITING_MAX) {
      socket.destroy()
      return
    }
    this.#waiting.push({ listener, socket })
    this.flush()
  }

  /** To be called when someone may take connections again. */
  flush(): void {
    while (this.#waiting.length > 0) {
      const taker = findFreest(this.#takers)
      if (taker === undefined) return
      const next = this.#waiting.shift()
      if (next !== undefined && !next.socket.destroyed) taker.take(next.listener, next.socket)
    }
  }

  /** Cuts off who waits, and who comes from now on. */
  close(): void {
    this.#isClosed = true
    for (const { socket } of this.#waiting) socket.destroy()
    this.#waiting = []
  }
}

function findFreest(takers: Iterable<Taker>): Taker | undefined {
  let freest: Taker | undefined
  for (const taker of takers) {
    if (taker.mayTake && (freest === undefined || taker.connections < freest.connections)) freest = taker
  }
  return freest
}
