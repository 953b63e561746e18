/** Texts whose content is kept: a few columns of one row. */
const KEPT_MAX = 4
/** UTF-16 units. Longer texts are read each time, so that what is kept stays small. */
const KEPT_LENGTH_MAX = 250_000

/** The last texts that were read: expressions over a row tend to look into the same column, one after the other. */
export class RecentTexts<Content> {
  readonly #parse: (text: string) => Content
  /** The latest first. */
  readonly #kept: { readonly text: string; readonly content: Content }[] = []

  constructor(parse: (text: string) => Content) {
    this.#parse = parse
  }

  /** Throws what parsing throws, each time. */
  read(text: string): Content {
    const known = this.#kept.find((entry) => entry.text === text)
    if (known !== undefined) return known.content
    const content = this.#parse(text)
    if (text.length <= KEPT_LENGTH_MAX) {
      this.#kept.unshift({ text, content })
      if (this.#kept.length > KEPT_MAX) this.#kept.pop()
    }
    return content
  }
}
