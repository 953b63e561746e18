import type { Expression } from '../plan.ts'
import type { Select } from '../sql/tree.ts'
import { elementsIn, type OperandScope } from './operand.ts'
import type { QueryContext } from './query-context.ts'
import type { EachSource, TableSource } from './scope.ts'

/** A part of a query of edition 3 that is being lowered, with what the whole query knows. */
export type QueryScope = OperandScope & { readonly ctes: CteScope; readonly sources: SourceList }

/** A common table expression: a query with a name. Every mention stands for its own copy. */
export type Cte = { readonly name: string; readonly context: QueryContext; readonly select: Select }

/** Common table expressions that a query sees, by name. */
export type CteScope = { readonly find: (name: string) => Cte | undefined }

export const NO_CTES: CteScope = { find: () => undefined }

/** Every table and array that one query mentions, subqueries included. */
export class SourceList {
  readonly #all: (TableSource | EachSource)[] = []
  readonly #eaches: EachSource[] = []
  readonly #joined = new Set<TableSource>()

  get all(): readonly (TableSource | EachSource)[] {
    return this.#all
  }

  /** `isJoined` where its FROM has other sources. */
  addTable(table: TableSource, isJoined: boolean): TableSource {
    this.#all.push(table)
    if (isJoined) this.#joined.add(table)
    return table
  }

  isJoined(table: TableSource): boolean {
    return this.#joined.has(table)
  }

  addEach(each: Omit<EachSource, 'kind' | 'number'>): EachSource {
    const added: EachSource = { ...each, kind: 'each', number: this.#eaches.length }
    this.#eaches.push(added)
    this.#all.push(added)
    return added
  }

  each(number: number): EachSource {
    const found = this.#eaches[number]
    if (found === undefined) throw new Error('Invariant: an element is of an array that the query mentions')
    return found
  }

  /** The arrays whose elements the expressions read. */
  eachesIn(expressions: readonly Expression[]): readonly EachSource[] {
    return [...new Set(expressions.flatMap(elementsIn))].map((number) => this.each(number))
  }
}
