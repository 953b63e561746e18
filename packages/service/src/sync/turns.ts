import type { Turn } from '@headwater/sync-config'

/** How long one stream may keep all others waiting. */
const TURN_MS = 2

/** Short steps between two looks at the clock, which costs about as much as one of them. */
const STEPS_PER_LOOK = 50

/**
 * Lets long work of all streams run a little at a time: one turn in each round of the event loop, so that what is short
 * waits for one turn and not for as many as there are long ones. Users take turns, and the streams of a user among
 * themselves: who has many waits longer.
 */
export class Turns {
  /** Who waits, of each user; the user whose turn comes next is first. */
  readonly #waiting = new Map<string, (() => void)[]>()

  begin(userId: string): Turn {
    let endsAtMs = performance.now() + TURN_MS
    let steps = 0
    // Of all parts of the work that have come to the end of the turn.
    let waiting: Promise<void> | undefined
    const isOver = (): boolean => performance.now() >= endsAtMs
    return {
      get isOver() {
        return isOver()
      },
      isOverAfterStep: () => {
        steps += 1
        return steps % STEPS_PER_LOOK === 0 && isOver()
      },
      next: () => {
        waiting ??= new Promise((resolve) => {
          this.#add(userId, () => {
            endsAtMs = performance.now() + TURN_MS
            waiting = undefined
            resolve()
          })
        })
        return waiting
      },
    }
  }

  #add(userId: string, begin: () => void): void {
    if (this.#waiting.size === 0) setImmediate(this.#giveTurn)
    const others = this.#waiting.get(userId)
    if (others === undefined) this.#waiting.set(userId, [begin])
    else others.push(begin)
  }

  readonly #giveTurn = (): void => {
    for (const [userId, [begin, ...others]] of this.#waiting) {
      this.#waiting.delete(userId)
      if (others.length > 0) this.#waiting.set(userId, others)
      // In the next round, whatever this one does with its turn.
      if (this.#waiting.size > 0) setImmediate(this.#giveTurn)
      begin?.()
      return
    }
  }
}
