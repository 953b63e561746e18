import { HeadwaterError } from '@headwater/protocol'
import { decodeFailure } from './failure.ts'
import { waitForRelease } from './locks.ts'
import type { Answer, Request, StorageInUse } from './messages.ts'
import { randomUuid } from '../random-uuid.ts'

/** One worker with one open database, until it ends. Requests are answered in the order they were sent. */
export type WorkerLink = {
  readonly storage: StorageInUse
  readonly send: (request: Unnumbered<Request>) => Promise<Answer>
  /** Whether the last answer left a transaction open. */
  readonly inTransaction: () => boolean
  /** Aborted when the worker has ended, for whatever reason; every waiting request has then been rejected. */
  readonly ended: AbortSignal
}

type Unnumbered<Message> = Message extends unknown ? Omit<Message, 'number'> : never
type Waiter = { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void }

/** Starts a worker and has it open the database. Rejects with what kept it from opening. */
export async function openWorkerLink(
  startWorker: () => Worker,
  dbFilename: string,
  cacheSizeKb: number,
): Promise<WorkerLink> {
  const worker = startWorker()
  const ended = new AbortController()
  const waiting = new Map<number, Waiter>()
  let lastNumber = 0
  let inTransaction = false

  const end = (reason: string, cause?: unknown): void => {
    if (ended.signal.aborted) return
    worker.terminate()
    for (const waiter of waiting.values()) waiter.reject(connectionClosed(dbFilename, reason, cause))
    waiting.clear()
    ended.abort()
  }

  worker.onmessage = (event: MessageEvent<Answer>) => {
    const answer = event.data
    const waiter = waiting.get(answer.number)
    waiting.delete(answer.number)
    if (answer.kind === 'done' || answer.kind === 'failed') inTransaction = answer.inTransaction
    if (answer.kind === 'failed') waiter?.reject(decodeFailure(answer.failure))
    else waiter?.resolve(answer)
    if (answer.kind === 'failed' && answer.isFatal) end(`its worker stopped: ${answer.failure.message}`)
    if (answer.kind === 'closed') end('it was closed')
  }
  worker.onerror = (event) => {
    event.preventDefault()
    end(`its worker failed: ${event.message === '' ? 'the script did not load' : event.message}`, event.error)
  }

  const send = (request: Unnumbered<Request>): Promise<Answer> => {
    if (ended.signal.aborted) return Promise.reject(connectionClosed(dbFilename, 'it was closed'))
    const number = ++lastNumber
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject })
      worker.postMessage({ ...request, number })
    })
  }

  const lifeLock = `hw:worker:${randomUuid()}`
  try {
    const opened = await send({ kind: 'open', options: { dbFilename, lifeLock, cacheSizeKb } })
    if (opened.kind !== 'opened') throw new TypeError(`Cannot open: expected "opened", got "${opened.kind}"`)
    void endWithLock(lifeLock, ended.signal, end)
    return { storage: opened.storage, send, inTransaction: () => inTransaction, ended: ended.signal }
  } catch (error) {
    end('it could not be opened', error)
    throw error
  }
}

async function endWithLock(lifeLock: string, ended: AbortSignal, end: (reason: string) => void): Promise<void> {
  try {
    await waitForRelease(lifeLock, ended)
    end('its worker ended')
  } catch (error) {
    // Giving the wait up is how it ends when the worker was closed as it should be.
    if (!ended.aborted) throw error
  }
}

export function connectionClosed(dbFilename: string, reason: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('connection-closed', `Cannot run SQL in "${dbFilename}": ${reason}.`, { cause })
}
