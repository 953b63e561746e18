/** A number of things that may exist at once. Nobody waits: who finds none free is told so. */
export class Slots {
  readonly #max: number
  #taken = 0

  constructor(max: number) {
    this.#max = max
  }

  get hasFree(): boolean {
    return this.#taken < this.#max
  }

  /** Undefined when all are taken; else a function that gives the slot back, once however often it is called. */
  take(): (() => void) | undefined {
    if (!this.hasFree) return undefined
    this.#taken += 1
    let isHeld = true
    return () => {
      if (isHeld) this.#taken -= 1
      isHeld = false
    }
  }
}
