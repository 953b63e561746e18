/** Lets one loop sleep until someone has something for it. A call while nobody sleeps is not lost. */
export class Wake {
  #isCalled = false
  #resolve: (() => void) | undefined

  readonly call = (): void => {
    this.#isCalled = true
    this.#resolve?.()
  }

  async sleep(): Promise<void> {
    if (!this.#isCalled) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#resolve = resolve
      await promise
      this.#resolve = undefined
    }
    this.#isCalled = false
  }
}
