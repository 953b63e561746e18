import { type Expression, partsOf } from '../plan.ts'
import type { TablePattern } from '../types.ts'
import type { RowKey } from './older-clause.ts'

/** Where a value comes from: the request, or what a step before found. */
export type OlderValue =
  | { readonly kind: 'request'; readonly expression: Expression }
  | { readonly kind: 'output'; readonly step: OlderStep; readonly expression: Expression }

/** One thing that is looked up for a request; steps are told apart by identity. */
export type OlderStep =
  | {
      readonly kind: 'lookup'
      readonly table: TablePattern
      readonly filters: readonly Expression[]
      readonly keys: readonly OlderKey[]
      readonly outputs: readonly Expression[]
    }
  | {
      readonly kind: 'each'
      readonly argument: Expression
      readonly filters: readonly Expression[]
      readonly outputs: readonly Expression[]
    }

export type OlderKey = { readonly key: RowKey; readonly value: OlderValue }

/** The value of the element that a step over an array, or an expansion, stands at. */
export function elementValue(expansion: number): Expression {
  return { kind: 'element', expansion, part: 'value' }
}

/** The step over the elements of an array of the request, of which nobody knows what it is. */
export function eachElementOf(array: Expression): OlderStep {
  const argument: Expression = { kind: 'call', name: 'json_elements_if_array', args: [array] }
  return { kind: 'each', argument, filters: [], outputs: [elementValue(0)] }
}

/** A key with all that it must be equal to. */
export type MergedKey = { readonly key: RowKey; readonly values: readonly OlderValue[] }

/** Conditions on one value of the row are one key with several values. Elements of arrays are apart, each for itself. */
export function mergeKeys(keys: readonly OlderKey[]): readonly MergedKey[] {
  const merged: MergedKey[] = []
  for (const { key, value } of keys) {
    const text = JSON.stringify(key)
    const index = key.kind === 'value' ? merged.findIndex((other) => JSON.stringify(other.key) === text) : -1
    const known = merged[index]
    if (known === undefined) merged.push({ key, values: [value] })
    else merged[index] = { key, values: [...known.values, value] }
  }
  return merged.toSorted((a, b) => (JSON.stringify(a.key) < JSON.stringify(b.key) ? -1 : 1))
}

/** Keys of a row as a plan has them: arrays are expanded, and their elements are the keys. */
export function expandKeys(keys: readonly RowKey[]): {
  readonly expansions: readonly Expression[]
  readonly keys: readonly Expression[]
} {
  const expansions: Expression[] = []
  const expanded = keys.map((key): Expression => {
    if (key.kind === 'value') return key.expression
    expansions.push({ kind: 'call', name: 'json_elements', args: [key.array] })
    return elementValue(expansions.length - 1)
  })
  return { expansions, keys: expanded }
}

export function readsElement(expression: Expression): boolean {
  return expression.kind === 'element' || partsOf(expression).some(readsElement)
}
