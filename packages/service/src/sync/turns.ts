import { setImmediate } from 'node:timers/promises'

/** How long one connection may keep the others waiting. */
const TURN_MS = 4

/** Lets others run when this one had its turn; nearly free otherwise. One for each loop that can be long. */
export class Turns {
  #endsAtMs = performance.now() + TURN_MS

  get isOver(): boolean {
    return performance.now() >= this.#endsAtMs
  }

  async next(): Promise<void> {
    await setImmediate()
    this.#endsAtMs = performance.now() + TURN_MS
  }
}
