import type { TextRow } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import type { Element } from '../functions/each-element.ts'
import type { ReadRow } from './shared-parts.ts'

/** Combinations of elements that one row may have in one query: a row that has more fails there. */
const COMBINATIONS_MAX = 100_000

const NO_ELEMENT: Element = { key: null, value: null }

/**
 * Stands at one combination of elements of the expansions of a query, one element of each, and walks all of them:
 *
 *     for (let isAt = cursor.start(row); isAt; isAt = cursor.advance()) …
 */
export class ExpansionCursor {
  readonly #readers: readonly ReadRow<readonly Element[]>[]
  readonly #lists: (readonly Element[])[]
  readonly #places: number[]

  /** One reader an expansion. */
  constructor(readers: readonly ReadRow<readonly Element[]>[]) {
    this.#readers = readers
    this.#lists = readers.map(() => [])
    this.#places = readers.map(() => 0)
  }

  /** False where an expansion has no element. Throws `EvaluationError`. */
  start(row: TextRow): boolean {
    let combinations = 1
    for (const [expansion, read] of this.#readers.entries()) {
      const elements = read(row)
      combinations *= elements.length
      if (combinations === 0) return false
      if (combinations > COMBINATIONS_MAX) {
        throw new EvaluationError(
          `Cannot take the row apart: its arrays have more than ${COMBINATIONS_MAX} combinations of elements`,
        )
      }
      this.#lists[expansion] = elements
      this.#places[expansion] = 0
    }
    return true
  }

  /** False after the last combination. */
  advance(): boolean {
    for (let expansion = this.#places.length - 1; expansion >= 0; expansion -= 1) {
      const place = (this.#places[expansion] ?? 0) + 1
      this.#places[expansion] = place
      if (place < (this.#lists[expansion]?.length ?? 0)) return true
      this.#places[expansion] = 0
    }
    return false
  }

  element(expansion: number): Element {
    return this.#lists[expansion]?.[this.#places[expansion] ?? 0] ?? NO_ELEMENT
  }
}
