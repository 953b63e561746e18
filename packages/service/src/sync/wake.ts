/** Lets one loop sleep until someone has something for it. A call while nobody sleeps is not lost. */
export class Wake {
  #isCalled = false
  #resolve: (() => void) | undefined

  readonly call = (): void => {
    const resolve = this.#resolve
    this.#resolve = undefined
    if (resolve === undefined) this.#isCalled = true
    else resolve()
  }

  sleep(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#isCalled) this.#resolve = resolve
      else resolve()
      this.#isCalled = false
    })
  }
}
