import { type OpId, toOpId } from '@headwater/protocol'

/** Released when it is disposed of; once more does nothing. */
export type CheckpointPin = Disposable

/**
 * So long may one checkpoint hold compaction back. Who needs longer to be brought to it is brought to a newer one, if
 * what was compacted meanwhile concerns it.
 */
export const PIN_MS_MAX = 600_000

/** Checkpoints to which clients are being brought: what they consist of is not to be compacted with what is newer. */
export class CheckpointPins {
  readonly #nowMs: () => number
  /** By op id; few, since clients are brought to the newest. */
  readonly #pinned = new Map<number, { count: number; lastMs: number }>()

  /** `nowMs`: of any clock that only goes forward. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  pin(checkpoint: OpId): CheckpointPin {
    const opId = Number(checkpoint)
    const entry = this.#pinned.get(opId) ?? { count: 0, lastMs: 0 }
    entry.count += 1
    entry.lastMs = this.#nowMs()
    this.#pinned.set(opId, entry)
    let isReleased = false
    return {
      [Symbol.dispose]: () => {
        if (isReleased) return
        isReleased = true
        entry.count -= 1
        if (entry.count === 0) this.#pinned.delete(opId)
      },
    }
  }

  /** Of those that someone pinned not too long ago. */
  oldest(): OpId | undefined {
    const from = this.#nowMs() - PIN_MS_MAX
    let oldest = Infinity
    for (const [opId, { lastMs }] of this.#pinned) if (lastMs >= from && opId < oldest) oldest = opId
    return oldest === Infinity ? undefined : toOpId(BigInt(oldest))
  }
}
