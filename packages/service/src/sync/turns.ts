import type { Turn } from '@headwater/sync-config'

/** Of each round of the event loop so much is for long work: it keeps all others waiting. */
const ROUND_MS = 1

/** Who begins in a round whose time is used up may do so much at once: most work is shorter. */
const SHORT_MS = 0.25

/** Short steps between two looks at the clock, which costs about as much as one of them. */
const STEPS_PER_LOOK = 50

/**
 * Lets long work of all streams run a little at a time: in each round of the event loop one turn, and what begins in it.
 * What is short then waits for about one round, and not for as many turns as there are long ones. Users take turns, and
 * the streams of a user among themselves: who has many waits longer.
 */
export class Turns {
  readonly #now: () => number
  /** Who waits, of each user; the user whose turn comes next is first. */
  readonly #waiting = new Map<string, (() => void)[]>()
  /** Until then long work may go on. Undefined in a round in which nobody has begun. */
  #roundEndsAtMs: number | undefined

  /** `now`: milliseconds since whenever. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  begin(userId: string): Turn {
    const nowMs = this.#now()
    let endsAtMs = Math.max(this.#findRoundEnd(nowMs), nowMs + SHORT_MS)
    let steps = 0
    // Of all parts of the work that have come to the end of the turn.
    let waiting: Promise<void> | undefined
    const isOver = (): boolean => this.#now() >= endsAtMs
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
            endsAtMs = this.#findRoundEnd(this.#now())
            waiting = undefined
            resolve()
          })
        })
        return waiting
      },
    }
  }

  /** Of this round, which begins with the first who asks. */
  #findRoundEnd(nowMs: number): number {
    if (this.#roundEndsAtMs === undefined) {
      this.#roundEndsAtMs = nowMs + ROUND_MS
      setImmediate(this.#endRound)
    }
    return this.#roundEndsAtMs
  }

  #add(userId: string, begin: () => void): void {
    const others = this.#waiting.get(userId)
    if (others === undefined) this.#waiting.set(userId, [begin])
    else others.push(begin)
    // Whose end gives the turn.
    this.#findRoundEnd(this.#now())
  }

  /** The first who waits has the first turn of the next round. */
  readonly #endRound = (): void => {
    this.#roundEndsAtMs = undefined
    for (const [userId, [begin, ...others]] of this.#waiting) {
      this.#waiting.delete(userId)
      if (others.length > 0) this.#waiting.set(userId, others)
      begin?.()
      return
    }
  }
}
