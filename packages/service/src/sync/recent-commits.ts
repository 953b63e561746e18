import type { OpId } from '@headwater/protocol'
import type { Commit } from '../storage/storage.ts'

/** Commits, and names in them, that are kept for those who look at an older state. */
const WEIGHT_MAX = 100_000

export type KeptCommit = Pick<Commit, 'buckets' | 'lookups'> & { readonly checkpoint: OpId }

/**
 * What was committed while sessions find out what an older state means for them. That takes some of them many turns, and
 * what they follow is known at the end only; then they look here. Empty while nobody does.
 */
export class RecentCommits {
  #commits: KeptCommit[] = []
  #weight = 0
  /** All commits after this one are here. */
  #since: OpId | undefined
  #users = 0

  /** From now on, until it is disposed of, commits are kept. `newest`: the last that was handed out. */
  keep(newest: OpId | undefined): Disposable {
    if (this.#users === 0) this.#since = newest
    this.#users += 1
    let isDisposed = false
    return {
      [Symbol.dispose]: () => {
        if (isDisposed) return
        isDisposed = true
        this.#users -= 1
        if (this.#users === 0) this.#drop()
      },
    }
  }

  add(commit: KeptCommit): void {
    if (this.#users === 0) return
    this.#commits.push(commit)
    this.#weight += weigh(commit)
    while (this.#weight > WEIGHT_MAX) {
      const oldest = this.#commits.shift()
      if (oldest === undefined) return
      this.#weight -= weigh(oldest)
      this.#since = oldest.checkpoint
    }
  }

  /** What was committed after `seen`, in order; undefined when not all of it was kept. */
  after(seen: OpId): readonly KeptCommit[] | undefined {
    if (this.#since !== undefined && this.#since > seen) return undefined
    return this.#commits.filter(({ checkpoint }) => checkpoint > seen)
  }

  #drop(): void {
    this.#commits = []
    this.#weight = 0
    this.#since = undefined
  }
}

function weigh({ buckets, lookups }: KeptCommit): number {
  return 1 + buckets.size + lookups.size
}
