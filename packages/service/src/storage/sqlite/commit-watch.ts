import type { BucketName } from '@headwater/protocol'
import type { LookupKey } from '@headwater/sync-config'
import type { StoredCheckpoint } from '../delta.ts'
import type { Commit } from '../storage.ts'

/** Names kept while a reader is slow, or while nothing is shown; beyond, everything counts as touched. */
const NAMES_MAX = 100_000

/** What was touched since someone looked, growing. */
export class Touched {
  #buckets = new Set<BucketName>()
  #lookups = new Set<LookupKey>()
  #touchesAll = false

  add(buckets: Iterable<BucketName>, lookups: Iterable<LookupKey>, touchesAll: boolean): void {
    if (this.#touchesAll) return
    for (const bucket of buckets) this.#buckets.add(bucket)
    for (const key of lookups) this.#lookups.add(key)
    if (!touchesAll && this.#buckets.size + this.#lookups.size <= NAMES_MAX) return
    this.#buckets = new Set()
    this.#lookups = new Set()
    this.#touchesAll = true
  }

  /** What there is; empty afterwards. */
  take(): Pick<Commit, 'buckets' | 'lookups' | 'touchesAll'> {
    const taken = { buckets: this.#buckets, lookups: this.#lookups, touchesAll: this.#touchesAll }
    this.#buckets = new Set()
    this.#lookups = new Set()
    this.#touchesAll = false
    return taken
  }
}

/** Names nothing, so everything counts as touched. */
export function unnamedCommit(generation: number, checkpoint: StoredCheckpoint | undefined): Commit {
  return {
    generation,
    checkpoint,
    buckets: new Set(),
    lookups: new Set(),
    writeCheckpoints: new Map(),
    touchesAll: true,
  }
}

/** Hands commits to readers; each has at most one waiting, into which later ones are merged. */
export class CommitWatch {
  readonly #readers = new Set<Reader>()

  publish(commit: Commit): void {
    for (const reader of this.#readers) {
      reader.waiting = reader.waiting === undefined ? commit : merge(reader.waiting, commit)
      reader.wake()
    }
  }

  /** Registers at once, not when the first commit is asked for. */
  watch(signal: AbortSignal): AsyncIterable<Commit> {
    const reader: Reader = { waiting: undefined, wake: () => {} }
    this.#readers.add(reader)
    const stop = (): void => {
      this.#readers.delete(reader)
      reader.wake()
    }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    return this.#read(reader, signal, stop)
  }

  async *#read(reader: Reader, signal: AbortSignal, stop: () => void): AsyncGenerator<Commit> {
    try {
      while (!signal.aborted) {
        const commit = reader.waiting
        reader.waiting = undefined
        if (commit !== undefined) {
          yield commit
          continue
        }
        const { promise, resolve } = Promise.withResolvers<void>()
        reader.wake = resolve
        await promise
      }
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
    }
  }
}

type Reader = { waiting: Commit | undefined; wake: () => void }

function merge(first: Commit, next: Commit): Commit {
  if (first.generation !== next.generation) return unnamedCommit(next.generation, next.checkpoint)
  const touched = new Touched()
  touched.add(first.buckets, first.lookups, first.touchesAll)
  touched.add(next.buckets, next.lookups, next.touchesAll)
  const writeCheckpoints = new Map([...first.writeCheckpoints, ...next.writeCheckpoints])
  const isTooMuch = writeCheckpoints.size > NAMES_MAX
  if (isTooMuch) touched.add([], [], true)
  return {
    generation: next.generation,
    checkpoint: next.checkpoint,
    writeCheckpoints: isTooMuch ? new Map() : writeCheckpoints,
    ...touched.take(),
  }
}
