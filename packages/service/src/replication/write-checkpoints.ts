import { HeadwaterError } from '@headwater/protocol'
import type { Marker } from '../postgres/marker.ts'
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
   * The same for a number that the client has chosen. One that is not above what is known of the key changes nothing.
   * Resolves with the highest number of the key.
   */
  readonly requestNumber: (key: string, number: bigint) => Promise<bigint>
  /** Numbers of ours from now on are greater: those of an earlier process may be ahead of this machine's clock. */
  readonly startAbove: (number: bigint) => void
}

export type WriteCheckpointParts = {
  readonly slot: string
  /** Writes a marker into the source's log, in a transaction of its own. */
  readonly emit: (marker: Marker) => Promise<void>
  /** Highest number of the key that storage has, shown or not; 0 without any. */
  readonly readStored: (key: string) => Promise<bigint>
  /** Resolves once storage has every marker that an earlier process may have written. */
  readonly caughtUp: () => Promise<void>
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
  const { slot, emit, readStored, caughtUp, nowMs } = parts
  const issued = new IssuedNumbers(readStored)
  let lastNumber = 0n
  let waiting: Waiting[] = []
  let isEmitting = false

  const emitWaiting = async (): Promise<void> => {
    while (waiting.length > 0) {
      const some = waiting.slice(0, ENTRIES_MAX)
      waiting = waiting.slice(ENTRIES_MAX)
      try {
        await emit({ kind: 'write-checkpoints', slot, entries: some.map(({ key, number }) => [key, String(number)]) })
        for (const { key, number, resolve } of some) {
          issued.add(key, number)
          resolve()
        }
      } catch (error) {
        for (const { reject } of some) reject(error)
      }
    }
    isEmitting = false
  }

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

  return {
    startAbove: (number) => {
      if (number > lastNumber && number < OWN_NUMBER_MAX) lastNumber = number
    },
    request: async (key) => {
      const known = await issued.readHighest(key)
      if (known >= NUMBER_MAX) {
        throw new HeadwaterError(
          'bad-request',
          `Cannot give a write checkpoint: the client has chosen ${NUMBER_MAX} before, and no number is above it`,
        )
      }
      const now = BigInt(Math.round(nowMs())) * 1000n
      lastNumber = now > lastNumber ? now : lastNumber + 1n
      const number = known < lastNumber ? lastNumber : known + 1n
      await wait(key, number)
      return number
    },
    requestNumber: async (key, number) => {
      await caughtUp()
      const known = await issued.readHighest(key)
      if (known >= number) return known
      await wait(key, number)
      return issued.readHighest(key)
    },
  }
}

function notAnswering(): HeadwaterError {
  return new HeadwaterError(
    'source-unreachable',
    'Cannot take more write checkpoints: the source does not answer, or replication is far behind it.',
  )
}
