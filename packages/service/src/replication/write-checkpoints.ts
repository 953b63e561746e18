import { HeadwaterError } from '@headwater/protocol'
import type { Marker } from '../postgres/marker.ts'

/** Hands out write checkpoints: numbers that a client sees again once the stream has passed everything before them. */
export type WriteCheckpoints = {
  /**
   * Resolves with the number when its marker is in the source's log. Requests that come together share a marker.
   * Rejects with `source-unreachable` when it could not be written; then the client asks again.
   */
  readonly request: (key: string) => Promise<bigint>
  /** Numbers from now on are greater: those of an earlier process may be ahead of this machine's clock. */
  readonly startAbove: (number: bigint) => void
}

/** Clients in one marker. */
const ENTRIES_MAX = 1_000
/** Clients that wait; more than this means that the source does not answer. */
const WAITING_MAX = 100_000

type Waiting = {
  readonly key: string
  readonly number: bigint
  readonly resolve: (number: bigint) => void
  readonly reject: (error: unknown) => void
}

/** `emit` writes a marker into the source's log, in a transaction of its own. */
export function createWriteCheckpoints(
  slot: string,
  emit: (marker: Marker) => Promise<void>,
  nowMs: () => number,
): WriteCheckpoints {
  let lastNumber = 0n
  let waiting: Waiting[] = []
  let isEmitting = false

  const emitWaiting = async (): Promise<void> => {
    while (waiting.length > 0) {
      const some = waiting.slice(0, ENTRIES_MAX)
      waiting = waiting.slice(ENTRIES_MAX)
      try {
        await emit({ kind: 'write-checkpoints', slot, entries: some.map(({ key, number }) => [key, String(number)]) })
        for (const { resolve, number } of some) resolve(number)
      } catch (error) {
        for (const { reject } of some) reject(error)
      }
    }
    isEmitting = false
  }

  return {
    startAbove: (number) => {
      if (number > lastNumber) lastNumber = number
    },
    request: (key) => {
      if (waiting.length >= WAITING_MAX) {
        return Promise.reject(
          new HeadwaterError('source-unreachable', 'Cannot take more write checkpoints: the source does not answer.'),
        )
      }
      const now = BigInt(Math.round(nowMs())) * 1000n
      lastNumber = now > lastNumber ? now : lastNumber + 1n
      const { promise, resolve, reject } = Promise.withResolvers<bigint>()
      waiting.push({ key, number: lastNumber, resolve, reject })
      if (!isEmitting) {
        isEmitting = true
        void emitWaiting()
      }
      return promise
    },
  }
}
