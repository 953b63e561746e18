/** How long one stream may keep all others waiting. */
const TURN_MS = 2

/** The part of one loop that can be long: between two steps it asks whether others are to run first. */
export type Turn = {
  /** Work of no more than a turn is done at once. */
  readonly isOver: boolean
  /** Waits for the next turn. */
  readonly next: () => Promise<void>
}

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
    return {
      get isOver() {
        return performance.now() >= endsAtMs
      },
      next: () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#add(userId, () => {
          endsAtMs = performance.now() + TURN_MS
          resolve()
        })
        return promise
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
