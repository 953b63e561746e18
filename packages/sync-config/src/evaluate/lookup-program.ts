import { toLookupKey, toLookupOutputs } from '../lookup-key.ts'
import type { PlanLookup } from '../plan.ts'
import type { EvaluatedLookup, TextRow } from '../types.ts'
import { compileKeys } from './row-keys.ts'
import { readsOf, type RowProgram } from './row-program.ts'
import { compileFilters, type TableScope } from './row-scope.ts'

/** An entry with binary data, and with NULL unless its lookup keeps it, is dropped; equal entries of a row are one. */
export function compileLookup(lookup: PlanLookup, table: TableScope): RowProgram {
  const scope = table.openQuery(lookup)
  const { expansions, filters, keys, outputs, id } = lookup
  const { ofRow, ofElements } = compileFilters(filters, scope)
  const readKeys = compileKeys(keys, scope)
  const readOutputs = compileKeys(outputs, scope, lookup.keepsNull ? 'null' : undefined)
  const { cursor } = scope
  const readEntry = (row: TextRow): EvaluatedLookup | undefined => {
    const key = readKeys(row)
    const output = key === undefined ? undefined : readOutputs(row)
    if (key === undefined || output === undefined) return undefined
    return { key: toLookupKey(id, key), outputs: toLookupOutputs(output) }
  }
  const runOnce: RowProgram['run'] = (row, results) => {
    const entry = ofRow(row) ? readEntry(row) : undefined
    if (entry === undefined) return
    if (results.lookups === undefined) results.lookups = [entry]
    else results.lookups.push(entry)
  }
  const runForElements: RowProgram['run'] = (row, results) => {
    if (!ofRow(row)) return
    const distinct = new Map<string, EvaluatedLookup>()
    for (let isAt = cursor.start(row); isAt; isAt = cursor.advance()) {
      const entry = ofElements(row) ? readEntry(row) : undefined
      if (entry !== undefined) distinct.set(`${entry.key}\n${entry.outputs}`, entry)
    }
    if (distinct.size === 0) return
    results.lookups ??= []
    for (const entry of distinct.values()) results.lookups.push(entry)
  }
  return {
    definition: lookup.usedBy.join(', '),
    run: expansions.length === 0 ? runOnce : runForElements,
    reads: readsOf(table.columns, [...expansions, ...filters, ...keys, ...outputs]),
  }
}
