import type { LookupKey, LookupOutputs, ReadLookups } from '../types.ts'

/** Reads each key once, and keys that are asked for at the same time in one call. */
export type LookupReader = {
  readonly read: ReadLookups
  /** Every key that was asked for, also those under which nothing was found. */
  readonly keys: () => readonly LookupKey[]
}

/** Keys that are read in one call. */
type Batch = { readonly keys: LookupKey[]; found: Awaited<ReturnType<ReadLookups>>; done: Promise<void> }

/** Where the answer for a key is. */
type Place = { readonly batch: Batch; readonly index: number }

export function makeLookupReader(readLookups: ReadLookups): LookupReader {
  const places = new Map<LookupKey, Place>()
  let open: Batch | undefined

  const readBatch = async (batch: Batch): Promise<void> => {
    // Until everything that is ready now has asked.
    await Promise.resolve()
    open = undefined
    batch.found = await readLookups(batch.keys)
  }

  const openBatch = (): Batch => {
    const batch: Batch = { keys: [], found: [], done: Promise.resolve() }
    batch.done = readBatch(batch)
    return batch
  }

  const placeOf = (key: LookupKey): Place => {
    const known = places.get(key)
    if (known !== undefined) return known
    open ??= openBatch()
    const place = { batch: open, index: open.keys.push(key) - 1 }
    places.set(key, place)
    return place
  }

  const read = async (keys: readonly LookupKey[]): Promise<readonly (readonly LookupOutputs[])[]> => {
    const asked = keys.map(placeOf)
    await Promise.all(new Set(asked.map(({ batch }) => batch.done)))
    return asked.map(({ batch, index }) => batch.found[index] ?? [])
  }
  return { read, keys: () => [...places.keys()] }
}
