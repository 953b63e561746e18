import type { TextRow } from '../types.ts'

/** Number of the row that a table's program is at: what was read from another row is not read again from this one. */
export type RowTurn = { number: number }

/** Reads something from a row; the result is valid until the next row. */
export type ReadRow<Result> = (row: TextRow) => Result

type Part<Result> = { readonly read: ReadRow<Result>; isShared: boolean }

/** Parts of one kind, by their text: what several queries of a table have in common is evaluated once for each row. */
export class SharedParts<Result> {
  readonly #turn: RowTurn
  readonly #initial: Result
  readonly #parts = new Map<string, Part<Result>>()

  /** `initial` is never given out. */
  constructor(turn: RowTurn, initial: Result) {
    this.#turn = turn
    this.#initial = initial
  }

  /** The reader of the part with this text, compiled when it is asked for the first time. */
  take(text: string, compile: () => ReadRow<Result>): ReadRow<Result> {
    const known = this.#parts.get(text)
    if (known !== undefined) {
      known.isShared = true
      return known.read
    }
    const part = makePart(this.#turn, this.#initial, compile())
    this.#parts.set(text, part)
    return part.read
  }
}

function makePart<Result>(turn: RowTurn, initial: Result, read: ReadRow<Result>): Part<Result> {
  let lastTurn = -1
  let last = initial
  const part = {
    isShared: false,
    read: (row: TextRow): Result => {
      if (!part.isShared) return read(row)
      if (lastTurn !== turn.number) {
        // A failure is not kept: everybody who asks gets it.
        last = read(row)
        lastTurn = turn.number
      }
      return last
    },
  }
  return part
}
