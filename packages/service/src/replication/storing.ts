import type { Lsn } from '../postgres/lsn.ts'
import type { ReplicationStorage } from '../storage/storage.ts'
import type { Delta, RowKey, RowState, RowStates } from '../storage/delta.ts'

/** Stores deltas one after the other while the next one is being made. */
export type Storing = {
  /** States as they are after every delta that was handed to `store`. */
  readonly readStates: (keys: readonly RowKey[]) => Promise<RowStates>
  /** Returns when the delta before is durable; rejects when that could not be stored. */
  readonly store: (delta: Delta) => Promise<void>
  /** Returns when everything is durable. */
  readonly drain: () => Promise<void>
  /** Rejects when a delta could not be stored; never resolves. */
  readonly failed: Promise<never>
}

/** `onStored` is told of each delta when it is durable, in order, and how long that took. */
export function createStoring(
  storage: Pick<ReplicationStorage, 'append' | 'readRowStates'>,
  onStored: (delta: Delta, tookMs: number) => void,
): Storing {
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => undefined)
  let last: Promise<void> = Promise.resolve()
  /** On its way to disk. */
  let unstored: Delta | undefined

  const append = async (delta: Delta): Promise<void> => {
    const startedAtMs = performance.now()
    try {
      await storage.append(delta)
      onStored(delta, performance.now() - startedAtMs)
    } catch (error) {
      failure.reject(error)
      throw error
    }
    unstored = undefined
  }

  return {
    readStates: async (keys) => {
      if (unstored === undefined) return storage.readRowStates(keys)
      const overlay = new Map<RowKey, RowState | undefined>(unstored.rowStates.map(({ row, after }) => [row, after]))
      const states = new Map(await storage.readRowStates(keys.filter((key) => !overlay.has(key))))
      for (const key of keys) {
        const state = overlay.get(key)
        if (state !== undefined) states.set(key, state)
      }
      return states
    },
    store: async (delta) => {
      await last
      unstored = delta
      last = append(delta)
      last.catch(() => undefined)
    },
    drain: () => last,
    failed: failure.promise,
  }
}

/** A delta that changes nothing; callers fill in what theirs does. */
export function emptyDelta(resume: Lsn | undefined): Delta {
  return {
    operations: [],
    lookups: [],
    rowStates: [],
    writeCheckpoints: [],
    customWriteCheckpoints: [],
    copies: [],
    rowErrors: [],
    resume,
    show: false,
    soleSources: NO_SOURCES,
  }
}

const NO_SOURCES: ReadonlySet<string> = new Set()
