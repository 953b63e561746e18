import { HeadwaterError } from '@headwater/protocol'
import type { Marker } from '../postgres/marker.ts'
import { EVERY_CLIENT, FORGOTTEN_CLIENTS, type WriteCheckpoint } from '../storage/delta.ts'
import type { StoredWriteCheckpoint } from '../storage/storage.ts'
import { IssuedNumbers } from './issued-numbers.ts'

/** Hands out write checkpoints: numbers that a client sees again once the stream has passed everything before them. */
export type WriteCheckpoints = {
  /**
   * Resolves with a number of ours when its marker is in the source's log. Requests that come together share a marker.
   * Rejects with `source-unreachable` when it could not be written; then the client asks again. Rejects with
   * `bad-request` for a client that has chosen the greatest number there is.
   */
  readonly request: (key: string) => Promise<bigint>
  /**
   * The same for a number that the client has chosen. One that is not above that of the key changes nothing. A greater
   * one is noted, as the highest that clients with this key may have been told if that is greater still: what was told
   * already could not be announced once more. Resolves with the highest number of the key.
   */
  readonly requestNumber: (key: string, number: bigint) => Promise<bigint>
  /** Gives a number to every client, behind everything that any of them asked for. Rejects as `request`. */
  readonly coverEveryClient: () => Promise<void>
  /**
   * Makes storage forget numbers that nobody uses. A marker does it, behind those of all numbers given before; its own
   * number is what clients without one are told from then on, since those who still wait for a forgotten one have long
   * been served. Rejects as `request`.
   */
  readonly forgetUnused: () => Promise<void>
  /** Numbers of ours from now on are greater: those of an earlier process may be ahead of this machine's clock. */
  readonly startAbove: (number: bigint) => void
  /** These are durable now; `isShown`: clients can see everything that is stored. */
  readonly noteStored: (stored: readonly WriteCheckpoint[], isShown: boolean) => void
  /** Given out, and not stored yet; and since when the oldest is not shown to clients, stored or not. */
  readonly readUnderWay: () => UnderWay
}

export type UnderWay = { readonly count: number; readonly oldestMs: number | undefined }

export type WriteCheckpointParts = {
  readonly slot: string
  /** Writes a marker into the source's log, in a transaction of its own. */
  readonly emit: (marker: Marker) => Promise<void>
  readonly readStored: (key: string) => Promise<StoredWriteCheckpoint>
  /** Resolves once storage has every marker that an earlier process may have written. */
  readonly caughtUp: () => Promise<void>
  /** The same, or when that takes longer than a client should wait: then the clock alone keeps numbers ascending. */
  readonly caughtUpSoon: () => Promise<void>
  readonly nowMs: () => number
}

/** Clients in one marker. */
const ENTRIES_MAX = 1_000
/** Clients that wait; more than this means that the source does not answer. */
const WAITING_MAX = 100_000
/** Numbers are signed, of 64 bits. */
const NUMBER_MAX = 9_223_372_036_854_775_807n
/** Ours are microseconds since 1970, so what is above the year 2100 was chosen by a client and binds nobody else. */
const OWN_NUMBER_MAX = 4_102_444_800_000_000n

type Waiting = {
  readonly key: string
  readonly number: bigint
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export function createWriteCheckpoints(parts: WriteCheckpointParts): WriteCheckpoints {
  const { slot, emit, readStored, caughtUp, caughtUpSoon, nowMs } = parts
  const issued = new IssuedNumbers()
  let lastNumber = 0n
  let waiting: Waiting[] = []
  let isEmitting = false

  const emitWaiting = async (): Promise<void> => {
    while (waiting.length > 0) {
      const some = waiting.slice(0, ENTRIES_MAX)
      waiting = waiting.slice(ENTRIES_MAX)
      issued.begin(some)
      try {
        await emit({ kind: 'write-checkpoints', slot, entries: some.map(({ key, number }) => [key, String(number)]) })
        issued.noteWritten(nowMs())
        for (const { resolve } of some) resolve()
      } catch (error) {
        issued.noteNotWritten()
        for (const { reject } of some) reject(error)
      }
    }
    isEmitting = false
  }

  /** Markers are written in the order of these calls. */
  const wait = async (key: string, number: bigint): Promise<void> => {
    if (waiting.length >= WAITING_MAX || issued.isFull) throw notAnswering()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    waiting.push({ key, number, resolve, reject })
    if (!isEmitting) {
      isEmitting = true
      void emitWaiting()
    }
    await promise
  }

  const nextNumber = (above: bigint): bigint => {
    const now = BigInt(Math.round(nowMs())) * 1000n
    lastNumber = now > lastNumber ? now : lastNumber + 1n
    return above < lastNumber ? lastNumber : above + 1n
  }

  return {
    startAbove: (number) => {
      if (number > lastNumber && number < OWN_NUMBER_MAX) lastNumber = number
    },
    request: async (key) => {
      await caughtUpSoon()
      const { highest } = issued.combine(key, await readStored(key))
      if (highest >= NUMBER_MAX) {
        throw new HeadwaterError(
          'bad-request',
          `Cannot give a write checkpoint: the client has chosen ${NUMBER_MAX} before, and no number is above it`,
        )
      }
      const number = nextNumber(highest)
      await wait(key, number)
      return number
    },
    requestNumber: async (key, number) => {
      await caughtUp()
      const stored = await readStored(key)
      const { own, highest } = issued.combine(key, stored)
      if (number <= own && !stored.isStale) return highest
      await wait(key, number > highest ? number : highest)
      return issued.combine(key, await readStored(key)).highest
    },
    coverEveryClient: () => wait(EVERY_CLIENT, nextNumber(0n)),
    forgetUnused: async () => {
      const number = nextNumber(0n)
      // From here on, not from when it is written: what is asked for now is written behind it.
      issued.add(FORGOTTEN_CLIENTS, number, nowMs())
      try {
        await wait(FORGOTTEN_CLIENTS, number)
      } catch (error) {
        issued.remove(FORGOTTEN_CLIENTS)
        throw error
      }
    },
    noteStored: (stored, isShown) => issued.noteStored(stored, isShown, nowMs()),
    readUnderWay: () => ({ count: issued.count, oldestMs: issued.oldestMs }),
  }
}

function notAnswering(): HeadwaterError {
  return new HeadwaterError(
    'source-unreachable',
    'Cannot take more write checkpoints: the source does not answer, or replication is far behind it.',
  )
}
