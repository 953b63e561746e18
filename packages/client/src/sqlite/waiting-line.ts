import { HeadwaterError } from '@headwater/protocol'

type Waiter<T> = { readonly take: (resource: T) => void }

/** Hands out a fixed set of resources, one holder each, first come first served. */
export class WaitingLine<T> {
  readonly #free: T[] = []
  readonly #waiting: Waiter<T>[] = []
  #closed: Error | undefined

  add(resource: T): void {
    this.#offer(resource)
  }

  /** Runs `work` with one resource. Throws `lock-timeout` when none was free in time; then `work` never runs. */
  async use<Result>(what: string, timeoutMs: number, work: (resource: T) => Promise<Result>): Promise<Result> {
    const resource = await this.#take(what, timeoutMs)
    try {
      return await work(resource)
    } finally {
      this.#offer(resource)
    }
  }

  /** Refuses all who come later; those who wait already are still served. */
  close(reason: Error): void {
    this.#closed = reason
  }

  #take(what: string, timeoutMs: number): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed)
    const free = this.#free.pop()
    if (free !== undefined) return Promise.resolve(free)
    return new Promise((resolve, reject) => {
      const waiter: Waiter<T> = {
        take: (resource) => {
          clearTimeout(timer)
          resolve(resource)
        },
      }
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(
          new HeadwaterError(
            'lock-timeout',
            `Cannot get the ${what} within ${timeoutMs} ms, because another lock or transaction holds it. ` +
              'Inside a transaction use its own methods, not those of the database.',
          ),
        )
      }, timeoutMs)
      this.#waiting.push(waiter)
    })
  }

  #offer(resource: T): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(resource)
    else next.take(resource)
  }
}
