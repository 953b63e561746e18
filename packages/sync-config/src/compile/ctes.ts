import type { CteEntry } from '../file/config-file.ts'
import type { Problems } from '../file/diagnostics.ts'
import { lowerCondition } from './condition.ts'
import { openCte } from './from.ts'
import { type Cte, type CteScope, NO_CTES, SourceList } from './query-scope.ts'
import type { ParsedQuery } from './stream.ts'

export type ParsedCte = { readonly entry: CteEntry; readonly query: ParsedQuery | undefined }

/**
 * The common table expressions of a stream, or of the file, and behind them those that they stand before: one of the
 * same name hides the one behind it.
 */
export class Ctes implements CteScope {
  readonly #own: ReadonlyMap<string, { readonly cte: Cte | undefined; readonly entry: CteEntry }>
  readonly #behind: CteScope
  readonly #used = new Set<string>()

  constructor(own: readonly ParsedCte[], behind: CteScope) {
    this.#own = new Map(
      own.map(({ entry, query }) => {
        return [entry.name, { entry, cte: query === undefined ? undefined : { name: entry.name, ...query } }]
      }),
    )
    this.#behind = behind
  }

  readonly find = (name: string): Cte | undefined => {
    const found = this.#own.get(name)
    if (found === undefined) return this.#behind.find(name)
    this.#used.add(name)
    return found.cte
  }

  /** Reports what is wrong with each, and which of them nothing refers to. */
  check(problems: Problems): void {
    for (const { cte, entry } of this.#own.values()) {
      // A query that was refused may not have come to the place where it refers to one.
      if (!this.#used.has(entry.name) && !problems.hasErrors) {
        problems.warn(entry.offset, `Nothing refers to the common table expression "${entry.name}": remove it`)
      }
      if (cte === undefined) continue
      const nothing = { context: cte.context, scope: undefined, ctes: NO_CTES, sources: new SourceList() }
      openCte(nothing, cte, cte.name, lowerCondition)
    }
  }
}
