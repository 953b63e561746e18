/** Called after a commit with the plain names of the tables that it changed. */
export type ChangeListener = (tables: ReadonlySet<string>) => void

/** Tells who listens which tables a commit changed. */
export class ChangeFeed {
  readonly #listeners = new Set<ChangeListener>()

  readonly announce = (tables: ReadonlySet<string>): void => {
    for (const listener of this.#listeners) listener(tables)
  }

  /** Returns the function that stops it. */
  readonly listen = (listener: ChangeListener): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
}

const STORAGE_PREFIX = /^ps_data(?:_local)?__/

/** Names are accepted as apps of other clients write them: plain, `ps_data__x` or `ps_data_local__x`. */
export function plainTableName(name: string): string {
  return name.replace(STORAGE_PREFIX, '')
}
