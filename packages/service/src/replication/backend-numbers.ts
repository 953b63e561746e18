import { HeadwaterError } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import type { BucketStorage } from '../storage/storage.ts'

export type BackendNumberParts = {
  readonly storage: Pick<BucketStorage, 'watchCommits' | 'readWriteCheckpoint' | 'readStoredWriteCheckpoint'>
  /** A number of the service's, which storage has as soon as it has everything that was committed before. */
  readonly request: (key: string) => Promise<bigint>
  readonly clock: Clock
}

/** How long replication may take to come to what was committed before the question. */
const PASS_MS = 20_000

/** How long the backend may take to write, before the client is told the newest number that there is. */
const HOLD_MS = 5_000

/** Clients of which the number is known that they were told last. */
const GIVEN_MAX = 10_000

/**
 * Answers clients that ask for a write checkpoint although the app's backend makes them. Some releases of the official
 * clients forget the number that `complete()` was given as soon as the queue is empty (seen with `@powersync/common`
 * 1.54 and 2.1), and ask: refused, they would show nothing new for good.
 *
 * The number of the upload is not known here, so the answer is the newest of the client's that is announced: when that
 * is above the one of the last answer it stands for this upload. A backend that has not written yet is waited for. One
 * that takes too long makes its client show what is there without its writes, until they come.
 *
 * Throws `custom-write-checkpoints` when the backend has never written a number for the client, `replication-behind`.
 */
export function createBackendNumbers({
  storage,
  request,
  clock,
}: BackendNumberParts): (key: string) => Promise<bigint> {
  /** The oldest first. */
  const given = new Map<string, bigint>()

  const remember = (key: string, number: bigint): void => {
    given.delete(key)
    given.set(key, number)
    const [oldest] = given.keys()
    if (given.size > GIVEN_MAX && oldest !== undefined) given.delete(oldest)
  }

  return async (key) => {
    const readNumber = async (): Promise<bigint> => (await storage.readWriteCheckpoint(key)) ?? 0n
    const before = given.get(key) ?? (await readNumber())
    const over = new AbortController()
    const commits = storage.watchCommits(over.signal)[Symbol.asyncIterator]()
    let next = commits.next()
    /** Looks again after each commit. */
    const waitUntil = async (isSo: () => Promise<boolean>, timeoutMs: number): Promise<boolean> => {
      let isLate = false
      const timeout = clock.wait(timeoutMs, over.signal).then(() => (isLate = true))
      while (!(await isSo())) {
        await Promise.race([next, timeout])
        if (isLate) return isSo()
        next = commits.next()
      }
      return true
    }
    try {
      const marker = await request(key)
      const hasPassed = async (): Promise<boolean> =>
        ((await storage.readStoredWriteCheckpoint(key)).own ?? 0n) >= marker
      if (!(await waitUntil(hasPassed, PASS_MS))) throw behind()
      await waitUntil(async () => (await readNumber()) > before, HOLD_MS)
      const number = await readNumber()
      if (number === 0n) throw neverWritten()
      remember(key, number)
      return number
    } finally {
      over.abort()
    }
  }
}

function behind(): HeadwaterError {
  return new HeadwaterError(
    'replication-behind',
    `Cannot give a write checkpoint: what was written before the call did not come through replication within ${PASS_MS / 1000} s.`,
  )
}

function neverWritten(): HeadwaterError {
  return new HeadwaterError(
    'custom-write-checkpoints',
    'Cannot give a write checkpoint: the sync config has an event for write checkpoints, so the app’s backend makes ' +
      'them, and it has written none for this user and client. Check user_id and client_id of its rows, hand the ' +
      'number to complete() on the client, or remove the event from event_definitions.',
  )
}
