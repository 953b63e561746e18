/** Who wants to hear of something, in the order they came. */
export class Listeners<Listener extends object> {
  readonly #all = new Set<Listener>()

  /** Returns the function that takes it off. */
  readonly add = (listener: Listener): (() => void) => {
    this.#all.add(listener)
    return () => {
      this.#all.delete(listener)
    }
  }

  readonly each = (tell: (listener: Listener) => void): void => {
    for (const listener of this.#all) tell(listener)
  }

  get size(): number {
    return this.#all.size
  }
}
