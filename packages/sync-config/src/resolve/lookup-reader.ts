import type { LookupKey, LookupOutputs, ReadLookups } from '../types.ts'

/** Reads each key once, and keys that are asked for at the same time in one call. */
export type LookupReader = {
  readonly read: ReadLookups
  /** Every key that was asked for, also those under which nothing was found. */
  readonly keys: () => readonly LookupKey[]
}

export function makeLookupReader(readLookups: ReadLookups): LookupReader {
  const known = new Map<LookupKey, Promise<readonly LookupOutputs[]>>()
  let batch: { readonly keys: LookupKey[]; readonly results: ReturnType<ReadLookups> } | undefined

  const openBatch = (): NonNullable<typeof batch> => {
    const keys: LookupKey[] = []
    // Runs when everything that is ready now has asked.
    const results = Promise.resolve().then(() => {
      batch = undefined
      return readLookups(keys)
    })
    return { keys, results }
  }

  const readOne = (key: LookupKey): Promise<readonly LookupOutputs[]> => {
    const reading = known.get(key)
    if (reading !== undefined) return reading
    batch ??= openBatch()
    const index = batch.keys.push(key) - 1
    const result = batch.results.then((results) => results[index] ?? [])
    known.set(key, result)
    return result
  }

  return { read: (keys) => Promise.all(keys.map(readOne)), keys: () => [...known.keys()] }
}
