import type { LimitWatch } from '../observe/limit-watch.ts'
import { Crowd } from './crowd.ts'

/** A client that has not taken what was written for it. */
export type SlowReader = {
  readonly userId: string
  /** That wait for it in memory. */
  readonly bytes: number
  /** Drops what waits, and the connection. */
  readonly cutOff: () => void
}

/**
 * Everything that was written and is not read yet, of all streams. What waits must have gone within a time; and when it
 * is too much in all, the user who lets most of it wait loses the stream that has waited longest.
 */
export class SlowReaders {
  readonly #stalledMsMax: number
  readonly #watch: LimitWatch
  readonly #crowd: Crowd<SlowReader>

  constructor(
    watch: LimitWatch,
    { stalledSecondsMax, waitingBytesMax }: { readonly stalledSecondsMax: number; readonly waitingBytesMax: number },
  ) {
    this.#watch = watch
    this.#stalledMsMax = stalledSecondsMax * 1000
    this.#crowd = new Crowd(waitingBytesMax, (reader) => {
      watch.reached('slow-readers', { userId: reader.userId, bytes: reader.bytes })
      reader.cutOff()
    })
  }

  /** `reader` has to read before there is more for it. Returns what is to be called when it has, or is gone. */
  wait(reader: SlowReader): () => void {
    const timer = setTimeout(() => {
      this.#crowd.remove(reader)
      this.#watch.reached('stalled-reader', { userId: reader.userId, bytes: reader.bytes })
      reader.cutOff()
    }, this.#stalledMsMax).unref()
    this.#crowd.add(reader, reader.userId, reader.bytes)
    return () => {
      clearTimeout(timer)
      this.#crowd.remove(reader)
    }
  }
}
