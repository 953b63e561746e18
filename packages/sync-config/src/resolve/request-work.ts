/** Characters of the request that its evaluations may read in all, each time that one is read. */
const CHARACTERS_MAX = 8 * 1024 * 1024

/** Going through an array that has been read costs about as much as reading so many characters of each element. */
const CHARACTERS_PER_ELEMENT = 3

/** One request asks for more than one client may cost. The message says what it is too much of. */
export class TooMuchWork extends Error {
  override readonly name = 'TooMuchWork'
}

/**
 * What one request has cost so far, over all of its evaluations: each alone may stay below every limit, and a client can
 * ask for thousands of them.
 */
export class RequestWork {
  readonly #resultsMax: number
  #results = 0
  #characters = 0
  #failure: TooMuchWork | undefined

  constructor(resultsMax: number) {
    this.#resultsMax = resultsMax
  }

  /** Throws where it has been too much before: evaluations that have not begun then cost nothing. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  addResults(count: number): void {
    this.#results += count
    if (this.#results > this.#resultsMax) this.#fail(`more than ${this.#resultsMax} parameter results in all`)
  }

  addCharacters(count: number): void {
    this.#characters += count
    if (this.#characters > CHARACTERS_MAX) {
      this.#fail(`to read more than ${CHARACTERS_MAX} characters of its claims and parameters`)
    }
  }

  /** Of an array that is gone through. */
  addElements(count: number): void {
    this.addCharacters(count * CHARACTERS_PER_ELEMENT)
  }

  #fail(what: string): never {
    this.#failure ??= new TooMuchWork(what)
    throw this.#failure
  }
}
