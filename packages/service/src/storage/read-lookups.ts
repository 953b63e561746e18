import type { OpId } from '@headwater/protocol'
import type { LookupKey, LookupOutputs, Turn } from '@headwater/sync-config'
import type { LookupPlace, SyncStorage } from './storage.ts'

/** Keys and entries in one page: reading it takes less than a millisecond. */
const PAGE_MAX = 500

const START: LookupPlace = { keyIndex: 0, row: '', outputs: '' }

/** The entries of each key, each once, in the order of `keys`; others run in between. Undefined as for a page. */
export async function readLookups(
  storage: Pick<SyncStorage, 'readLookupPage'>,
  { keys, upTo }: { readonly keys: readonly LookupKey[]; readonly upTo: OpId },
  turn: Turn,
): Promise<readonly (readonly LookupOutputs[])[] | undefined> {
  const found: Set<LookupOutputs>[] = []
  for (let from: LookupPlace | undefined = START; from !== undefined;) {
    if (turn.isOver) await turn.next()
    const page = await storage.readLookupPage({ keys, upTo, from, max: PAGE_MAX })
    if (page === undefined) return undefined
    for (const [index, entries] of page.found.entries()) {
      const known = (found[from.keyIndex + index] ??= new Set())
      for (const outputs of entries) known.add(outputs)
    }
    from = page.next
  }
  return keys.map((_, index) => [...(found[index] ?? [])])
}
